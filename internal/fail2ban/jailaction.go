package fail2ban

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// action reads an action as a jail calls it: the name of its file, and options in brackets.
func (r *reader) action(j *Jail, spec string, vars map[string]string) (*Action, error) {
	name, given, err := extractOptions(spec)
	if err != nil {
		return nil, wrong("Invalid action definition '%s': %v", spec, err)
	}
	if strings.HasSuffix(name, ".py") {
		return pythonAction(filepath.Join(r.dir, "action.d", name), given), nil
	}
	t, found, err := readTree(filepath.Join(r.dir, "action.d"), name)
	if err != nil {
		return nil, err
	}
	r.files = append(r.files, t.files...)
	if !found {
		return nil, wrong("Unable to read action '%s'", name)
	}
	a := &Action{File: name, Name: name, Command: make(map[string]string), Init: make(map[string]string)}
	given = a.named(j, given)
	d, err := define(t, given, vars, actionOptions)
	if err != nil {
		return nil, err
	}
	for _, p := range given {
		if slices.Contains(actionOptions, p.key) {
			a.Late = append(a.Late, p.key)
		}
	}
	conditional := make(map[string]bool)
	for _, option := range d.set.names {
		if !slices.Contains(actionOptions, option) {
			a.Init[option] = d.set.values[option]
			a.Order = append(a.Order, option)
		}
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
	return a, nil
}

// pythonAction is an action that fail2ban would load as a module.
func pythonAction(path string, given []pair) *Action {
	a := &Action{
		Python: true, File: path, Name: strings.TrimSuffix(filepath.Base(path), ".py"),
		Command: make(map[string]string), Init: make(map[string]string),
	}
	for _, p := range given {
		if p.key == "actname" {
			a.Name = p.value
			continue
		}
		a.Init[p.key] = p.value
		a.Order = append(a.Order, p.key)
	}
	return a
}

// named gives an action the name that the jail's options say, and returns them with name and actname among them.
func (a *Action) named(j *Jail, given []pair) []pair {
	option := func(key string) string {
		if i := slices.IndexFunc(given, func(p pair) bool { return p.key == key }); i >= 0 {
			return given[i].value
		}
		return ""
	}
	if v := option("name"); v == "" {
		given = append(given, pair{"name", j.Name})
	} else if v != j.Name {
		a.Name += "-" + strings.TrimPrefix(v, j.Name+"-")
	}
	if v := option("actname"); v != "" {
		a.Name = v
	} else {
		given = append(given, pair{"actname", a.Name})
	}
	return given
}

// dynamicTags are filled in for each ban.
var dynamicTags = map[string]bool{"matches": true, "ipmatches": true, "ipjailmatches": true, "timeout": true, "bantime": true}
