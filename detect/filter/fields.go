package filter

import (
	"strconv"
	"strings"

	"pfwarden/detect"
)

// field is a named group with what it matched.
type field struct{ name, value string }

// fields are the named groups that took part, each name once. There are few, so that looking through them beats hashing.
type fields []field

func (f fields) lookup(name string) (string, bool) {
	for i := range f {
		if f[i].name == name {
			return f[i].value, true
		}
	}
	return "", false
}

func (f fields) get(name string) string {
	value, _ := f.lookup(name)
	return value
}

func (f *fields) set(name, value string) {
	for i := range *f {
		if (*f)[i].name == name {
			(*f)[i].value = value
			return
		}
	}
	*f = append(*f, field{name, value})
}

func (f *fields) remove(name string) {
	for i := range *f {
		if (*f)[i].name == name {
			last := len(*f) - 1
			(*f)[i] = (*f)[last]
			*f = (*f)[:last]
			return
		}
	}
}

// detached is a copy whose strings do not point into the line, all in one piece of memory.
func (f fields) detached(into fields) fields {
	n := 0
	for _, v := range f {
		n += len(v.value)
	}
	var b strings.Builder
	b.Grow(n)
	for _, v := range f {
		b.WriteString(v.value)
	}
	text := b.String()
	for _, v := range f {
		into = append(into, field{v.name, text[:len(v.value)]})
		text = text[len(v.value):]
	}
	return into
}

// export makes of them what a candidate carries.
func (f fields) export() detect.Fields {
	out := make(detect.Fields, len(f))
	for _, v := range f {
		out[v.name] = v.value
	}
	return out
}

// namedGroup is a named group of a pattern.
type namedGroup struct {
	name string
	slot int // of its beginning among the offsets
}

// fields collects the groups that took part in a match.
func (p *pattern) fields(text string, m []int, into *fields) {
	for _, g := range p.groups {
		if from := m[g.slot]; from >= 0 {
			into.set(g.name, text[from:m[g.slot+1]])
		}
	}
}

// merge carries out alt_NAME (a value for NAME where that is empty) and tuple_NAME (NAME becomes a list).
func (p *pattern) merge(f *fields) (lists map[string][]string) {
	for _, n := range p.special {
		kind, base, _ := strings.Cut(n, "_")
		base = trimNumber(base)
		value, ok := f.lookup(n)
		switch {
		case !ok:
		case kind == "alt" && f.get(base) == "":
			f.set(base, value)
		case kind == "tuple":
			if lists == nil {
				lists = map[string][]string{}
			}
			if lists[base] == nil {
				lists[base] = []string{f.get(base)}
			}
			lists[base] = append(lists[base], value)
		}
	}
	for base, values := range lists {
		f.set(base, strings.Join(values, ", "))
	}
	return lists
}

// trimNumber takes a trailing _N off a group's name.
func trimNumber(name string) string {
	i := strings.LastIndexByte(name, '_')
	if i <= 0 {
		return name
	}
	if _, err := strconv.Atoi(name[i+1:]); err != nil {
		return name
	}
	return name[:i]
}
