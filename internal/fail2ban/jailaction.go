package fail2ban

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

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
	r.files = append(r.files, t.files...)
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
	for _, p := range given {
		if slices.Contains(actionOptions, p.key) {
			a.Late = append(a.Late, p.key)
		}
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
