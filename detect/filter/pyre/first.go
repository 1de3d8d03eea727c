package pyre

import (
	"slices"
	"unicode/utf8"
)

// nullable reports whether a part of a pattern can match nothing.
func nullable(n *node) bool {
	switch n.kind {
	case kLiteral, kAny, kClass:
		return false
	case kGroup, kAtomic:
		return nullable(n.subs[0])
	case kConcat:
		return !slices.ContainsFunc(n.subs, func(s *node) bool { return !nullable(s) })
	case kAlt, kCondition:
		return slices.ContainsFunc(n.subs, nullable)
	case kRepeat:
		return n.min == 0 || nullable(n.subs[0])
	}
	return true
}

// Always reports whether every match of the pattern has the named group take part and hold something.
func (re *Regexp) Always(name string) bool {
	number := slices.Index(re.names, name)
	return number > 0 && always(re.tree, number)
}

func always(n *node, number int) bool {
	switch n.kind {
	case kGroup:
		if n.number == number {
			return !nullable(n.subs[0])
		}
		return always(n.subs[0], number)
	case kAtomic:
		return always(n.subs[0], number)
	case kConcat:
		return slices.ContainsFunc(n.subs, func(s *node) bool { return always(s, number) })
	case kAlt:
		return !slices.ContainsFunc(n.subs, func(s *node) bool { return !always(s, number) })
	}
	return false
}

// Bytes tells some ASCII bytes from others.
type Bytes [utf8.RuneSelf]bool

// Add adds those of another set.
func (b *Bytes) Add(other *Bytes) {
	for c, in := range other {
		b[c] = b[c] || in
	}
}

// Begins is the set of bytes with which a match in ASCII text can begin. ok is false where the pattern can match elsewhere than at the
// beginning of the text, or match nothing.
func (re *Regexp) Begins() (set *Bytes, ok bool) {
	set = &Bytes{}
	set.begin(re.tree)
	return set, onlyAtBegin(re.tree) && !nullable(re.tree)
}

// Between is the set of bytes with which that can begin, in ASCII text, what a match has between two named groups. ok is false unless the
// pattern is a plain sequence that begins, at the beginning of the text, with the first of them, and holds the second.
func (re *Regexp) Between(first, second string) (set *Bytes, ok bool) {
	a, b := slices.Index(re.names, first), slices.Index(re.names, second)
	if a < 1 || b < 1 || re.tree.kind != kConcat || !onlyAtBegin(re.tree) {
		return nil, false
	}
	set = &Bytes{}
	begun := false
	for _, n := range re.tree.subs {
		switch {
		case n.kind == kGroup && n.number == a:
			begun = true
		case n.kind == kGroup && n.number == b:
			return set, begun
		case begun:
			set.begin(n)
		case n.kind != kBegin && n.kind != kText:
			return nil, false
		}
	}
	return nil, false
}

// begin adds the bytes with which n can begin.
func (b *Bytes) begin(n *node) {
	switch n.kind {
	case kLiteral, kAny, kClass:
		for c := range b {
			b[c] = b[c] || n.matches(rune(c))
		}
	case kBackref:
		for c := range b {
			b[c] = true
		}
	case kLook: // takes nothing
	case kConcat:
		for _, s := range n.subs {
			if b.begin(s); !nullable(s) {
				return
			}
		}
	default:
		for _, s := range n.subs {
			b.begin(s)
		}
	}
}

// onlyAtBegin reports whether a pattern can match nowhere but at the beginning of the text.
func onlyAtBegin(n *node) bool {
	switch n.kind {
	case kBegin:
		return n.flags&multiLine == 0
	case kText:
		return true
	case kGroup, kAtomic:
		return onlyAtBegin(n.subs[0])
	case kConcat:
		for _, s := range n.subs {
			if s.kind != kLook {
				return onlyAtBegin(s)
			}
		}
	case kAlt:
		return !slices.ContainsFunc(n.subs, func(s *node) bool { return !onlyAtBegin(s) })
	}
	return false
}

// analyser finds which bytes can come first after each instruction.
type analyser struct {
	*assembler
	known map[int32]*byteSet
}

// everyByte is the set of an instruction after which anything may come, or nothing at all.
func everyByte() (s byteSet) {
	for i := range s {
		s[i] = true
	}
	return s
}

func (a *assembler) analyse(p *program) {
	an := &analyser{assembler: a, known: map[int32]*byteSet{}}
	for pc := range p.code {
		in := &p.code[pc]
		switch in.op {
		case opSplit:
			in.set, in.follow = an.first(in.x), an.first(in.y)
		case opSpan:
			an.span(in, int32(pc))
		}
	}
	p.first = an.first(0)
	for pc := range p.code {
		switch in := &p.code[pc]; in.op {
		case opSave, opBegin:
			continue
		case opString:
			p.prefix = in.text
		}
		break
	}
}

func (an *analyser) span(in *inst, pc int32) {
	follow := an.first(pc + 1)
	in.atomic = true
	lacks := 0
	for c := range in.set[:endOfText] {
		if in.set[c] && follow[c] {
			in.atomic = false
		}
		if !in.set[c] && c < 0x80 {
			lacks++
			in.stop = int16(c)
		}
	}
	if lacks != 1 {
		in.stop = -1
	}
	if in.atomic {
		return
	}
	in.follow = follow
	if *follow == everyByte() {
		in.follow = nil
	}
	for next := pc + 1; ; next++ {
		switch following := &an.code[next]; following.op {
		case opSave:
			continue
		case opString:
			in.next = following.text
		}
		return
	}
}

// first is the set of bytes that a match of the code from pc on can begin with.
func (an *analyser) first(pc int32) *byteSet {
	if s := an.known[pc]; s != nil {
		return s
	}
	s := an.intern(an.firstOf(pc))
	an.known[pc] = s
	return s
}

func (an *analyser) firstOf(pc int32) (s byteSet) {
	in := &an.code[pc]
	switch in.op {
	case opString:
		s[in.text[0]] = true
	case opFold:
		c := in.text[0]
		s[c], s[upper(c)] = true, true
	case opSet:
		s = *in.set
	case opSpan:
		s = *in.set
		if in.min == 0 {
			s = both(&s, an.first(pc+1))
		}
	case opJump:
		s = *an.first(in.x)
	case opSplit, opCondition:
		s = both(an.first(in.x), an.first(in.y))
	case opSave, opBegin, opLineBegin, opWord, opAhead:
		s = *an.first(pc + 1)
	case opLook:
		s = *an.first(in.y)
	case opEnd, opLineEnd:
		s['\n'], s[endOfText] = true, true
	case opTextEnd:
		s[endOfText] = true
	case opAtomic:
		s = *an.first(in.x)
	default: // opMatch, opBackref
		s = everyByte()
	}
	return s
}

func both(a, b *byteSet) (s byteSet) {
	for i := range s {
		s[i] = a[i] || b[i]
	}
	return s
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}
