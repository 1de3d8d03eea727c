package pyre

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// target is the engine that a tree is written for.
type target uint8

const (
	forASCII   target = iota // RE2, exact where all bytes of the text are below 0x80
	forUnicode               // RE2 with Unicode classes; \b stays ASCII
	forBacktracking
	forTrial // the same with ASCII classes, which are quickly compiled: shows whether the engine takes the pattern
)

// full says that the engine knows all of Python's syntax.
func (t target) full() bool { return t >= forBacktracking }

// maxRepeat is the largest repeat count that Go's regexp takes.
const maxRepeat = 1000

type emitter struct {
	strings.Builder
	target target
}

// hard reports whether RE2 needs n relaxed.
func hard(n *node) bool {
	switch n.kind {
	case kLook, kBackref, kCondition, kAtomic:
		return true
	case kRepeat:
		if n.possessive || n.min > maxRepeat || n.max > maxRepeat {
			return true
		}
	}
	for _, s := range n.subs {
		if hard(s) {
			return true
		}
	}
	return false
}

// Go's regexp refuses patterns whose counts multiply to more than maxRepeat, and very large ones.
const tameSize = 20_000

// tame reports whether Go's regexp surely takes a pattern, as written by emit.
func tame(n *node) bool {
	size, _ := weigh(n)
	return size <= tameSize
}

// weigh is how large a pattern is with its counts written out, and what its counts multiply to; both are above tameSize where that is
// too much.
func weigh(n *node) (size, counts int) {
	size, counts = 1+len(n.items), 1
	for _, s := range n.subs {
		inner, c := weigh(s)
		size, counts = min(size+inner, tameSize+1), max(counts, c)
	}
	if n.kind == kRepeat {
		times := min(max(n.min, n.max, 1), maxRepeat)
		if size, counts = min(size*times, tameSize+1), counts*times; counts > maxRepeat {
			return tameSize + 1, maxRepeat
		}
	}
	return size, counts
}

// uses reports whether a node of kind k (and, if f is not 0, without flag f) occurs in the tree.
func uses(n *node, k kind, without flags) bool {
	if n.kind == k && (without == 0 || n.flags&without == 0) {
		return true
	}
	for _, s := range n.subs {
		if uses(s, k, without) {
			return true
		}
	}
	return false
}

func emit(n *node, t target) string {
	e := &emitter{target: t}
	e.node(n)
	return e.String()
}

func (e *emitter) node(n *node) {
	switch n.kind {
	case kLiteral:
		e.literal(n.r, n.flags&ignoreCase != 0)
	case kAny:
		if n.flags&dotAll != 0 {
			e.WriteString(`(?s:.)`)
		} else {
			e.WriteString(`[^\n]`)
		}
	case kClass:
		e.class(n)
	case kBegin:
		e.either(n.flags&multiLine != 0, `(?m:^)`, `\A`)
	case kEnd:
		// The text always ends in one newline and, without multi-line mode, normally holds no other: so (?m:$) is Python's $.
		e.either(n.flags&multiLine != 0 || !e.target.full(), `(?m:$)`, `$`)
	case kText:
		e.WriteString(`\A`)
	case kTextEnd:
		e.WriteString(`\z`)
	case kWord:
		e.WriteString(`\b`)
	case kNotWord:
		e.WriteString(`\B`)
	case kConcat:
		for _, s := range n.subs {
			if s.kind == kAlt {
				e.enclosed(`(?:`, s)
			} else {
				e.node(s)
			}
		}
	case kAlt:
		for i, s := range n.subs {
			if i > 0 {
				e.WriteByte('|')
			}
			e.node(s)
		}
	case kGroup:
		switch {
		case n.number == 0:
			e.enclosed(`(?:`, n.subs[0])
		case e.target.full():
			e.enclosed(fmt.Sprintf(`(?<g%d>`, n.number), n.subs[0])
		default:
			e.enclosed(`(`, n.subs[0])
		}
	case kRepeat:
		e.repeat(n)
	default:
		e.extended(n)
	}
}

func (e *emitter) either(first bool, a, b string) {
	if first {
		e.WriteString(a)
	} else {
		e.WriteString(b)
	}
}

func (e *emitter) enclosed(open string, n *node) {
	e.WriteString(open)
	e.node(n)
	e.WriteByte(')')
}

// extended writes what only the backtracking engine knows; for RE2 it writes something that matches at least as much.
func (e *emitter) extended(n *node) {
	full := e.target.full()
	switch n.kind {
	case kLook:
		if !full {
			e.WriteString(`(?:)`)
			return
		}
		open := map[[2]bool]string{{false, false}: `(?=`, {false, true}: `(?!`, {true, false}: `(?<=`, {true, true}: `(?<!`}
		e.enclosed(open[[2]bool{n.behind, n.negated}], n.subs[0])
	case kBackref:
		switch {
		case !full:
			e.WriteString(`(?s:.*?)`)
		case n.flags&ignoreCase != 0:
			fmt.Fprintf(e, `(?i:\k<g%d>)`, n.number)
		default:
			fmt.Fprintf(e, `\k<g%d>`, n.number)
		}
	case kCondition:
		if full {
			fmt.Fprintf(e, `(?(g%d)`, n.number)
			e.node(&node{kind: kConcat, subs: n.subs[:1]})
			e.WriteByte('|')
			e.node(&node{kind: kConcat, subs: n.subs[1:]})
			e.WriteByte(')')
			return
		}
		e.enclosed(`(?:`, &node{kind: kAlt, subs: n.subs})
	case kAtomic:
		e.enclosed(map[bool]string{true: `(?>`, false: `(?:`}[full], n.subs[0])
	}
}

func (e *emitter) repeat(n *node) {
	full := e.target.full()
	if full && n.possessive {
		e.WriteString(`(?>`)
		defer e.WriteByte(')')
	}
	e.enclosed(`(?:`, n.subs[0])
	lo, hi := n.min, n.max
	if !full {
		if lo > maxRepeat {
			lo = maxRepeat
		}
		if hi > maxRepeat {
			hi = -1
		}
	}
	switch {
	case lo == 0 && hi == -1:
		e.WriteByte('*')
	case lo == 1 && hi == -1:
		e.WriteByte('+')
	case lo == 0 && hi == 1:
		e.WriteByte('?')
	case hi == -1:
		fmt.Fprintf(e, `{%d,}`, lo)
	case lo == hi:
		fmt.Fprintf(e, `{%d}`, lo)
	default:
		fmt.Fprintf(e, `{%d,%d}`, lo, hi)
	}
	if n.lazy {
		e.WriteByte('?')
	}
}

func (e *emitter) literal(r rune, fold bool) {
	if fold && unicode.SimpleFold(r) != r {
		e.WriteString(`(?i:`)
		defer e.WriteByte(')')
	}
	e.char(r)
}

func (e *emitter) char(r rune) {
	switch {
	case r < 0x20 || r == 0x7f || r == '-': // regexp2 takes "\-" for no end of a range
		fmt.Fprintf(e, `\x%02x`, r)
	case r < 0x80 && strings.ContainsRune(`\.+*?()|[]{}^$#&~ `, r):
		if r == ' ' || r == '&' || r == '~' || r == '#' {
			e.WriteRune(r)
			return
		}
		e.WriteByte('\\')
		e.WriteRune(r)
	default:
		e.WriteRune(r)
	}
}

const asciiSpace = `\t-\r\x1c- `

func (e *emitter) class(n *node) {
	fold := n.flags&ignoreCase != 0
	if fold {
		e.WriteString(`(?i:`)
		defer e.WriteByte(')')
	}
	e.either(n.negated, `[^`, `[`)
	for _, it := range n.items {
		switch {
		case it.category != 0:
			e.WriteString(category(it.category, e.target))
		case it.lo == it.hi:
			e.char(it.lo)
		default:
			e.char(it.lo)
			e.WriteByte('-')
			e.char(it.hi)
		}
	}
	e.WriteByte(']')
}

// category is what stands inside brackets for one of Python's class escapes.
func category(c byte, t target) string {
	if t == forASCII || t == forTrial {
		switch c {
		case 'd':
			return `0-9`
		case 'w':
			return `0-9A-Za-z_`
		case 's':
			return asciiSpace
		case 'D':
			return `\x00-/:-\x{10ffff}`
		case 'W':
			return "\\x00-/:-@\\[-\\^`{-\\x{10ffff}"
		default:
			return `\x00-\x08\x0e-\x1b!-\x{10ffff}`
		}
	}
	const space = asciiSpace + "\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
	switch c {
	case 'd':
		return `\p{Nd}`
	case 'w':
		return `\p{L}\p{N}_`
	case 's':
		return space
	case 'D':
		return `\P{Nd}`
	case 'W':
		return notWord()
	default:
		return "\\x00-\\x08\\x0e-\\x1b!-\u0084\u0086-\u009f\u00a1-\u167f\u1681-\u1fff\u200b-\u2027\u202a-\u202e\u2030-\u205e\u2060-\u2fff" +
			"\u3001-\ud7ff\ue000-\U0010ffff"
	}
}

// notWord lists the ranges outside of Python's \w, for use inside a class, where no engine takes a negated union.
var notWord = sync.OnceValue(func() string {
	inside := append(slices.Concat(ranges(unicode.L), ranges(unicode.N)), span{'_', '_'}, span{0xd800, 0xdfff})
	slices.SortFunc(inside, func(a, b span) int { return int(a.lo - b.lo) })
	e, next := emitter{}, rune(0)
	outside := func(hi rune) {
		if next <= hi {
			e.char(next)
			e.WriteByte('-')
			e.char(hi)
		}
	}
	for _, s := range inside {
		outside(s.lo - 1)
		next = max(next, s.hi+1)
	}
	outside(unicode.MaxRune)
	return e.String()
})

// span are the characters from lo to hi.
type span struct{ lo, hi rune }

func ranges(t *unicode.RangeTable) (out []span) {
	add := func(lo, hi, stride rune) {
		if stride == 1 {
			out = append(out, span{lo, hi})
			return
		}
		for r := lo; r <= hi; r += stride {
			out = append(out, span{r, r})
		}
	}
	for _, r := range t.R16 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	for _, r := range t.R32 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	return out
}
