package config

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Bounds of a configuration file.
const (
	maxFile         = 1 << 20 // bytes
	maxSyntaxFaults = 20      // after that many the rest is not looked at
)

// valueKind says what a value is in the file.
type valueKind uint8

const (
	noValue valueKind = iota // a section's header
	stringValue
	boolValue
	intValue
	floatValue
	listValue
	otherValue // dates, tables in lists: no key takes them
	looseValue // bare words of the command line, which stand for whatever the key takes
)

// value is a value with its place.
type value struct {
	kind valueKind
	text string // a string's content, else as it is written
	list []value
	line int
}

// entry is one key with its full name, or one section header.
type entry struct {
	key   []string
	value value
	place place
	array bool // header of the form [[x]]
}

// document is a TOML text in parts.
type document struct {
	entries []entry
	faults  Faults
}

// parseTOML takes a text apart. A line that is no TOML is one fault and is then treated as empty, so that the faults after
// it are found as well; keys below a broken section header are not looked at, since nobody knows whose they are.
func parseTOML(file string, text []byte) document {
	var d document
	if len(text) > maxFile {
		d.faults.addf(place{file, 1}, "", "the file has %d bytes; at most %d are read", len(text), maxFile)
		return d
	}
	if i := invalidUTF8(text); i >= 0 {
		d.faults.addf(place{file, 1 + bytes.Count(text[:i], []byte("\n"))}, "", "not UTF-8; TOML is")
		text = bytes.ToValidUTF8(text, []byte("?"))
	}
	for {
		entries, line, err := parseOnce(file, text)
		if err == nil {
			d.entries = entries
			break
		}
		d.faults.addf(place{file, line}, "", "not TOML: %w", err)
		if len(d.faults) > maxSyntaxFaults {
			d.entries = entries
			break
		}
		var changed bool
		if text, changed = blankLine(text, line); !changed {
			d.entries = entries
			break
		}
	}
	return d
}

// strict has the library decode a whole text in which we found no fault: it knows some more rules of TOML that concern
// several keys at once.
func strict(file string, text []byte) (f Faults) {
	var all map[string]any
	var decode *toml.DecodeError
	switch err := toml.Unmarshal(text, &all); {
	case err == nil:
	case errors.As(err, &decode):
		row, _ := decode.Position()
		f.addf(place{file, max(row, 1)}, strings.Join(decode.Key(), "."), "%s", strings.TrimPrefix(decode.Error(), "toml: "))
	default:
		f.addf(place{file, 1}, "", "not TOML: %w", err)
	}
	return f
}

// brokenSection takes the place of a section header that could not be read.
const brokenSection = "?"

// blankLine returns text with one line emptied, or, where that is a section's header, with a header that marks what follows as
// nobody's. It tells whether that changed anything.
func blankLine(text []byte, line int) ([]byte, bool) {
	lines := bytes.SplitAfter(text, []byte("\n"))
	if line > len(lines) {
		return text, false
	}
	old := lines[line-1]
	var blank []byte
	if bytes.HasPrefix(bytes.TrimLeft(old, " \t"), []byte("[")) {
		blank = append(blank, `["`+brokenSection+`"]`...)
	}
	if bytes.HasSuffix(old, []byte("\n")) {
		blank = append(blank, '\n')
	}
	if bytes.Equal(old, blank) {
		return text, false
	}
	lines[line-1] = blank
	return bytes.Join(lines, nil), true
}

// parseOnce reads text up to its first syntax error.
func parseOnce(file string, text []byte) (entries []entry, line int, err error) {
	var p unstable.Parser
	p.Reset(text)
	var section []string
	broken := false
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			key, at := keyOf(&p, e, nil)
			section, broken = key, len(key) == 1 && key[0] == brokenSection
			if !broken {
				entries = append(entries, entry{key: key, place: place{file, at}, array: e.Kind == unstable.ArrayTable})
			}
		case unstable.KeyValue:
			if !broken {
				entries = appendKeyValue(entries, file, &p, e, section)
			}
		default: // comments are not kept
		}
	}
	if err := p.Error(); err != nil {
		return entries, errorLine(&p, text, err), err
	}
	return entries, 0, nil
}

// errorLine finds the line of a syntax error, the last one if the error does not say.
func errorLine(p *unstable.Parser, text []byte, err error) (line int) {
	last := max(1, bytes.Count(bytes.TrimRight(text, " \t\r\n"), []byte("\n"))+1)
	var pe *unstable.ParserError
	if !errors.As(err, &pe) || len(pe.Highlight) == 0 {
		return last
	}
	defer func() {
		// Range is documented to panic on bytes that are not the document's; a fault must never end the program.
		if recover() != nil {
			line = last
		}
	}()
	return p.Shape(p.Range(pe.Highlight)).Start.Line
}

// keyOf returns the full name of a key or section, and its line.
func keyOf(p *unstable.Parser, n *unstable.Node, section []string) (key []string, line int) {
	key = append(key, section...)
	for it := n.Key(); it.Next(); {
		k := it.Node()
		if line == 0 {
			line = p.Shape(k.Raw).Start.Line
		}
		key = append(key, string(k.Data))
	}
	return key, line
}

func appendKeyValue(entries []entry, file string, p *unstable.Parser, n *unstable.Node, section []string) []entry {
	key, line := keyOf(p, n, section)
	v := n.Value()
	if v.Kind != unstable.InlineTable {
		return append(entries, entry{key: key, value: valueOf(p, v, line), place: place{file, line}})
	}
	entries = append(entries, entry{key: key, place: place{file, line}})
	for it := v.Children(); it.Next(); {
		if child := it.Node(); child.Kind == unstable.KeyValue {
			entries = appendKeyValue(entries, file, p, child, key)
		}
	}
	return entries
}

func valueOf(p *unstable.Parser, n *unstable.Node, line int) value {
	if n.Raw.Length > 0 {
		line = p.Shape(n.Raw).Start.Line
	}
	v := value{text: string(n.Data), line: line}
	switch n.Kind {
	case unstable.String:
		v.kind = stringValue
	case unstable.Bool:
		v.kind = boolValue
	case unstable.Integer:
		v.kind = intValue
	case unstable.Float:
		v.kind = floatValue
	case unstable.Array:
		v.kind = listValue
		for it := n.Children(); it.Next(); {
			v.list = append(v.list, valueOf(p, it.Node(), line))
		}
	default:
		v.kind = otherValue
	}
	return v
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8, or -1.
func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}
