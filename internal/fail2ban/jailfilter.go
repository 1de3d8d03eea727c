package fail2ban

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

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
	r.files = append(r.files, t.files...)
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
			if j.fromJournal() {
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
