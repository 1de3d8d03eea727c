package fail2ban

import "strings"

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
