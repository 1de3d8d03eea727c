package match

import (
	"fmt"
	"slices"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
)

// maxDepth bounds the nesting of an expression.
const maxDepth = 200

type parser struct {
	text   string
	tokens []token
	next   int
	system pflog.System
	last   *qualifiers // of the last host, net, port or portrange, for values that stand alone after it
}

func (p *parser) peek() token { return p.tokens[p.next] }

func (p *parser) take() token {
	t := p.tokens[p.next]
	if t.kind != end {
		p.next++
	}
	return t
}

func (p *parser) fail(t token, format string, args ...any) error {
	return &Error{p.text, t.offset, fmt.Sprintf(format, args...)}
}

// expression = term { ("and" | "or") term }, from left to right.
func (p *parser) expression(depth int) (Filter, error) {
	left, err := p.term(depth)
	for err == nil {
		t := p.peek()
		if t.kind != and && t.kind != or {
			return left, nil
		}
		p.take()
		var right Filter
		if right, err = p.term(depth); err != nil {
			break
		}
		a := left
		if t.kind == and {
			left = func(p *capture.Packet) bool { return a(p) && right(p) }
		} else {
			left = func(p *capture.Packet) bool { return a(p) || right(p) }
		}
	}
	return nil, err
}

// term = "not" term | "(" expression ")" | primitive
func (p *parser) term(depth int) (Filter, error) {
	t := p.peek()
	if depth > maxDepth {
		return nil, p.fail(t, "nested too deep")
	}
	switch t.kind {
	case not:
		p.take()
		f, err := p.term(depth + 1)
		if err != nil {
			return nil, err
		}
		return func(p *capture.Packet) bool { return !f(p) }, nil
	case open:
		p.take()
		f, err := p.expression(depth + 1)
		if err != nil {
			return nil, err
		}
		if c := p.take(); c.kind != closing {
			return nil, p.fail(c, "expected \")\", found %s", c)
		}
		return f, nil
	case word:
		return p.primitive()
	case quoted:
		return nil, p.fail(t, "a name in quotes needs a word like \"on\" in front of it")
	}
	return nil, p.fail(t, "expected a primitive such as \"tcp\" or \"port 22\", found %s", t)
}

// qualifiers are the words in front of a host, net, port or portrange.
type qualifiers struct {
	nat      bool
	protocol protocol
	ends     ends
	kind     string // host, net, port, portrange or "" for whatever the value looks like
}

// primitive parses one primitive; the next token is a word.
func (p *parser) primitive() (Filter, error) {
	first := p.peek()
	if test, err := p.field(first); test != nil || err != nil {
		return test, err
	}
	var q qualifiers
	if first.text == "nat" {
		p.take()
		q.nat = true
		if !p.qualifierFollows() {
			return func(p *capture.Packet) bool { return p.Rewritten }, nil
		}
	}
	protocolWord := p.peek()
	if known, found := protocols[protocolWord.text]; found && protocolWord.kind == word {
		p.take()
		q.protocol = known
	}
	directed := p.direction(&q)
	kindWord := p.peek()
	if kindWord.kind == word && slices.Contains([]string{"host", "net", "port", "portrange"}, kindWord.text) {
		p.take()
		q.kind = kindWord.text
		return p.value(q)
	}
	switch {
	case directed, q.nat:
		if kindWord.kind != word || !isAddress(kindWord.text) {
			return nil, p.fail(kindWord, "expected host, net, port, portrange or an address, found %s", kindWord)
		}
		return p.value(q)
	case q.protocol != (protocol{}):
		if kindWord.kind == word && isAddress(kindWord.text) {
			return p.value(q)
		}
		return q.protocol.test, nil
	case isAddress(first.text) && (p.last == nil || !p.last.fits(first.text)):
		return p.value(q)
	case p.last != nil && p.last.fits(first.text):
		return p.value(*p.last)
	}
	return nil, p.fail(first, "unknown word %s", first)
}

// qualifierFollows tells whether the next token goes on with "nat".
func (p *parser) qualifierFollows() bool {
	t := p.peek()
	if t.kind != word {
		return false
	}
	switch t.text {
	case "host", "net", "port", "portrange", "src", "dst":
		return true
	}
	_, known := protocols[t.text]
	return known || isAddress(t.text)
}

// direction parses "src", "dst", "src or dst" and "src and dst".
func (p *parser) direction(q *qualifiers) bool {
	t := p.peek()
	if t.kind != word || t.text != "src" && t.text != "dst" {
		return false
	}
	p.take()
	q.ends = sourceEnd
	other := "dst"
	if t.text == "dst" {
		q.ends, other = destinationEnd, "src"
	}
	if join := p.peek(); join.kind == and || join.kind == or {
		if second := p.tokens[p.next+1]; second.kind == word && second.text == other {
			p.next += 2
			q.ends = eitherEnd
			if join.kind == and {
				q.ends = bothEnds
			}
		}
	}
	return true
}

// fits tells whether a value alone can stand for the last qualifiers with this value.
func (q *qualifiers) fits(text string) bool {
	switch q.kind {
	case "port":
		_, err := parsePort(text)
		return err == nil
	case "portrange":
		_, _, err := parseRange(text)
		return err == nil
	case "net":
		_, err := parseNet(text)
		return err == nil
	}
	return isAddress(text)
}

// value parses the value after the qualifiers.
func (p *parser) value(q qualifiers) (Filter, error) {
	t := p.take()
	if t.kind != word && t.kind != quoted {
		return nil, p.fail(t, "expected a value after %q, found %s", q.kind, t)
	}
	p.last = &q
	switch q.kind {
	case "port":
		port, err := parsePort(t.text)
		if err != nil {
			return nil, p.fail(t, "%v", err)
		}
		return p.ports(q, t, port, port)
	case "portrange":
		low, high, err := parseRange(t.text)
		if err != nil {
			return nil, p.fail(t, "%v", err)
		}
		return p.ports(q, t, low, high)
	case "host":
		address, err := parseHost(t.text)
		if err != nil {
			return nil, p.fail(t, "%v", err)
		}
		return q.addresses(address), nil
	}
	text := t.text
	if m := p.peek(); q.kind == "net" && m.kind == word && m.text == "mask" {
		p.take()
		mask := p.take()
		prefix, err := parseMask(text, mask.text)
		if err != nil {
			return nil, p.fail(mask, "%v", err)
		}
		return q.addresses(prefix), nil
	}
	prefix, err := parseNet(text)
	if err != nil {
		return nil, p.fail(t, "%v", err)
	}
	return q.addresses(prefix), nil
}

func (p *parser) ports(q qualifiers, t token, low, high uint16) (Filter, error) {
	if q.protocol.number == protocolICMP || q.protocol.number == protocolICMP6 {
		return nil, p.fail(t, "ICMP has no ports")
	}
	return q.ports(low, high), nil
}
