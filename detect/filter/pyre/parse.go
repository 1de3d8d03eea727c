// Package pyre runs regular expressions written for Python's re module, in linear time wherever that is possible.
//
// ASCII text, which is nearly all of it, goes to a backtracking machine of our own (program) that is exact and does a bounded amount
// of work. What it gives up or cannot do goes to the engines behind it:
// a pattern is parsed into a small tree and written out again for Go's regexp (RE2): once for ASCII text, once for all of
// Unicode, since Python's \d, \w, \s and \b mean Unicode and RE2's mean ASCII. What RE2 cannot do (look-around,
// back-references, conditionals) is relaxed to a pattern that matches at least as much; only where that one matches does
// the backtracking engine regexp2 run, under a time limit.
package pyre

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// flags are Python's inline flags that change what a pattern means.
type flags uint8

const (
	ignoreCase flags = 1 << iota
	multiLine
	dotAll
	verbose
)

type kind uint8

const (
	kLiteral   kind = iota // r
	kAny                   // .
	kClass                 // items, negated
	kBegin                 // ^
	kEnd                   // $
	kText                  // \A
	kTextEnd               // \Z
	kWord                  // \b
	kNotWord               // \B
	kGroup                 // subs[0]; number > 0 if capturing
	kConcat                // subs
	kAlt                   // subs
	kRepeat                // subs[0], min, max (-1: no limit)
	kLook                  // subs[0], behind, negated
	kBackref               // number
	kCondition             // number; subs[0] yes, subs[1] no
	kAtomic                // subs[0]
)

// item is one member of a character class: a range, or a category by its letter (d, w, s, D, W, S).
type item struct {
	lo, hi   rune
	category byte
}

type node struct {
	kind       kind
	flags      flags
	r          rune
	items      []item
	negated    bool
	behind     bool
	lazy       bool
	possessive bool
	number     int
	min, max   int
	subs       []*node
}

// maxNesting bounds the depth of groups, and with it the recursion of everything that walks a tree.
const maxNesting = 200

type parser struct {
	text   string
	pos    int
	depth  int
	names  []string // by group number; [0] unused
	open   map[int]bool
	byName map[string]int
}

// Error says what is wrong with a pattern and where.
type Error struct {
	Pattern string
	Offset  int // byte offset into Pattern
	Reason  string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s at position %d of %q", e.Reason, e.Offset, e.Pattern)
}

func (p *parser) fail(format string, args ...any) error {
	return &Error{Pattern: p.text, Offset: p.pos, Reason: fmt.Sprintf(format, args...)}
}

func parse(text string, f flags) (*node, *parser, error) {
	p := &parser{text: text, names: []string{""}, byName: map[string]int{}, open: map[int]bool{}}
	if !utf8.ValidString(text) {
		return nil, p, p.fail("pattern is not valid UTF-8")
	}
	n, err := p.alternation(&f)
	if err != nil {
		return nil, p, err
	}
	if p.pos < len(p.text) {
		return nil, p, p.fail("unbalanced parenthesis")
	}
	return n, p, nil
}

func (p *parser) more() bool { return p.pos < len(p.text) }

func (p *parser) has(s string) bool { return strings.HasPrefix(p.text[p.pos:], s) }

func (p *parser) accept(s string) bool {
	if p.has(s) {
		p.pos += len(s)
		return true
	}
	return false
}

func (p *parser) rune() rune {
	r, n := utf8.DecodeRuneInString(p.text[p.pos:])
	p.pos += n
	return r
}

// alternation parses up to a closing parenthesis or the end; f changes where the group sets flags for its rest.
func (p *parser) alternation(f *flags) (*node, error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxNesting {
		return nil, p.fail("groups nest too deeply")
	}
	alt := &node{kind: kAlt, flags: *f}
	for {
		c, err := p.concat(f)
		if err != nil {
			return nil, err
		}
		alt.subs = append(alt.subs, c)
		if !p.accept("|") {
			break
		}
	}
	if len(alt.subs) == 1 {
		return alt.subs[0], nil
	}
	return alt, nil
}

func (p *parser) concat(f *flags) (*node, error) {
	c := &node{kind: kConcat, flags: *f}
	for p.more() && !p.has("|") && !p.has(")") {
		if *f&verbose != 0 && p.skipVerbose() {
			continue
		}
		n, err := p.atom(f)
		if err != nil {
			return nil, err
		}
		if n == nil {
			continue
		}
		if n, err = p.repeats(n, *f); err != nil {
			return nil, err
		}
		c.subs = append(c.subs, n)
	}
	return c, nil
}

func (p *parser) skipVerbose() bool {
	switch c := p.text[p.pos]; {
	case strings.IndexByte(" \t\n\r\f\v", c) >= 0:
		p.pos++
	case c == '#':
		if i := strings.IndexByte(p.text[p.pos:], '\n'); i >= 0 {
			p.pos += i + 1
		} else {
			p.pos = len(p.text)
		}
	default:
		return false
	}
	return true
}

func (p *parser) repeats(n *node, f flags) (*node, error) {
	for p.more() {
		if f&verbose != 0 && p.skipVerbose() {
			continue
		}
		lo, hi, ok, err := p.quantifier()
		if err != nil || !ok {
			return n, err
		}
		if n.kind == kRepeat {
			return nil, p.fail("multiple repeat")
		}
		if n.kind == kBegin || n.kind == kText {
			return nil, p.fail("nothing to repeat")
		}
		n = &node{kind: kRepeat, flags: f, min: lo, max: hi, subs: []*node{n}}
		if p.accept("?") {
			n.lazy = true
		} else if p.accept("+") {
			n.possessive = true
		}
	}
	return n, nil
}

// quantifier reads *, +, ?, {n}, {n,}, {,m} or {n,m}; a brace that is none of them stands for itself.
func (p *parser) quantifier() (lo, hi int, ok bool, err error) {
	switch {
	case p.accept("*"):
		return 0, -1, true, nil
	case p.accept("+"):
		return 1, -1, true, nil
	case p.accept("?"):
		return 0, 1, true, nil
	case !p.has("{"):
		return 0, 0, false, nil
	}
	end := strings.IndexByte(p.text[p.pos:], '}')
	if end < 0 {
		return 0, 0, false, nil
	}
	from, to, ranged := strings.Cut(p.text[p.pos+1:p.pos+end], ",")
	if !digits(from) || !digits(to) || from+to == "" {
		return 0, 0, false, nil
	}
	lo, hi = 0, -1
	if from != "" {
		if lo, err = strconv.Atoi(from); err != nil {
			return 0, 0, false, p.fail("repeat count %s is too large", from)
		}
	}
	switch {
	case !ranged:
		hi = lo
	case to != "":
		if hi, err = strconv.Atoi(to); err != nil {
			return 0, 0, false, p.fail("repeat count %s is too large", to)
		}
		if hi < lo {
			return 0, 0, false, p.fail("min repeat greater than max repeat")
		}
	}
	p.pos += end + 1
	return lo, hi, true, nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func (p *parser) atom(f *flags) (*node, error) {
	r := p.rune()
	switch r {
	case '.':
		return &node{kind: kAny, flags: *f}, nil
	case '^':
		return &node{kind: kBegin, flags: *f}, nil
	case '$':
		return &node{kind: kEnd, flags: *f}, nil
	case '(':
		return p.group(f)
	case '[':
		return p.class(*f)
	case '\\':
		return p.escape(*f)
	case '*', '+', '?':
		p.pos--
		return nil, p.fail("nothing to repeat")
	}
	return &node{kind: kLiteral, flags: *f, r: r}, nil
}
