package pftest

import (
	"strconv"
)

// tail reads everything of a rule after its action, and expands its lists into rules.
func (p *parser) tail(r *rule) ([]*rule, error) {
	if p.word("in") {
		r.Dir = "in"
	} else if p.word("out") {
		r.Dir = "out"
	}
	if p.word("log") {
		r.Log = "log"
		if p.peek().text == "(" {
			args, err := p.parens()
			if err != nil {
				return nil, err
			}
			r.Log += " (" + args + ")"
		}
	}
	if p.word("quick") {
		r.Quick = true
	}
	var ifs []string
	if p.word("on") {
		r.IfNot = p.word("!")
		ifs = p.list()
		if len(ifs) == 0 {
			return nil, p.syntax()
		}
	}
	for _, af := range []string{"inet", "inet6"} {
		if p.word(af) {
			r.AF = af
		}
	}
	protos, err := p.protos()
	if err != nil {
		return nil, err
	}
	src, dst := []side{{}}, []side{{}}
	if !p.word("all") {
		if p.word("from") {
			if src, err = p.sides(); err != nil {
				return nil, err
			}
		}
		if p.word("to") {
			if dst, err = p.sides(); err != nil {
				return nil, err
			}
		}
	}
	if err := p.options(r); err != nil {
		return nil, err
	}
	return p.expand(r, ifs, protos, src, dst), nil
}

// list takes one word, or words in braces.
func (p *parser) list() []string {
	if !p.word("{") {
		if p.atEnd() {
			return nil
		}
		return []string{p.next().text}
	}
	var out []string
	for p.pos < len(p.toks) && !p.word("}") {
		if t := p.next(); t.text != "," && t.text != endOfLine {
			out = append(out, t.text)
		}
	}
	return out
}

func (p *parser) protos() ([]int, error) {
	if !p.word("proto") {
		return []int{0}, nil
	}
	line := p.peek().line
	var out []int
	for _, w := range p.list() {
		n, known := protoNumbers[w]
		if !known {
			var err error
			if n, err = strconv.Atoi(w); err != nil || n < 0 || n > 255 {
				return nil, p.fault(line, "unknown protocol %s", w)
			}
		}
		out = append(out, n)
	}
	if len(out) == 0 {
		return nil, p.syntax()
	}
	return out, nil
}

// sides reads one end: a host or a list of hosts, and a port or a list of ports.
func (p *parser) sides() ([]side, error) {
	hosts := []side{{}}
	var err error
	switch {
	case p.peek().text == "port" && !p.peek().quoted:
	case p.word("{"):
		hosts = nil
		for !p.word("}") {
			if p.pos >= len(p.toks) {
				return nil, p.syntax()
			}
			if p.word(",") || p.word(endOfLine) {
				continue
			}
			h, err := p.hosts()
			if err != nil {
				return nil, err
			}
			hosts = append(hosts, h...)
		}
	default:
		if hosts, err = p.hosts(); err != nil {
			return nil, err
		}
	}
	if !p.word("port") {
		return hosts, nil
	}
	var list []ports
	if p.word("{") {
		for !p.word("}") {
			if p.pos >= len(p.toks) {
				return nil, p.syntax()
			}
			if p.word(",") || p.word(endOfLine) {
				continue
			}
			one, err := p.port()
			if err != nil {
				return nil, err
			}
			list = append(list, one)
		}
	} else {
		one, err := p.port()
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	var out []side
	for _, h := range hosts {
		for _, q := range list {
			h.Port = q
			out = append(out, h)
		}
	}
	return out, nil
}

func (p *parser) hosts() ([]side, error) {
	not := p.word("!")
	if p.peek().text == "(" && !p.peek().quoted {
		name, err := p.parens()
		return []side{{Not: not, Iface: name}}, err
	}
	t := p.next()
	switch {
	case t.text == endOfLine && !t.quoted, !t.quoted && !t.table && (t.text == "}" || t.text == ")" || t.text == "="):
		p.pos--
		return nil, p.syntax()
	case t.table:
		return []side{{Not: not, Table: t.text}}, nil
	case t.text == "any":
		return []side{{}}, nil
	}
	list, aerr := p.pf.parseAddress(t.text, false)
	if aerr != nil {
		if aerr.text != "" {
			p.stderr(aerr.text)
		}
		return nil, p.fault(t.line, "could not parse host specification")
	}
	var out []side
	for _, a := range list {
		k := a.key
		out = append(out, side{Not: not, Net: &k, NetS: k.String()})
	}
	return out, nil
}

func (p *parser) portNumber(s string) (uint16, bool) {
	if n, ok := serviceNumbers[s]; ok {
		return n, true
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err == nil
}

func (p *parser) port() (ports, error) {
	t := p.next()
	switch t.text {
	case "=", "!=", "<", "<=", ">", ">=":
		v := p.next()
		n, ok := p.portNumber(v.text)
		if !ok {
			return ports{}, p.fault(v.line, "unknown port %s", v.text)
		}
		return ports{Op: t.text, A: n}, nil
	}
	for i, c := range t.text {
		if c != ':' {
			continue
		}
		a, ok := p.portNumber(t.text[:i])
		b, ok2 := p.portNumber(t.text[i+1:])
		if !ok || !ok2 {
			return ports{}, p.fault(t.line, "unknown port %s", t.text)
		}
		return ports{Op: ":", A: a, B: b}, nil
	}
	a, ok := p.portNumber(t.text)
	if !ok {
		return ports{}, p.fault(t.line, "unknown port %s", t.text)
	}
	if op := p.peek().text; op == "><" || op == "<>" {
		p.pos++
		v := p.next()
		b, ok := p.portNumber(v.text)
		if !ok {
			return ports{}, p.fault(v.line, "unknown port %s", v.text)
		}
		return ports{Op: op, A: a, B: b}, nil
	}
	return ports{Op: "=", A: a}, nil
}

// options reads what may follow the addresses.
func (p *parser) options(r *rule) error {
	rest := ""
	for !p.atEnd() {
		t := p.peek()
		if t.quoted || t.table || t.text == "{" || t.text == "}" {
			break
		}
		p.pos++
		switch t.text {
		case "flags":
			r.Flags = p.next().text
		case "no", "keep", "modulate", "synproxy":
			if !p.word("state") {
				return p.syntax()
			}
			r.State = t.text
			if p.peek().text == "(" {
				var err error
				if r.Options, err = p.parens(); err != nil {
					return err
				}
			}
		case "label":
			r.Label = p.next().text
		case "tag", "tagged", "queue", "rtable", "user", "group", "prio", "tos", "received-on":
			rest += " " + t.text + " " + p.next().text
		case "allow-opts", "once":
			rest += " " + t.text
		case "icmp-type", "icmp6-type":
			p.list()
		default:
			p.pos--
			return p.syntax()
		}
	}
	if rest != "" {
		r.Rest = rest[1:]
	}
	return nil
}

// expand makes the rules of every combination that fits together, in pfctl's order.
func (p *parser) expand(r *rule, ifs []string, protos []int, src, dst []side) []*rule {
	if len(ifs) == 0 {
		ifs = []string{""}
	}
	var out []*rule
	line := p.peek().line
	for _, iface := range ifs {
		for _, proto := range protos {
			for _, s := range src {
				for _, d := range dst {
					one := *r
					one.If, one.Proto, one.Src, one.Dst = iface, proto, s, d
					if !p.family(&one) {
						continue
					}
					if (s.Port.Op != "" || d.Port.Op != "") && !p.hasPorts(proto) {
						what := "port only applies to tcp/udp"
						if p.pf.prof.Name == "freebsd15" {
							what += "/sctp"
						}
						p.complain(line, what)
						p.complain(line, "skipping rule due to errors")
						continue
					}
					p.defaults(&one)
					out = append(out, &one)
				}
			}
		}
	}
	if len(out) == 0 {
		p.complain(line, "rule expands to no valid combination")
	}
	return out
}

func (p *parser) complain(line int, what string) {
	p.soft = append(p.soft, &syntaxError{line, what})
}

// hasPorts says whether rules of a protocol may name ports.
func (p *parser) hasPorts(proto int) bool {
	return proto == 6 || proto == 17 || proto == 132 && p.pf.prof.Name == "freebsd15"
}

// family takes the address family of a rule from its addresses, and says whether they agree.
func (p *parser) family(r *rule) bool {
	for _, s := range []side{r.Src, r.Dst} {
		if s.Net == nil {
			continue
		}
		af := "inet"
		if s.Net.six {
			af = "inet6"
		}
		if r.AF != "" && r.AF != af {
			return false
		}
		r.AF = af
	}
	return true
}

// defaults fills in what pfctl adds: states and flags of pass rules.
func (p *parser) defaults(r *rule) {
	if r.Action != "pass" {
		return
	}
	if r.State == "" {
		r.State = "keep"
	}
	if r.Flags == "" && r.State != "no" && (r.Proto == 0 || r.Proto == 6) {
		r.Flags = "S/SA"
	}
	if r.Flags == "any" && r.Proto != 0 && r.Proto != 6 {
		r.Flags = ""
	}
}
