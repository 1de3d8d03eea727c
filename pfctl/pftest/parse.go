package pftest

import (
	"fmt"
	"strconv"
	"strings"
)

// The rule forms known here:
//
//	table <name> [persist] [const] [counters] [{ addr … }] [file "path"]
//	anchor ["name[/*]"] [in|out] [on if] [inet|inet6] [proto p] [from … to …] [{ rules }]
//	pass|match|block [drop|return…] [in|out] [log [(…)]] [quick] [on [!] if] [inet|inet6] [proto p|{…}]
//	    [all | from addr|<table>|{…}|any [port …] to …] [flags …] [keep|modulate|synproxy|no state [(…)]] [label "…"] [tag …]
//	set …   name = "macro"   # comment

// tableDef is a table as a rules file declares it.
type tableDef struct {
	name                    string
	persist, konst, counted bool
	filled                  bool // with a list, even an empty one
	list                    []address
	nodes                   []string // its lists and files as -v prints them
	line                    int
}

// parsed is a rules file: its own rules, and those of anchors written in braces.
type parsed struct {
	tables  []tableDef
	rules   []*rule
	limits  []Limit
	anchors map[string]*parsed // by the anchor's name, relative
}

type parser struct {
	pf     *PF
	toks   []token
	pos    int
	stderr func(string)         // lines printed before the error itself
	echo   func(string, ...any) // what -v prints while it reads
	inline int
	soft   softErrors
	order  int // how far the file has come: options, normalization, …
}

// syntaxError is a fault with its line; msg is what follows "file:line: ".
type syntaxError struct {
	line int
	msg  string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("%d: %s", e.line, e.msg) }

// softErrors are faults after which the reading goes on, so that all of them are told; the file is not loaded.
type softErrors []*syntaxError

func (e softErrors) Error() string { return fmt.Sprintf("%d faults", len(e)) }

func (p *parser) peek() token {
	if p.pos < len(p.toks) {
		return p.toks[p.pos]
	}
	line := 1
	if n := len(p.toks); n > 0 {
		line = p.toks[n-1].line
	}
	return token{text: endOfLine, line: line}
}

func (p *parser) next() token {
	t := p.peek()
	p.pos++
	return t
}

// word reports whether the next token is the unquoted word s, and takes it.
func (p *parser) word(s string) bool {
	t := p.peek()
	if t.quoted || t.table || t.text != s {
		return false
	}
	p.pos++
	return true
}

func (p *parser) atEnd() bool {
	t := p.peek()
	return !t.quoted && t.text == endOfLine
}

func (p *parser) syntax() error { return &syntaxError{p.peek().line, "syntax error"} }

func (p *parser) fault(line int, format string, args ...any) error {
	return &syntaxError{line, fmt.Sprintf(format, args...)}
}

// block reads rules up to the end or, inside an anchor's braces, to the closing one.
func (p *parser) block(inBraces bool) (*parsed, error) {
	out := &parsed{anchors: map[string]*parsed{}}
	for p.pos < len(p.toks) {
		if p.atEnd() {
			p.pos++
			continue
		}
		if inBraces && p.word("}") {
			return out, nil
		}
		t := p.next()
		var err error
		switch {
		case t.quoted || t.table:
			p.pos--
			err = p.syntax()
		case t.text == "table":
			err = p.table(out)
		case t.text == "anchor":
			if err = p.inOrder(t, orderFilter); err == nil {
				err = p.anchor(out)
			}
		case t.text == "set":
			err = p.set(out, t)
		case t.text == "pass" || t.text == "block" || (t.text == "match" && p.pf.prof.MatchRules):
			if err = p.inOrder(t, orderFilter); err == nil {
				err = p.rule(out, t)
			}
		case leftOut[t.text] != 0:
			err = p.inOrder(t, leftOut[t.text])
			for !p.atEnd() { // read and left out: they neither drop nor count anything here
				p.pos++
			}
		default:
			p.pos--
			err = p.syntax()
		}
		if err != nil {
			return nil, err
		}
	}
	if inBraces {
		return nil, p.syntax()
	}
	return out, nil
}

func (p *parser) table(out *parsed) error {
	t := p.next()
	if !t.table {
		p.pos--
		return p.syntax()
	}
	if len(t.text) > 31 {
		return p.fault(t.line, "table name too long, max %d chars", 31)
	}
	def := tableDef{name: t.text, line: t.line}
	for !p.atEnd() {
		w := p.next()
		switch {
		case w.text == "persist":
			def.persist = true
		case w.text == "const":
			def.konst = true
		case w.text == "counters" && p.pf.prof.CountersWord:
			def.counted = true
		case w.text == "{" && !w.quoted:
			def.filled = true
			earlier := def.list
			def.list = nil
			if err := p.tableList(&def); err != nil {
				return err
			}
			text := "{"
			for _, a := range def.list {
				text += map[bool]string{true: " !", false: " "}[a.not] + a.key.String()
			}
			def.nodes = append([]string{text + " }"}, def.nodes...)
			def.list = append(def.list, earlier...) // lists and files count from the last to the first
		case w.text == "file":
			f := p.next()
			def.filled = true
			list, before, fault := p.pf.readAddressFile(f.text)
			if before != "" {
				p.stderr(before)
			}
			if fault != "" {
				return p.fault(w.line, "%s", fault)
			}
			def.list = append(list, def.list...)
			def.nodes = append([]string{"file \"" + f.text + "\""}, def.nodes...)
		default:
			return p.fault(w.line, "invalid table option '%s'", w.text)
		}
	}
	out.tables = append(out.tables, def)
	p.echoTable(def)
	return nil
}

// echoTable prints a table's declaration as -v does.
func (p *parser) echoTable(def tableDef) {
	text := "table <" + def.name + ">"
	for _, f := range []struct {
		on   bool
		name string
	}{{def.konst, " const"}, {def.persist, " persist"}, {def.counted, " counters"}} {
		if f.on {
			text += f.name
		}
	}
	for _, n := range def.nodes {
		text += " " + n
	}
	p.echo("%s\n", text)
}

func (p *parser) tableList(def *tableDef) error {
	not := false
	for {
		t := p.next()
		switch {
		case t.quoted && t.text == "":
			return p.fault(t.line, "syntax error")
		case t.text == "}":
			return nil
		case t.text == "," || t.text == endOfLine && p.pos <= len(p.toks):
			continue
		case t.text == "!":
			not = !not
			continue
		case p.pos > len(p.toks):
			return p.syntax()
		case t.text == "weight" && p.pf.prof.Weights && len(def.list) > 0:
			n, err := strconv.Atoi(p.next().text)
			if err != nil {
				return p.syntax()
			}
			def.list[len(def.list)-1].weight = n
			continue
		}
		list, aerr := p.pf.parseAddress(t.text, false)
		if aerr != nil {
			if aerr.einval {
				return p.fault(t.line, "cannot create address buffer: Invalid argument")
			}
			if aerr.text != "" {
				p.stderr(aerr.text)
			}
			return p.fault(t.line, "could not parse host specification")
		}
		for _, a := range list {
			a.not = a.not != not
			def.list = append(def.list, a)
		}
		not = false
	}
}

func (p *parser) anchor(out *parsed) error {
	r := &rule{Action: "anchor"}
	start := p.peek()
	switch {
	case start.quoted || (start.text != "{" && start.text != "in" && start.text != "out" && start.text != "on" && start.text != "all" &&
		start.text != "from" && start.text != "proto" && start.text != "inet" && start.text != "inet6" && start.text != endOfLine && !start.table):
		r.Anchor = p.next().text
		if r.Anchor == "" {
			return p.fault(start.line, "anchor name must not be empty")
		}
		if strings.HasPrefix(r.Anchor, "_") {
			return p.fault(start.line, "anchor names beginning with '_' are reserved for internal use")
		}
	case start.text == endOfLine:
		return p.syntax()
	default:
		p.inline++
		r.Anchor, r.Inline = fmt.Sprintf("_%d", p.inline), true
	}
	rules, err := p.tail(r)
	if err != nil {
		return err
	}
	if p.word("{") {
		sub, err := p.block(true)
		if err != nil {
			return err
		}
		out.anchors[r.Anchor] = sub
	} else if r.Inline {
		return p.fault(start.line, "anchors without rules must specify a name")
	}
	if !p.atEnd() {
		return p.syntax()
	}
	out.rules = append(out.rules, rules...)
	return nil
}

func (p *parser) rule(out *parsed, action token) error {
	r := &rule{Action: action.text}
	if r.Action == "block" {
		r.Return = "drop"
		for _, w := range []string{"drop", "return", "return-rst", "return-icmp", "return-icmp6"} {
			if p.word(w) {
				r.Return = w
				if p.peek().text == "(" {
					args, err := p.parens()
					if err != nil {
						return err
					}
					r.Return += "(" + args + ")"
				}
				break
			}
		}
	}
	rules, err := p.tail(r)
	if err != nil {
		return err
	}
	if !p.atEnd() && p.peek().text != "}" {
		return p.syntax()
	}
	out.rules = append(out.rules, rules...)
	return nil
}

// parens takes ( … ) and returns what is inside.
func (p *parser) parens() (string, error) {
	p.next()
	var w []string
	for {
		t := p.next()
		switch {
		case t.text == endOfLine && !t.quoted:
			p.pos--
			return "", p.syntax()
		case t.text == ")" && !t.quoted:
			return strings.ReplaceAll(strings.Join(w, " "), " , ", ", "), nil
		}
		w = append(w, t.text)
	}
}
