package pyre

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// escape parses after a backslash outside of a class.
func (p *parser) escape(f flags) (*node, error) {
	if !p.more() {
		return nil, p.fail("bad escape (end of pattern)")
	}
	switch c := p.text[p.pos]; {
	case c == 'A':
		p.pos++
		return &node{kind: kText, flags: f}, nil
	case c == 'Z':
		p.pos++
		return &node{kind: kTextEnd, flags: f}, nil
	case c == 'b':
		p.pos++
		return &node{kind: kWord, flags: f}, nil
	case c == 'B':
		p.pos++
		return &node{kind: kNotWord, flags: f}, nil
	case c >= '1' && c <= '9':
		end := p.pos + 1
		if end < len(p.text) && p.text[end] >= '0' && p.text[end] <= '9' {
			end++
		}
		number, err := strconv.Atoi(p.text[p.pos:end])
		if err != nil {
			return nil, p.fail("bad escape: %v", err)
		}
		p.pos = end
		return p.reference(number, strconv.Itoa(number), f)
	}
	it, err := p.escaped()
	if err != nil {
		return nil, err
	}
	if it.category != 0 {
		return &node{kind: kClass, flags: f, items: []item{it}}, nil
	}
	return &node{kind: kLiteral, flags: f, r: it.lo}, nil
}

// escaped parses what may stand after a backslash both in and outside of a class.
func (p *parser) escaped() (item, error) {
	if !p.more() {
		return item{}, p.fail("bad escape (end of pattern)")
	}
	r := p.rune()
	one := func(r rune) (item, error) { return item{lo: r, hi: r}, nil }
	switch r {
	case 'd', 'w', 's', 'D', 'W', 'S':
		return item{category: byte(r)}, nil
	case 'n':
		return one('\n')
	case 't':
		return one('\t')
	case 'r':
		return one('\r')
	case 'f':
		return one('\f')
	case 'v':
		return one('\v')
	case 'a':
		return one('\a')
	case 'x':
		return p.hex(2)
	case 'u':
		return p.hex(4)
	case 'U':
		return p.hex(8)
	case '0':
		end := p.pos
		for end < len(p.text) && end < p.pos+2 && p.text[end] >= '0' && p.text[end] <= '7' {
			end++
		}
		v, err := strconv.ParseInt("0"+p.text[p.pos:end], 8, 32)
		if err != nil {
			return item{}, p.fail("bad escape: %v", err)
		}
		p.pos = end
		return one(rune(v))
	}
	if r < utf8.RuneSelf && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') {
		p.pos--
		return item{}, p.fail("bad escape \\%c", r)
	}
	return one(r)
}

func (p *parser) hex(n int) (item, error) {
	if p.pos+n > len(p.text) {
		return item{}, p.fail("incomplete escape")
	}
	v, err := strconv.ParseUint(p.text[p.pos:p.pos+n], 16, 32)
	if err != nil || v > utf8.MaxRune || v >= 0xd800 && v < 0xe000 {
		return item{}, p.fail("bad escape: %q is no character number", p.text[p.pos:p.pos+n])
	}
	p.pos += n
	return item{lo: rune(v), hi: rune(v)}, nil
}

// class parses after an opening bracket.
func (p *parser) class(f flags) (*node, error) {
	n := &node{kind: kClass, flags: f, negated: p.accept("^")}
	for first := true; ; first = false {
		if !p.more() {
			return nil, p.fail("unterminated character set")
		}
		if !first && p.accept("]") {
			return n, nil
		}
		lo, err := p.member()
		if err != nil {
			return nil, err
		}
		if !p.has("-") || strings.HasPrefix(p.text[p.pos:], "-]") {
			n.items = append(n.items, lo)
			continue
		}
		p.pos++
		if !p.more() {
			return nil, p.fail("unterminated character set")
		}
		hi, err := p.member()
		if err != nil {
			return nil, err
		}
		if lo.category != 0 || hi.category != 0 || hi.lo < lo.lo {
			return nil, p.fail("bad character range")
		}
		n.items = append(n.items, item{lo: lo.lo, hi: hi.lo})
	}
}

func (p *parser) member() (item, error) {
	r := p.rune()
	if r != '\\' {
		return item{lo: r, hi: r}, nil
	}
	if p.accept("b") {
		return item{lo: '\b', hi: '\b'}, nil
	}
	return p.escaped()
}
