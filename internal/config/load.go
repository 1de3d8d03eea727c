package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
)

// Options say how a configuration is read.
type Options struct {
	OS      string   // whose defaults; "" = this system's
	Set     []string // "section.key=value", as given by --set
	Missing bool     // the file need not be there: then the defaults apply, and Config.Path is empty

	KnownFilter func(filter string) error // says whether a filter, name[options], can be had; nil = not asked
	KnownJail   func(j *Jail) error       // says whether all that a jail says of its lines can be compiled; nil = not asked
	KnownRegex  func(regex string) error  // says whether a failregex can be compiled; nil = not asked
}

// Load reads the configuration file at path. What is wrong with its content comes as Faults, all at once; any other error
// is about reading the file. The configuration is only returned if there is no fault.
func Load(path string, o Options) (*Config, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && o.Missing {
		return parse("", nil, o)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()                                       // it is only read
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1)) // one more, so that a file too long is seen to be so
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	return Parse(path, text, o)
}

// Parse reads a configuration from text; name stands for its file in faults.
func Parse(name string, text []byte, o Options) (*Config, error) {
	return parse(name, text, o)
}

func parse(name string, text []byte, o Options) (*Config, error) {
	if o.OS == "" {
		o.OS = runtime.GOOS
	}
	l := loader{c: Default(o.OS), places: make(map[string]place)}
	l.c.Path = name
	d := parseTOML(name, text)
	l.faults = d.faults
	entries := d.entries
	for i, s := range o.Set {
		if e, err := parseSet(s, i+1); err != nil {
			l.faults.add(place{setFile, i + 1}, "", err)
		} else {
			entries = append(entries, e)
		}
	}
	l.apply(entries)
	l.c.places = l.places
	l.c.check(&l.faults, o)
	if len(l.faults) == 0 {
		l.faults = strict(name, text)
	}
	if err := l.faults.err(); err != nil {
		return nil, err
	}
	return l.c, nil
}

// parseSet reads section.key=value.
func parseSet(s string, number int) (entry, error) {
	name, text, ok := strings.Cut(s, "=")
	name = strings.TrimSpace(name)
	if !ok || name == "" {
		return entry{}, fmt.Errorf("got %q, expected section.key=value", s)
	}
	key := strings.Split(name, ".")
	if key[0] == "jail" && len(key) > 3 { // a jail's name may hold dots
		key = []string{"jail", strings.Join(key[1:len(key)-1], "."), key[len(key)-1]}
	}
	return entry{key: key, value: setValue(strings.TrimSpace(text), number), place: place{setFile, number}}, nil
}

// setValue reads what stands after the = of a --set: a value as in the file, or just its letters without quotes.
func setValue(text string, number int) value {
	loose := value{kind: looseValue, text: text, line: number}
	entries, _, err := parseOnce(setFile, []byte("x = "+text))
	if err != nil || len(entries) != 1 {
		return loose
	}
	switch v := entries[0].value; v.kind {
	case stringValue, listValue:
		v.line = number
		return v
	default:
		return loose // the key knows whether 5 is a number or a name
	}
}

// loader applies entries to a configuration.
type loader struct {
	c      *Config
	places map[string]place
	faults Faults
}

// apply sets every key that the entries give: [defaults] before the jails, since these begin with it, and of a key that is
// given twice the last one, which is a fault if both stand in the file.
func (l *loader) apply(entries []entry) {
	entries = l.once(entries)
	var jails []entry
	for _, e := range entries {
		if e.key[0] == "jail" {
			jails = append(jails, e)
			continue
		}
		l.common(e)
	}
	for i := range l.c.Jails {
		l.c.Jails[i].Rule = l.c.Defaults.clone()
	}
	for _, e := range jails {
		l.jail(e)
	}
}

// once drops all but the last of the entries for one key.
func (l *loader) once(entries []entry) []entry {
	last := make(map[string]int, len(entries))
	drop := make([]bool, len(entries))
	for i, e := range entries {
		if e.array {
			continue
		}
		name := strings.Join(e.key, "\x00")
		if j, twice := last[name]; twice {
			if e.place.file != setFile {
				l.faults.addf(e.place, strings.Join(e.key, "."), "given twice, first in line %d", entries[j].place.line)
			}
			drop[j] = e.value.kind != noValue
		}
		last[name] = i
	}
	out := entries[:0:0]
	for i, e := range entries {
		if !drop[i] {
			out = append(out, e)
		}
	}
	return out
}

// common applies an entry that is no jail's.
func (l *loader) common(e entry) {
	all := sections()
	name := strings.Join(e.key, ".")
	if e.value.kind == noValue || len(e.key) > 1 {
		i := slices.IndexFunc(all, func(s section) bool { return s.name != "" && s.name == e.key[0] })
		switch {
		case i < 0 && hasKey(all[0].keys, e.key[0]):
			l.faults.addf(e.place, name, "%s is a key, expected %s = …", e.key[0], e.key[0])
		case i < 0:
			l.faults.addf(e.place, name, "no section [%s]%s", e.key[0], meant(nearest(e.key[0], sectionNames(all))))
		case e.array:
			l.faults.addf(e.place, name, "there is only one of this section, expected [%s]", e.key[0])
		case len(e.key) == 1:
			l.places[name] = e.place
		case len(e.key) == 2 && e.value.kind != noValue:
			setKey(l, l.c, all[i].keys, e, e.key[1])
		default:
			l.faults.addf(e.place, name, "no such section: [%s] has no further parts", e.key[0])
		}
		return
	}
	if slices.Contains(sectionNames(all), e.key[0]) {
		l.faults.add(e.place, name, unexpected(e.value, "a section, ["+e.key[0]+"]"))
		return
	}
	setKey(l, l.c, all[0].keys, e, e.key[0])
}

// jail applies an entry below [jail].
func (l *loader) jail(e entry) {
	name := strings.Join(e.key, ".")
	switch {
	case e.array:
		l.faults.addf(e.place, name, "expected [jail.NAME], one section a jail")
		return
	case len(e.key) == 1 && e.value.kind == noValue:
		return // [jail] alone, before its parts
	case len(e.key) == 1 || len(e.key) == 2 && e.value.kind != noValue:
		l.faults.add(e.place, name, unexpected(e.value, "a section, [jail.NAME]"))
		return
	case len(e.key) > 3 || len(e.key) == 3 && e.value.kind == noValue:
		l.faults.addf(e.place, name, "a jail has no further parts (a name with a dot stands in quotes: [jail.\"a.b\"])")
		return
	}
	j := l.c.Jail(e.key[1])
	if j == nil {
		if err := checkJailName(e.key[1]); err != nil {
			if _, said := l.places["jail."+e.key[1]]; !said {
				l.places["jail."+e.key[1]] = e.place
				l.faults.add(e.place, "jail."+e.key[1], err)
			}
			return
		}
		l.c.Jails = append(l.c.Jails, Jail{Name: e.key[1], Enabled: true, Rule: l.c.Defaults.clone()})
		j = &l.c.Jails[len(l.c.Jails)-1]
	}
	j.Named = true
	if _, known := l.places["jail."+j.Name]; !known {
		l.places["jail."+j.Name] = e.place
	}
	if len(e.key) == 3 {
		setKey(l, j, jailKeys(), e, e.key[2])
	}
}

// setKey gives one key of a section its value.
func setKey[S any](l *loader, s *S, keys []key[S], e entry, name string) {
	full := strings.Join(e.key, ".")
	for _, k := range keys {
		if k.name == name {
			l.places[full] = e.place
			if err := k.set(s, e.value); err != nil {
				l.faults.add(e.place, full, err)
			}
			return
		}
	}
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	hint := meant(nearest(name, names))
	if hint == "" {
		hint = belongs(name)
	}
	l.faults.addf(e.place, full, "unknown key%s", hint)
}

// belongs says where a key of that name is known, if it is.
func belongs(name string) string {
	var where []string
	for _, s := range sections() {
		if hasKey(s.keys, name) && s.name != "" {
			where = append(where, "["+s.name+"]")
		} else if hasKey(s.keys, name) {
			where = append(where, "the top of the file")
		}
	}
	if hasKey(jailKeys(), name) {
		where = append(where, "[jail.NAME]")
	}
	if len(where) == 0 {
		return ""
	}
	return "; it belongs to " + strings.Join(where, ", ")
}

func meant(word string) string {
	if word == "" {
		return ""
	}
	return "; did you mean " + word + "?"
}

func hasKey[S any](keys []key[S], name string) bool {
	return slices.ContainsFunc(keys, func(k key[S]) bool { return k.name == name })
}

// sectionNames lists the sections a file may have.
func sectionNames(all []section) []string {
	names := []string{"jail"}
	for _, s := range all[1:] {
		names = append(names, s.name)
	}
	return names
}
