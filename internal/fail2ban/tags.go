package fail2ban

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxReplacements is how often one tag, wherever it stands, may be replaced inside one value.
const maxReplacements = 25

// tagSet is an ordered set of options whose values may hold <tag>s that name other options.
type tagSet struct {
	names  []string
	values map[string]string
}

func newTagSet() *tagSet { return &tagSet{values: make(map[string]string)} }

func (t *tagSet) set(name, value string) {
	if _, ok := t.values[name]; !ok {
		t.names = append(t.names, name)
	}
	t.values[name] = value
}

// tagAt finds the next tag, innermost of nested ones first: "<" and ">" with neither them nor a space between.
func tagAt(s string, from int) (start, end int, ok bool) {
	for from < len(s) {
		open := strings.IndexByte(s[from:], '<')
		if open < 0 {
			return 0, 0, false
		}
		open += from
		stop := strings.IndexAny(s[open+1:], "<> ")
		if stop < 0 {
			return 0, 0, false
		}
		stop += open + 1
		if s[stop] == '>' && stop > open+1 {
			return open, stop + 1, true
		}
		if from = stop; s[stop] != '<' {
			from++
		}
	}
	return 0, 0, false
}

// substitute replaces <tag>s in all values by the values that they name, again and again, until none is left that lookup knows. keep names
// tags that stay; more finds a tag that is not in the set. Tags that nobody knows stay as they are.
func (t *tagSet) substitute(keep func(string) bool, more func(string) (string, bool, error)) error {
	for _, name := range t.names {
		value, err := t.resolve(name, t.values[name], keep, more)
		if err != nil {
			return err
		}
		t.values[name] = value
	}
	return nil
}

func (t *tagSet) resolve(name, value string, keep func(string) bool, more func(string) (string, bool, error)) (string, error) {
	return t.resolveWith(name, value, "", keep, more)
}

func (t *tagSet) resolveWith(name, value, condition string, keep func(string) bool, more func(string) (string, bool, error)) (string, error) {
	counts := make(map[string]int)
	for at := 0; ; {
		start, end, ok := tagAt(value, at)
		if !ok {
			return value, nil
		}
		tag := value[start+1 : end-1]
		if keep != nil && keep(tag) {
			at = start + 1
			continue
		}
		if tag == name || counts[tag] > maxReplacements {
			return "", &Error{Kind: "ValueError", Text: fmt.Sprintf("properties contain self referencing definitions and cannot be resolved, fail tag: %s, found: %s",
				name, tag)}
		}
		with, ok := t.values[tag+"?"+condition]
		if !ok || condition == "" {
			with, ok = t.values[tag]
		}
		if !ok && more != nil {
			var err error
			if with, ok, err = more(tag); err != nil {
				return "", err
			}
		}
		if !ok {
			at = start + 1
			continue
		}
		counts[tag]++
		value = strings.ReplaceAll(value, value[start:end], with)
		if len(value) > maxValue {
			return "", &Error{Kind: "ValueError", Text: fmt.Sprintf("%s grows beyond %d bytes by its tags", name, maxValue)}
		}
		at = 0
	}
}

// Substitute replaces in each value the tags that name other values, again and again. condition, "family=inet6" say, prefers the value named
// "tag?condition". Tags listed in keep, and those that nothing defines, stay. It is an error if a value comes to itself.
func Substitute(values map[string]string, condition string, keep ...string) (map[string]string, error) {
	set := newTagSet()
	for _, name := range slices.Sorted(maps.Keys(values)) {
		set.set(name, values[name])
	}
	ignored := func(tag string) bool { return slices.Contains(keep, tag) }
	for _, name := range set.names {
		if ignored(name) {
			continue
		}
		v, err := set.resolveWith(name, set.values[name], condition, ignored, nil)
		if err != nil {
			return nil, err
		}
		set.values[name] = v
	}
	return set.values, nil
}
