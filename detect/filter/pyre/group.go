package pyre

import (
	"strconv"
	"strings"
)

// group parses after an opening parenthesis. It returns nil for what stands for nothing: comments and flags.
func (p *parser) group(f *flags) (*node, error) {
	start := p.pos
	if !p.accept("?") {
		if p.has("(?i)") { // ((?i)x): fail2ban makes it (?i:x)
			return p.body(&node{kind: kGroup}, *f)
		}
		return p.capture("", *f)
	}
	switch {
	case p.accept(":"):
		return p.body(&node{kind: kGroup}, *f)
	case p.accept("P<"), p.has("<") && !p.has("<=") && !p.has("<!") && p.accept("<"):
		return p.named(*f)
	case p.accept("P="):
		return p.namedBackref(*f)
	case p.accept("="):
		return p.body(&node{kind: kLook}, *f)
	case p.accept("!"):
		return p.body(&node{kind: kLook, negated: true}, *f)
	case p.accept("<="):
		return p.body(&node{kind: kLook, behind: true}, *f)
	case p.accept("<!"):
		return p.body(&node{kind: kLook, behind: true, negated: true}, *f)
	case p.accept(">"):
		return p.body(&node{kind: kAtomic}, *f)
	case p.accept("#"):
		i := strings.IndexByte(p.text[p.pos:], ')')
		if i < 0 {
			return nil, p.fail("missing ), unterminated comment")
		}
		p.pos += i + 1
		return nil, nil
	case p.accept("("):
		return p.condition(*f)
	}
	return p.inlineFlags(f, start)
}

func (p *parser) inlineFlags(f *flags, start int) (*node, error) {
	inner, set := *f, true
	for p.more() {
		switch p.text[p.pos] {
		case 'i':
			inner = inner.with(ignoreCase, set)
		case 'm':
			inner = inner.with(multiLine, set)
		case 's':
			inner = inner.with(dotAll, set)
		case 'x':
			inner = inner.with(verbose, set)
		case 'u', 'a', 'L':
		case '-':
			set = false
		case ')':
			p.pos++
			*f = inner
			return nil, nil
		case ':':
			p.pos++
			return p.body(&node{kind: kGroup}, inner)
		default:
			p.pos = start
			return nil, p.fail("unknown extension ?%.1s", p.text[start+1:])
		}
		p.pos++
	}
	return nil, p.fail("missing ), unterminated group")
}

func (f flags) with(bit flags, set bool) flags {
	if set {
		return f | bit
	}
	return f &^ bit
}

// body parses the content of n up to its closing parenthesis.
func (p *parser) body(n *node, f flags) (*node, error) {
	n.flags = f
	sub, err := p.alternation(&f)
	if err != nil {
		return nil, err
	}
	if !p.accept(")") {
		return nil, p.fail("missing ), unterminated group")
	}
	n.subs = []*node{sub}
	return n, nil
}

func (p *parser) capture(name string, f flags) (*node, error) {
	n := &node{kind: kGroup, number: len(p.names)}
	p.names = append(p.names, name)
	if name != "" {
		if _, taken := p.byName[name]; taken {
			return nil, p.fail("redefinition of group name %q", name)
		}
		p.byName[name] = n.number
	}
	p.open[n.number] = true
	defer delete(p.open, n.number)
	return p.body(n, f)
}

func (p *parser) name(end string) (string, error) {
	i := strings.Index(p.text[p.pos:], end)
	if i < 0 {
		return "", p.fail("missing %s, unterminated name", end)
	}
	name := p.text[p.pos : p.pos+i]
	if !identifier(name) {
		return "", p.fail("bad character in group name %q", name)
	}
	p.pos += i + len(end)
	return name, nil
}

func identifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' && i > 0) {
			return false
		}
	}
	return s != ""
}

func (p *parser) named(f flags) (*node, error) {
	name, err := p.name(">")
	if err != nil {
		return nil, err
	}
	return p.capture(name, f)
}

func (p *parser) namedBackref(f flags) (*node, error) {
	name, err := p.name(")")
	if err != nil {
		return nil, err
	}
	return p.reference(p.byName[name], name, f)
}

func (p *parser) reference(number int, name string, f flags) (*node, error) {
	if number == 0 || number >= len(p.names) {
		return nil, p.fail("unknown group %q", name)
	}
	if p.open[number] {
		return nil, p.fail("cannot refer to an open group")
	}
	return &node{kind: kBackref, flags: f, number: number}, nil
}

func (p *parser) condition(f flags) (*node, error) {
	i := strings.IndexByte(p.text[p.pos:], ')')
	if i < 0 {
		return nil, p.fail("missing ), unterminated condition")
	}
	name := p.text[p.pos : p.pos+i]
	number := p.byName[name]
	if v, err := strconv.Atoi(name); err == nil {
		number = v
	}
	if number <= 0 || number >= len(p.names) {
		return nil, p.fail("unknown group %q", name)
	}
	p.pos += i + 1
	n, err := p.body(&node{kind: kCondition, number: number}, f)
	if err != nil {
		return nil, err
	}
	yes, no := n.subs[0], &node{kind: kConcat, flags: f}
	if yes.kind == kAlt {
		if len(yes.subs) != 2 {
			return nil, p.fail("conditional backref with more than two branches")
		}
		yes, no = yes.subs[0], yes.subs[1]
	}
	n.subs = []*node{yes, no}
	return n, nil
}
