package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a configuration.
type Fault struct {
	File string `json:"file"` // path as given, or "--set"
	Line int    `json:"line"` // from 1; for --set the number of the option
	Key  string `json:"key"`  // "jail.sshd.maxretry"; "" where the text is no TOML at all
	Text string `json:"text"` // what is wrong and what was expected
}

// Error writes the fault as file:line: key: text.
func (f Fault) Error() string {
	if f.Key == "" {
		return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Key, f.Text)
}

// Faults are all that is wrong with a configuration, in the order of its lines; as an error, one a line.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// err returns the faults as an error, nil if there are none.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	slices.SortStableFunc(f, func(a, b Fault) int {
		if a.File != b.File { // the file first, then the command line
			if a.File == setFile {
				return 1
			}
			if b.File == setFile {
				return -1
			}
			return strings.Compare(a.File, b.File)
		}
		return a.Line - b.Line
	})
	return f
}

// setFile stands in a place for the command line's --set options.
const setFile = "--set"

// place is where a key was given.
type place struct {
	file string
	line int
}

// at is an error of one element of a list, which has a line of its own.
type at struct {
	line int
	err  error
}

func (e at) Error() string { return e.err.Error() }
func (e at) Unwrap() error { return e.err }

// add appends what err says of key: one fault, or one for each joined error.
func (f *Faults) add(p place, key string, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			f.add(p, key, e)
		}
		return
	}
	if e := (at{}); errors.As(err, &e) && p.file != setFile {
		p.line = e.line
	}
	*f = append(*f, Fault{File: p.file, Line: max(p.line, 1), Key: clip(key), Text: clip(err.Error())})
}

// clip bounds what is shown of a hostile key or value.
func clip(s string) string {
	const most = 400 // bytes
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// addf appends a fault.
func (f *Faults) addf(p place, key, format string, args ...any) {
	f.add(p, key, fmt.Errorf(format, args...))
}

// about tells whether there is a fault of that key already.
func (f *Faults) about(key string) bool {
	return slices.ContainsFunc(*f, func(x Fault) bool { return x.Key == key })
}
