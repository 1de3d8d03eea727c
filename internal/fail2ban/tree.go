package fail2ban

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// tree is what all files of one name come to together.
type tree struct {
	defaults *options
	sections map[string]*options
	order    []string
	known    map[string]*options // values that a later file replaced, by section
	files    []string            // in the order in which they were merged
}

const (
	maxIncludes = 200     // files behind one name, includes counted
	maxDepth    = 10      // of interpolation, as Python has it
	maxLookups  = 100_000 // for one interpolated value
)

// readTree merges NAME.conf, NAME.d/*.conf, NAME.local, NAME.d/*.local below dir, each with its includes. Missing files are skipped; found
// is false if there was none at all.
func readTree(dir, name string) (t *tree, found bool, err error) {
	var files []string
	for _, suffix := range []string{".conf", ".local"} {
		files = append(files, filepath.Join(dir, name+suffix))
		more, err := filepath.Glob(filepath.Join(dir, escapeGlob(name)+".d", "*"+suffix))
		if err != nil {
			return nil, false, fmt.Errorf("listing %s.d: %w", name, err)
		}
		slices.Sort(more)
		files = append(files, more...)
	}
	t = &tree{defaults: newOptions(), sections: make(map[string]*options), known: make(map[string]*options)}
	seen := make(map[string]bool)
	for _, f := range files {
		if !readable(f) {
			continue
		}
		found = true
		if err := t.include(f, seen); err != nil {
			return nil, true, err
		}
	}
	return t, found, nil
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(s)
}

func readable(file string) bool {
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() { // to open a pipe would wait for its other end
		return err == nil && !info.IsDir()
	}
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// readFile reads a file of a set-up. A device or a pipe that an include names might never end.
func readFile(file string) ([]byte, error) {
	if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
		return nil, &Error{Kind: "ParsingError", File: file, Text: "not a regular file"}
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = &Error{Kind: "ParsingError", File: file, Text: fmt.Sprintf("larger than %d bytes", maxFile)}
	}
	return text, err
}

// include merges a file: those it names as "before", itself, those it names as "after". A .conf that is included brings its .local along.
func (t *tree) include(file string, seen map[string]bool) error {
	if seen[file] {
		return nil
	}
	if len(seen) >= maxIncludes {
		return &Error{Kind: "ParsingError", File: file, Text: fmt.Sprintf("more than %d files include each other", maxIncludes)}
	}
	seen[file] = true
	text, err := readFile(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	} else if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	parsed, err := parseINI(file, strings.ToValidUTF8(string(text), "\uFFFD"))
	if err != nil {
		return err
	}
	for _, when := range []string{"before", "after"} {
		if when == "after" {
			t.merge(parsed)
			t.files = append(t.files, file)
		}
		list, _ := parsed.sections["INCLUDES"].get(when)
		for _, name := range strings.Split(list.raw, "\n") {
			if name = strings.TrimSpace(name); name == "" {
				continue
			}
			if !filepath.IsAbs(name) {
				name = filepath.Join(filepath.Dir(file), name)
			}
			for _, f := range []string{name, localOf(name)} {
				if f != "" && readable(f) {
					if err := t.include(f, seen); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func localOf(file string) string {
	if path.Ext(file) != ".conf" {
		return ""
	}
	return strings.TrimSuffix(file, ".conf") + ".local"
}

// merge lays a file over what is there. A section "Init?family=inet6" goes into "Init", its keys marked by the condition.
func (t *tree) merge(f *iniFile) {
	for _, name := range f.defaults.names {
		t.defaults.set(name, f.defaults.values[name])
	}
	for _, section := range f.order {
		from := f.sections[section]
		base, condition := section, ""
		if at := strings.IndexByte(section, '?'); at > 0 {
			base, condition = section[:at], section[at:]
		}
		into, ok := t.sections[base]
		if !ok {
			into = newOptions()
			t.sections[base] = into
			t.order = append(t.order, base)
		}
		for _, name := range from.names {
			key := name + condition
			if old, ok := into.get(key); ok {
				if t.known[base] == nil {
					t.known[base] = newOptions()
				}
				t.known[base].set(key, old)
			}
			into.set(key, from.values[name])
		}
	}
}

// scope is where names are looked up: variables of the caller before the section before the defaults.
type scope struct {
	tree    *tree
	section string
	vars    map[string]string
}

func (s scope) lookup(name string) (option, bool) {
	if v, ok := s.vars[name]; ok {
		return option{raw: v}, true
	}
	if name == "__name__" {
		return option{raw: s.section}, true
	}
	if v, ok := s.tree.sections[s.section].get(name); ok {
		return v, true
	}
	if v, ok := s.tree.defaults.get(name); ok {
		return v, true
	}
	section, rest, ok := strings.Cut(name, "/")
	if !ok {
		return option{}, false
	}
	if section == "known" {
		if v, ok := s.tree.known[s.section].get(rest); ok {
			return v, true
		}
		return s.tree.defaults.get(rest)
	}
	if section != "default" && section != "DEFAULT" {
		if v, ok := s.tree.section(section).get(rest); ok {
			return v, true
		}
	}
	return s.tree.defaults.get(rest)
}

// section finds a section by name; names in interpolations arrive lower-cased.
func (t *tree) section(name string) *options {
	if o := t.sections[name]; o != nil {
		return o
	}
	for n, o := range t.sections {
		if strings.EqualFold(n, name) {
			return o
		}
	}
	return nil
}

// value gives an option of the section with everything in it interpolated. ok is false if it is nowhere set.
func (s scope) value(name string) (text string, ok bool, err error) {
	o, ok := s.lookup(name)
	if !ok {
		return "", false, nil
	}
	var out strings.Builder
	lookups := 0
	if err := s.expand(&out, &lookups, name, o, o.raw, 1); err != nil {
		return "", true, err
	}
	return out.String(), true, nil
}

const maxValue = 1 << 20 // bytes of one interpolated value

func (s scope) expand(out *strings.Builder, lookups *int, name string, from option, rest string, depth int) error {
	fail := func(kind, format string, a ...any) error {
		return &Error{Kind: kind, File: from.file, Line: from.line, Text: fmt.Sprintf(format, a...)}
	}
	if depth > maxDepth {
		return fail("InterpolationDepthError", "option '%s' in section '%s': interpolation nested deeper than %d", name, s.section, maxDepth)
	}
	for rest != "" {
		at := strings.IndexByte(rest, '%')
		if at < 0 {
			out.WriteString(rest)
			break
		}
		out.WriteString(rest[:at])
		rest = rest[at:]
		switch {
		case strings.HasPrefix(rest, "%%"):
			out.WriteByte('%')
			rest = rest[2:]
		case strings.HasPrefix(rest, "%("):
			end := strings.IndexByte(rest, ')')
			if end < 3 || end+1 >= len(rest) || rest[end+1] != 's' {
				return fail("InterpolationSyntaxError", "bad interpolation variable reference %s", quoteCut(rest))
			}
			variable := strings.ToLower(rest[2:end])
			rest = rest[end+2:]
			v, ok := s.lookup(variable)
			if !ok {
				return fail("InterpolationMissingOptionError",
					"option '%s' in section '%s' contains an interpolation key '%s' which is not a valid option name",
					name, s.section, variable)
			}
			if *lookups++; *lookups > maxLookups {
				return fail("InterpolationDepthError", "option '%s' in section '%s' interpolates more than %d values", name, s.section, maxLookups)
			}
			if err := s.expand(out, lookups, name, orPlace(v, from), v.raw, depth+1); err != nil {
				return err
			}
		default:
			return fail("InterpolationSyntaxError", "'%%' must be followed by '%%' or '(', found: %s", quoteCut(rest))
		}
		if out.Len() > maxValue {
			return fail("InterpolationDepthError", "option '%s' in section '%s' grows beyond %d bytes", name, s.section, maxValue)
		}
	}
	return nil
}

func orPlace(v, from option) option {
	if v.file == "" {
		v.file, v.line = from.file, from.line
	}
	return v
}
