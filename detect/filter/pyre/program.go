package pyre

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A program is a pattern for the machine: a backtracking matcher of ASCII text that knows all of Python's syntax but long
// look-behinds and repeats of what can be empty. What makes it fast is that most choices are made by the next byte alone.
type program struct {
	code     []inst
	groups   int
	anchored bool   // can only match at the beginning of the text
	prefix   string // every match begins with it
	first    *byteSet
}

// byteSet tells which bytes are meant; [endOfText] stands for there being none.
type byteSet [257]bool

const endOfText = 256

type opcode uint8

const (
	opMatch     opcode = iota
	opString           // text
	opFold             // text, in lower case, compared without case
	opSet              // one byte of set
	opSpan             // min to max bytes of set; next and follow say what must come after them
	opJump             // to x
	opSplit            // x, or else y; set and follow say which bytes can begin them
	opSave             // slot n; text, if there is one, must come anywhere after
	opBegin            // \A, and ^ without multi-line mode
	opLineBegin        // ^ in multi-line mode
	opEnd              // $ without multi-line mode
	opLineEnd          // $ in multi-line mode
	opTextEnd          // \Z
	opWord             // \b, \B if negated
	opLook             // the code at x, ending in opMatch, matches here (or does not, if negated); on at y
	opAhead            // text follows here (or does not, if negated)
	opAtomic           // the code at x, ending in opMatch; on at y
	opBackref          // what group n matched; without case if fold
	opCondition        // x if group n took part, else y
)

type inst struct {
	op                          opcode
	lazy, atomic, negated, fold bool
	n, min, max                 int32 // max -1: no limit
	x, y                        int32
	text                        string
	until                       string // opSpan: ends at the latest where this begins
	next                        string // opSpan: text that must come next
	set, follow                 *byteSet
	stop                        int16 // opSpan: the only byte that set lacks; -1 if there are others or none
}

// maxProgram bounds the instructions of one program.
const maxProgram = 3000

type assembler struct {
	code  []inst
	fails bool // the pattern holds something that the machine cannot do
	sets  map[byteSet]*byteSet
	later map[int]string // by group: what must come anywhere after it once it took part
}

// assemble returns nil if the pattern holds something that the machine cannot do.
func assemble(tree *node, groups int) *program {
	a := &assembler{sets: map[byteSet]*byteSet{}, later: map[int]string{}}
	a.demands(tree, map[int]bool{})
	a.node(tree)
	a.emit(inst{op: opMatch})
	if a.fails || len(a.code) > maxProgram {
		return nil
	}
	p := &program{code: a.code, groups: groups, anchored: onlyAtBegin(tree)}
	a.analyse(p)
	return p
}

func (a *assembler) emit(i inst) int {
	if len(a.code) > maxProgram {
		a.fails = true
		return 0
	}
	i.stop = -1
	a.code = append(a.code, i)
	return len(a.code) - 1
}

func (a *assembler) here() int32 { return int32(len(a.code)) }

func (a *assembler) node(n *node) {
	if a.fails {
		return
	}
	switch n.kind {
	case kLiteral, kAny, kClass:
		a.single(n)
	case kBegin:
		a.emit(inst{op: either(n.flags&multiLine != 0, opLineBegin, opBegin)})
	case kEnd:
		a.emit(inst{op: either(n.flags&multiLine != 0, opLineEnd, opEnd)})
	case kText:
		a.emit(inst{op: opBegin})
	case kTextEnd:
		a.emit(inst{op: opTextEnd})
	case kWord, kNotWord:
		a.emit(inst{op: opWord, negated: n.kind == kNotWord})
	case kConcat:
		for _, s := range n.subs {
			a.node(s)
		}
	case kAlt:
		a.alternatives(n.subs)
	case kGroup:
		if n.number > 0 {
			a.emit(inst{op: opSave, n: int32(2 * n.number)})
		}
		a.node(n.subs[0])
		if n.number > 0 {
			a.emit(inst{op: opSave, n: int32(2*n.number + 1), text: a.later[n.number]})
		}
	case kRepeat:
		a.repeat(n)
	case kLook:
		a.look(n)
	case kAtomic:
		a.atomic(n.subs[0])
	case kBackref:
		a.emit(inst{op: opBackref, n: int32(n.number), fold: n.flags&ignoreCase != 0})
	case kCondition:
		c := a.emit(inst{op: opCondition, n: int32(n.number)})
		a.code[c].x = a.here()
		a.node(n.subs[0])
		j := a.emit(inst{op: opJump})
		a.code[c].y = a.here()
		a.node(n.subs[1])
		a.code[j].x = a.here()
	default:
		a.fails = true
	}
}

func either(first bool, a, b opcode) opcode {
	if first {
		return a
	}
	return b
}

// single writes one character, joined with the string before it where that is possible.
func (a *assembler) single(n *node) {
	op, c := opSet, byte(0)
	if n.kind == kLiteral {
		op, c = literalByte(n)
	}
	if op == opSet {
		a.emit(inst{op: opSet, set: a.intern(setOf(n))})
		return
	}
	if last := len(a.code) - 1; last >= 0 && a.code[last].op == op && !a.target(last+1) {
		a.code[last].text += string(c)
		return
	}
	a.emit(inst{op: op, text: string(c)})
}

// target reports whether some instruction goes to pc: then nothing may be joined across it.
func (a *assembler) target(pc int) bool {
	for i := range a.code {
		switch in := &a.code[i]; in.op {
		case opJump, opSplit, opLook, opAtomic, opCondition:
			if int(in.x) == pc || int(in.y) == pc {
				return true
			}
		}
	}
	return false
}

// literalByte says how a literal character is best compared.
func literalByte(n *node) (opcode, byte) {
	fold := n.flags&ignoreCase != 0 && unicode.SimpleFold(n.r) != n.r
	switch {
	case n.r >= utf8.RuneSelf:
		return opSet, 0
	case fold:
		return opFold, byte(unicode.ToLower(n.r))
	}
	return opString, byte(n.r)
}

func (a *assembler) intern(s byteSet) *byteSet {
	if known := a.sets[s]; known != nil {
		return known
	}
	a.sets[s] = &s
	return &s
}

// setOf is the set of ASCII bytes that one character of a pattern stands for.
func setOf(n *node) (s byteSet) {
	for c := range rune(utf8.RuneSelf) {
		s[c] = n.matches(c)
	}
	return s
}

// matches reports whether a literal, dot or class stands for the ASCII character c.
func (n *node) matches(c rune) bool {
	if n.kind == kAny {
		return c != '\n' || n.flags&dotAll != 0
	}
	in := n.has(c)
	if n.flags&ignoreCase != 0 {
		for r := unicode.SimpleFold(c); r != c && !in; r = unicode.SimpleFold(r) {
			in = n.has(r)
		}
	}
	return in != n.negated
}

func (n *node) has(c rune) bool {
	if n.kind == kLiteral {
		return n.r == c
	}
	for _, it := range n.items {
		switch {
		case it.category == 0:
			if c >= it.lo && c <= it.hi {
				return true
			}
		case c < utf8.RuneSelf && asciiCategory(it.category, byte(c)):
			return true
		}
	}
	return false
}

func asciiCategory(category, c byte) bool {
	switch category {
	case 'd':
		return c-'0' <= 9
	case 'w':
		return c-'0' <= 9 || c|0x20-'a' < 26 || c == '_'
	case 's':
		return c >= '\t' && c <= '\r' || c >= 0x1c && c <= ' '
	case 'D', 'W', 'S':
		return !asciiCategory(category|0x20, c)
	}
	return false
}

func (a *assembler) alternatives(subs []*node) {
	var ends []int
	for i, s := range subs {
		if i == len(subs)-1 {
			a.node(s)
			break
		}
		split := a.emit(inst{op: opSplit})
		a.code[split].x = a.here()
		a.node(s)
		ends = append(ends, a.emit(inst{op: opJump}))
		a.code[split].y = a.here()
	}
	for _, j := range ends {
		a.code[j].x = a.here()
	}
}

func (a *assembler) repeat(n *node) {
	sub := n.subs[0]
	if n.possessive {
		plain := *n
		plain.possessive = false
		a.atomic(&plain)
		return
	}
	if span, until, ok := spanOf(sub); ok {
		a.emit(inst{op: opSpan, set: a.intern(setOf(span)), min: int32(min(n.min, 1<<30)), max: int32(min(n.max, 1<<30)), lazy: n.lazy, until: until})
		return
	}
	if n.max != 1 && nullable(sub) || n.min > 50 || n.max > 50 {
		a.fails = true
		return
	}
	for range n.min {
		a.node(sub)
	}
	if n.max < 0 {
		loop := a.optional(n.lazy, sub)
		j := a.emit(inst{op: opJump})
		a.code[j].x = int32(loop)
		a.leave(loop, n.lazy)
		return
	}
	var splits []int
	for range n.max - n.min {
		splits = append(splits, a.optional(n.lazy, sub))
		if a.fails {
			return
		}
	}
	for _, s := range splits {
		a.leave(s, n.lazy)
	}
}

// optional writes a split in front of sub; leave says later where it goes without sub.
func (a *assembler) optional(lazy bool, sub *node) int {
	split := a.emit(inst{op: opSplit})
	if body := a.here(); lazy {
		a.code[split].y = body
	} else {
		a.code[split].x = body
	}
	a.node(sub)
	return split
}

func (a *assembler) leave(split int, lazy bool) {
	if lazy {
		a.code[split].x = a.here()
	} else {
		a.code[split].y = a.here()
	}
}

// spanOf recognises what repeats byte by byte: one character, or one character where a text does not begin.
func spanOf(n *node) (single *node, until string, ok bool) {
	for n.kind == kGroup && n.number == 0 || n.kind == kConcat && len(n.subs) == 1 {
		n = n.subs[0]
	}
	switch n.kind {
	case kLiteral, kAny, kClass:
		return n, "", true
	case kConcat:
		if len(n.subs) != 2 || n.subs[0].kind != kLook || !n.subs[0].negated || n.subs[0].behind {
			return nil, "", false
		}
		text, plain := plainText(n.subs[0].subs[0])
		single, inner, ok := spanOf(n.subs[1])
		return single, text, plain && ok && inner == "" && text != ""
	}
	return nil, "", false
}

// plainText is what a pattern matches that is nothing but ASCII text.
func plainText(n *node) (string, bool) {
	switch n.kind {
	case kLiteral:
		op, c := literalByte(n)
		return string(c), op == opString
	case kConcat:
		var b strings.Builder
		for _, s := range n.subs {
			t, ok := plainText(s)
			if !ok {
				return "", false
			}
			b.WriteString(t)
		}
		return b.String(), true
	}
	return "", false
}

func (a *assembler) look(n *node) {
	if n.behind {
		a.fails = true
		return
	}
	if text, ok := plainText(n.subs[0]); ok {
		a.emit(inst{op: opAhead, text: text, negated: n.negated})
		return
	}
	look := a.emit(inst{op: opLook, negated: n.negated})
	a.code[look].x = a.here()
	a.node(n.subs[0])
	a.emit(inst{op: opMatch})
	a.code[look].y = a.here()
}

func (a *assembler) atomic(body *node) {
	at := a.emit(inst{op: opAtomic})
	a.code[at].x = a.here()
	a.node(body)
	a.emit(inst{op: opMatch})
	a.code[at].y = a.here()
}
