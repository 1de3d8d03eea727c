package fail2ban

import (
	"fmt"
	"strings"
	"unicode"
)

// option is one raw value with the place it comes from.
type option struct {
	raw  string
	file string
	line int
}

// options is a section: names in the order of their first appearance.
type options struct {
	names  []string
	values map[string]option
}

func newOptions() *options { return &options{values: make(map[string]option)} }

func (o *options) get(name string) (option, bool) {
	if o == nil {
		return option{}, false
	}
	v, ok := o.values[name]
	return v, ok
}

func (o *options) set(name string, v option) {
	if _, ok := o.values[name]; !ok {
		o.names = append(o.names, name)
	}
	o.values[name] = v
}

// iniFile is one file as read.
type iniFile struct {
	defaults *options
	sections map[string]*options
	order    []string
}

// maxFile bounds a configuration file; fail2ban's largest has 30 KB.
const maxFile = 4 << 20

// parseINI reads the dialect of Python's ConfigParser with ";" for inline comments: "#" and ";" begin a comment line, lines indented
// deeper than their key continue its value, keys are lower-cased, duplicates within a file are faults.
func parseINI(name, text string) (*iniFile, error) {
	f := &iniFile{defaults: newOptions(), sections: make(map[string]*options)}
	if len(text) > maxFile {
		return nil, &Error{Kind: "ParsingError", File: name, Text: fmt.Sprintf("file of %d bytes, expected at most %d", len(text), maxFile)}
	}
	var (
		current *options
		section string
		key     string
		value   []string
		begun   option
		indent  int
	)
	finish := func() {
		if current != nil && key != "" {
			begun.raw = strings.TrimRightFunc(strings.Join(value, "\n"), unicode.IsSpace)
			current.set(key, begun)
		}
		key, value = "", nil
	}
	seen := make(map[[2]string]bool)
	for i, line := range strings.Split(text, "\n") {
		number := i + 1
		content, comment := stripComment(line)
		content = strings.TrimSpace(content)
		if content == "" {
			if !comment && key != "" {
				value = append(value, "")
			}
			continue
		}
		depth := len(line) - len(strings.TrimLeftFunc(line, unicode.IsSpace))
		if key != "" && depth > indent {
			value = append(value, content)
			continue
		}
		finish()
		indent = depth
		if header, ok := sectionHeader(content); ok {
			section = header
			switch {
			case header == "DEFAULT":
				current = f.defaults
			case f.sections[header] != nil:
				return nil, &Error{"DuplicateSectionError", name, number, fmt.Sprintf("section '%s' already exists", header)}
			default:
				current = newOptions()
				f.sections[header] = current
				f.order = append(f.order, header)
			}
			continue
		}
		if current == nil {
			return nil, &Error{"MissingSectionHeaderError", name, number, "no section header before " + quoteCut(content)}
		}
		at := strings.IndexAny(content, "=:")
		if at <= 0 {
			return nil, &Error{"ParsingError", name, number, "expected key = value, found " + quoteCut(content)}
		}
		key = strings.ToLower(strings.TrimSpace(content[:at]))
		if seen[[2]string{section, key}] {
			return nil, &Error{"DuplicateOptionError", name, number, fmt.Sprintf("option '%s' in section '%s' already exists", key, section)}
		}
		seen[[2]string{section, key}] = true
		value = []string{strings.TrimSpace(content[at+1:])}
		begun = option{file: name, line: number}
	}
	finish()
	return f, nil
}

func quoteCut(s string) string {
	if len(s) > 60 {
		s = s[:60] + "…"
	}
	return fmt.Sprintf("%q", s)
}

// stripComment cuts a comment off and tells whether there was one.
func stripComment(line string) (string, bool) {
	trimmed := strings.TrimLeftFunc(line, unicode.IsSpace)
	if strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, ";") {
		return "", true
	}
	for i := range len(line) {
		if line[i] == ';' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t' || line[i-1] == '\r' || line[i-1] == '\v' || line[i-1] == '\f') {
			return line[:i], true
		}
	}
	return line, false
}

// sectionHeader takes everything up to the last bracket of the line, as Python does.
func sectionHeader(content string) (string, bool) {
	if !strings.HasPrefix(content, "[") {
		return "", false
	}
	end := strings.LastIndexByte(content, ']')
	if end < 2 {
		return "", false
	}
	return content[1:end], true
}
