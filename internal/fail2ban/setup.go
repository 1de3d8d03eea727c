package fail2ban

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Options say how strictly a set-up is read.
type Options struct {
	// Strict makes every fault that would keep fail2ban from starting an error of Load. Otherwise such a fault costs the jail it
	// is in, as long as jail.conf itself can be read.
	Strict bool
	// AllowMissingLogs takes jails whose logs do not exist (yet), as "fail2ban-client -d" does.
	AllowMissingLogs bool
	// Glob expands a log path; nil = the file system's.
	Glob func(pattern string) ([]string, error)
}

// Setup is what a fail2ban folder comes to.
type Setup struct {
	Dir    string
	Main   map[string]string // fail2ban.conf: loglevel, logtarget, dbfile …
	Jails  []Jail            // enabled ones, in fail2ban's order
	Faults []JailFault       // jails that were left out
}

// Clone copies what can be changed at run time.
func (s *Setup) Clone() *Setup {
	c := *s
	c.Main = maps.Clone(s.Main)
	c.Jails = slices.Clone(s.Jails)
	for i := range c.Jails {
		c.Jails[i].Options = maps.Clone(c.Jails[i].Options)
	}
	return &c
}

// JailFault says why a jail was left out.
type JailFault struct {
	Jail string
	Err  error
}

// Error gives fail2ban's own sentence.
func (f JailFault) Error() string {
	return fmt.Sprintf("Jail '%s' skipped, because of %v", f.Jail, f.Err)
}

// Jail is one enabled jail with everything interpolated.
type Jail struct {
	Name    string
	Backend string
	// Options holds what the jail sets of jailOptions, by name: int, bool or string; nil for a number that is none.
	Options  map[string]any
	Filter   Filter
	Actions  []Action
	Logs     []Log    // existing files, globs expanded
	LogPath  []string // as configured, without the "tail" suffix
	Paths    []Log    // the same, with it
	IgnoreIP []string

	Stopped bool // by hand, at run time: it is left out
	Idle    bool // likewise: it reads nothing, and keeps its bans

	journal bool // the jail itself names a journal match
}

// Text gives a text option as the jail sets it, "" where it does not.
func (j *Jail) Text(name string) string {
	text, _ := j.Options[name].(string)
	return text
}

// Log is one log file of a jail.
type Log struct {
	Path string
	Tail bool // read from its end at the first start
}

// Filter is what a jail looks for.
type Filter struct {
	Name         string
	Given        map[string]string // options in brackets
	FailRegex    []string
	IgnoreRegex  []string
	PrefRegex    string
	DatePattern  string
	MaxLines     int // 0 = not set
	JournalMatch [][]string
	UseDNS       string
	LogType      string
}

// Action is one action of a jail.
type Action struct {
	Name       string            // unique within its jail (actname)
	File       string            // of action.d, without .conf; a path for Python actions
	Python     bool              // needs Python: not supported
	Command    map[string]string // actionstart, actionban …, static tags replaced
	Init       map[string]string // options for the tags that are replaced at run time; conditional ones as "name?family=inet6"
	NoRestored bool
	Order      []string // of Init's names, as given
}

type optionKind uint8

const (
	text optionKind = iota
	number
	boolean
)

// jailOptions are the options of a jail that fail2ban hands to its server or its readers, with their kinds.
var jailOptions = map[string]optionKind{
	"enabled": boolean, "backend": text, "maxretry": number, "maxmatches": number, "findtime": text, "bantime": text,
	"bantime.increment": boolean, "bantime.factor": text, "bantime.formula": text, "bantime.multipliers": text, "bantime.maxtime": text,
	"bantime.rndtime": text, "bantime.overalljails": boolean, "ignorecommand": text, "ignoreself": boolean, "ignoreip": text,
	"ignorecache": text, "filter": text, "logtimezone": text, "logencoding": text, "logpath": text, "skip_if_nologs": boolean,
	"systemd_if_nologs": boolean, "action": text,
}

// filterOptions may stand in a filter's [Definition], and in a jail, where they replace the filter's.
var filterOptions = []string{"usedns", "prefregex", "maxlines", "failregex", "ignoreregex", "datepattern", "journalmatch"}

// actionOptions are the commands and settings of an action's [Definition].
var actionOptions = []string{"actionstart", "actionstart_on_demand", "actionstop", "actionflush", "actionreload", "actioncheck", "actionrepair",
	"actionrepair_on_unban", "actionban", "actionprolong", "actionreban", "actionunban", "norestored"}

var actionBooleans = map[string]bool{"actionstart_on_demand": true, "actionrepair_on_unban": true, "norestored": true}

func truth(s string) bool {
	switch strings.ToLower(s) {
	case "1", "on", "true", "yes":
		return true
	}
	return false
}

// Load reads the set-up below dir.
func Load(dir string, o Options) (*Setup, error) {
	if o.Glob == nil {
		o.Glob = filepath.Glob
	}
	main, _, err := readTree(dir, "fail2ban")
	if err != nil {
		return nil, err
	}
	s := &Setup{Dir: dir, Main: make(map[string]string)}
	for _, section := range []string{"DEFAULT", "Definition", "Thread"} {
		in := scope{tree: main, section: section}
		for _, name := range []string{"loglevel", "logtarget", "syslogsocket", "socket", "pidfile", "allowipv6", "dbfile", "dbmaxmatches", "dbpurgeage", "stacksize"} {
			v, ok, err := in.value(name)
			if err != nil {
				return nil, err
			}
			if ok {
				s.Main[name] = v
			}
		}
	}
	jails, found, err := readTree(dir, "jail")
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("no jail.conf or jail.local in %s", dir)
	}
	for _, name := range jails.order {
		if name == "INCLUDES" {
			continue
		}
		r := reader{dir: dir, options: o, jails: jails}
		jail, enabled, err := r.jail(name)
		switch {
		case err == nil && enabled:
			s.Jails = append(s.Jails, *jail)
		case err == nil:
		case errors.Is(err, errSkipped) || !o.Strict:
			s.Faults = append(s.Faults, JailFault{name, err})
		default:
			return nil, err
		}
	}
	return s, nil
}

// errSkipped marks faults that make fail2ban leave out the jail and go on.
var errSkipped = errors.New("jail skipped")

type skip struct{ text string }

func (e skip) Error() string        { return e.text }
func (e skip) Is(target error) bool { return target == errSkipped }

func wrong(format string, a ...any) error {
	return skip{"wrong configuration: " + fmt.Sprintf(format, a...)}
}

type reader struct {
	dir     string
	options Options
	jails   *tree
}

func (r *reader) jail(name string) (*Jail, bool, error) {
	in := scope{tree: r.jails, section: name, vars: map[string]string{"fail2ban_confpath": r.dir}}
	enabled, _, err := in.value("enabled")
	if err != nil || !truth(enabled) {
		return nil, false, err
	}
	j := &Jail{Name: name, Backend: "auto", Options: make(map[string]any)}
	if backend, ok, err := in.value("backend"); err != nil {
		return nil, true, err
	} else if ok {
		j.Backend = backend
	}
	spec, _, err := in.value("filter")
	if err != nil {
		return nil, true, err
	}
	raw := make(map[string]string)
	if spec = strings.TrimSpace(spec); spec != "" {
		if raw, err = r.filter(j, spec, in); err != nil {
			return nil, true, err
		}
	}
	for name, v := range raw {
		in.vars["known/"+name] = v
	}
	vars := make(map[string]string)
	for name, kind := range jailOptions {
		v, ok, err := in.value(name)
		if err != nil {
			return nil, true, err
		}
		if !ok {
			continue
		}
		j.Options[name] = convert(kind, v)
		if j.Options[name] != nil {
			vars[name] = v
		}
	}
	for _, name := range filterOptions {
		if v, ok, err := in.value(name); err != nil {
			return nil, true, err
		} else if ok {
			raw[name] = v
			j.journal = j.journal || name == "journalmatch" && v != ""
		}
	}
	if err := j.Filter.take(raw); err != nil {
		return nil, true, wrong("%v", err)
	}
	if v, _ := j.Options["ignoreip"].(string); v != "" {
		j.IgnoreIP = splitWords(v, true)
	}
	spec, _ = j.Options["action"].(string)
	for _, one := range splitWithOptions(spec) {
		a, err := r.action(j, one, vars)
		if err != nil {
			return nil, true, err
		}
		j.Actions = append(j.Actions, *a)
	}
	return j, true, r.logs(j)
}

func convert(kind optionKind, v string) any {
	switch kind {
	case number:
		n, err := strconv.Atoi(strings.TrimSpace(v))
		if err != nil {
			return nil
		}
		return n
	case boolean:
		return truth(v)
	}
	return v
}

// definition is a file of filter.d or action.d on its way to its final options.
type definition struct {
	scope scope
	given []pair
	set   *tagSet // options in brackets, [Init], and what is wanted of [Definition]
}

func (d *definition) option(name string) (string, bool) {
	for _, p := range d.given {
		if p.key == name {
			return p.value, true
		}
	}
	return "", false
}

// define reads the wanted options of [Definition] and lays [Init] and the options in brackets over them.
func define(t *tree, given []pair, vars map[string]string, wanted []string) (*definition, error) {
	d := &definition{scope: scope{tree: t, section: "Definition", vars: make(map[string]string)}, given: given, set: newTagSet()}
	for k, v := range vars {
		d.scope.vars[k] = v
	}
	for _, p := range given {
		d.scope.vars[strings.ToLower(p.key)] = p.value
	}
	plain := scope{tree: t, section: "Init", vars: d.scope.vars}
	for _, name := range wanted {
		if v, ok, err := d.scope.value(name); err != nil {
			return nil, err
		} else if ok {
			d.set.set(name, v)
		}
	}
	for _, p := range given {
		d.set.set(p.key, p.value)
	}
	init := t.sections["Init"]
	if init == nil {
		return d, nil
	}
	for _, name := range init.names {
		bare := scope{tree: t, section: "Init"}
		file, _, err := bare.value(name)
		if err != nil {
			return nil, err
		}
		d.scope.vars["known/"+name] = file
		if _, ok := d.option(name); ok {
			continue
		}
		base, _, conditional := strings.Cut(name, "?")
		if v, ok := d.option(base); ok && conditional {
			d.set.set(name, v)
			continue
		}
		v, _, err := plain.value(name)
		if err != nil {
			return nil, err
		}
		d.set.set(name, v)
	}
	return d, nil
}

// more finds what a tag names beyond the definition's own set. An option of another section is interpolated as that section's.
func (d *definition) more(tag string) (string, bool, error) {
	if section, option, ok := strings.Cut(tag, "/"); ok && d.scope.tree.sections[section] != nil {
		if v, ok, err := (scope{tree: d.scope.tree, section: section}).value(option); ok || err != nil {
			return v, ok, err
		}
	}
	return d.scope.value(tag)
}

// filter reads the filter of a jail and returns its combined options.
func (r *reader) filter(j *Jail, spec string, in scope) (map[string]string, error) {
	name, given, err := extractOptions(spec)
	if err != nil {
		return nil, wrong("Invalid filter definition '%s': %v", spec, err)
	}
	t, found, err := readTree(filepath.Join(r.dir, "filter.d"), name)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, wrong("Unable to read the filter '%s'", name)
	}
	j.Filter.Name, j.Filter.Given = name, make(map[string]string)
	for _, p := range given {
		j.Filter.Given[p.key] = p.value
	}
	if _, ok := j.Filter.Given["logtype"]; !ok {
		if _, ok := t.sections["Definition"].get("logtype"); !ok {
			kind := "file"
			if strings.HasPrefix(j.Backend, "systemd") {
				kind = "journal"
			}
			given = append(given, pair{"logtype", kind})
		}
	}
	d, err := define(t, given, in.vars, filterOptions)
	if err != nil {
		return nil, err
	}
	if err := d.set.substitute(nil, d.more); err != nil {
		return nil, err
	}
	if kind, ok := d.set.values["logtype"]; ok {
		j.Filter.LogType = kind
	} else if j.Filter.LogType, _, err = d.scope.value("logtype"); err != nil {
		return nil, err
	}
	return d.set.values, nil
}

// take keeps the options that make a filter.
func (f *Filter) take(options map[string]string) error {
	lines := func(name string) (out []string) {
		for _, l := range strings.Split(options[name], "\n") {
			if l != "" {
				out = append(out, l)
			}
		}
		return out
	}
	f.FailRegex, f.IgnoreRegex = lines("failregex"), lines("ignoreregex")
	f.PrefRegex, f.DatePattern, f.UseDNS = options["prefregex"], options["datepattern"], options["usedns"]
	if v := strings.TrimSpace(options["maxlines"]); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return fmt.Errorf("maxlines is %s, expected a whole number from 1 up", quoteCut(v))
		}
		f.MaxLines = n
	}
	for _, l := range lines("journalmatch") {
		words, err := ShellWords(l)
		if err != nil {
			return fmt.Errorf("journalmatch: %w", err)
		}
		f.JournalMatch = append(f.JournalMatch, words)
	}
	return nil
}

func (r *reader) action(j *Jail, spec string, vars map[string]string) (*Action, error) {
	name, given, err := extractOptions(spec)
	if err != nil {
		return nil, wrong("Invalid action definition '%s': %v", spec, err)
	}
	a := &Action{File: name, Command: make(map[string]string), Init: make(map[string]string)}
	if strings.HasSuffix(name, ".py") {
		a.Python, a.File, a.Name = true, filepath.Join(r.dir, "action.d", name), strings.TrimSuffix(filepath.Base(name), ".py")
		for _, p := range given {
			if p.key == "actname" {
				a.Name = p.value
				continue
			}
			a.Init[p.key] = p.value
			a.Order = append(a.Order, p.key)
		}
		return a, nil
	}
	t, found, err := readTree(filepath.Join(r.dir, "action.d"), name)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, wrong("Unable to read action '%s'", name)
	}
	a.Name = name
	own := func(key string) string {
		for _, p := range given {
			if p.key == key {
				return p.value
			}
		}
		return ""
	}
	if v := own("name"); v == "" {
		given = append(given, pair{"name", j.Name})
	} else if v != j.Name {
		a.Name = name + "-" + strings.TrimPrefix(v, j.Name+"-")
	}
	if v := own("actname"); v != "" {
		a.Name = v
	} else {
		given = append(given, pair{"actname", a.Name})
	}
	d, err := define(t, given, vars, actionOptions)
	if err != nil {
		return nil, err
	}
	init := make(map[string]string)
	for _, option := range d.set.names {
		if !slices.Contains(actionOptions, option) {
			init[option] = d.set.values[option]
			a.Order = append(a.Order, option)
		}
	}
	conditional := make(map[string]bool)
	for _, option := range d.set.names {
		if base, _, ok := strings.Cut(option, "?"); ok {
			conditional[base] = true
		}
	}
	keep := func(tag string) bool { return dynamicTags[tag] || conditional[tag] }
	for _, command := range actionOptions {
		v, ok := d.set.values[command]
		if !ok {
			continue
		}
		if v, err = d.set.resolve(command, v, keep, d.more); err != nil {
			return nil, err
		}
		if command == "norestored" {
			a.NoRestored = truth(v)
		} else if actionBooleans[command] {
			v = strconv.FormatBool(truth(v))
		}
		a.Command[command] = v
	}
	a.Init = init
	return a, nil
}

// dynamicTags are filled in for each ban.
var dynamicTags = map[string]bool{"matches": true, "ipmatches": true, "ipjailmatches": true, "timeout": true, "bantime": true}

// logs expands the jail's log paths.
func (r *reader) logs(j *Jail) error {
	paths, _ := j.Options["logpath"].(string)
	for _, line := range strings.Split(paths, "\n") {
		pattern, tail := strings.TrimSpace(line), false
		if pattern == "" {
			continue
		}
		if p, ok := strings.CutSuffix(pattern, " tail"); ok {
			pattern, tail = strings.TrimSpace(p), true
		} else if p, ok := strings.CutSuffix(pattern, " head"); ok {
			pattern = strings.TrimSpace(p)
		}
		j.LogPath, j.Paths = append(j.LogPath, pattern), append(j.Paths, Log{pattern, tail})
		found, err := r.options.Glob(pattern)
		if err != nil {
			return wrong("log path %s: %v", quoteCut(pattern), err)
		}
		for _, f := range found {
			j.Logs = append(j.Logs, Log{f, tail})
		}
	}
	if len(j.Logs) > 0 || strings.HasPrefix(j.Backend, "systemd") {
		return nil
	}
	if quiet, _ := j.Options["skip_if_nologs"].(bool); quiet {
		return skip{"missing log files."}
	}
	if journal, ok := j.Options["systemd_if_nologs"].(bool); (!ok || journal) && strings.HasPrefix(j.Backend, "auto") && j.journal {
		j.Backend = "systemd"
		return nil
	}
	if r.options.AllowMissingLogs || len(j.LogPath) == 0 {
		return nil
	}
	return &Error{Kind: "ValueError", Text: fmt.Sprintf("Have not found any log file for %s jail", j.Name)}
}

// ShellWords splits as a shell does, without expanding anything.
func ShellWords(s string) ([]string, error) {
	var (
		words []string
		word  strings.Builder
		open  bool
	)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case isSpace(c):
			if open {
				words, open = append(words, word.String()), false
				word.Reset()
			}
		case c == '\'' || c == '"':
			open = true
			for i++; ; i++ {
				if i >= len(s) {
					return nil, fmt.Errorf("no closing quotation in %s", quoteCut(s))
				}
				if s[i] == c {
					break
				}
				if c == '"' && s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\') {
					i++
				}
				word.WriteByte(s[i])
			}
		case c == '\\':
			if i++; i >= len(s) {
				return nil, fmt.Errorf("no character behind \\ in %s", quoteCut(s))
			}
			open = true
			word.WriteByte(s[i])
		default:
			open = true
			word.WriteByte(c)
		}
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}
