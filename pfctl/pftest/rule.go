package pftest

import (
	"fmt"
	"strconv"
	"strings"
)

// rule is one rule of a ruleset, after the expansion of lists. Its fields are exported so that a state file can hold it.
type rule struct {
	Action  string `json:",omitempty"` // pass, block, match, anchor
	Return  string `json:",omitempty"` // for block: drop, return, …
	Dir     string `json:",omitempty"` // in, out
	Log     string `json:",omitempty"` // "log", "log (all)", …
	Quick   bool   `json:",omitempty"`
	IfNot   bool   `json:",omitempty"`
	If      string `json:",omitempty"`
	AF      string `json:",omitempty"` // inet, inet6
	Proto   int    `json:",omitempty"`
	Src     side
	Dst     side
	Flags   string `json:",omitempty"` // S/SA, any, …
	State   string `json:",omitempty"` // keep, modulate, synproxy, no
	Options string `json:",omitempty"` // of the state, in parentheses
	Label   string `json:",omitempty"`
	Rest    string `json:",omitempty"` // further words that do not decide about a packet
	Anchor  string `json:",omitempty"` // as written
	Inline  bool   `json:",omitempty"` // an anchor with its rules in braces and no name

	Evaluations uint64    `json:",omitempty"`
	Packets     [2]uint64 // by direction
	Bytes       [2]uint64
	Creations   uint64 `json:",omitempty"`
	LastActive  int64  `json:",omitempty"` // last time it decided a packet, Unix nanoseconds
}

// side is one end of "from … to …".
type side struct {
	Not   bool   `json:",omitempty"`
	Table string `json:",omitempty"`
	Net   *key   `json:"-"`
	NetS  string `json:",omitempty"` // Net as text, for the state file
	Iface string `json:",omitempty"` // a dynamic address: (em0)
	Port  ports
}

func (s side) any() bool { return s.Table == "" && s.Net == nil && s.Iface == "" }

// ports is a port condition: Op is "", "=", "!=", "<", "<=", ">", ">=", ":", "><" or "<>".
type ports struct {
	Op   string `json:",omitempty"`
	A, B uint16 `json:",omitempty"`
}

func (p ports) match(n uint16) bool {
	switch p.Op {
	case "":
		return true
	case "=":
		return n == p.A
	case "!=":
		return n != p.A
	case "<":
		return n < p.A
	case "<=":
		return n <= p.A
	case ">":
		return n > p.A
	case ">=":
		return n >= p.A
	case ":":
		return n >= p.A && n <= p.B
	case "><":
		return n > p.A && n < p.B
	case "<>":
		return n < p.A || n > p.B
	}
	return false
}

// tables lists the names of the tables that the rule asks.
func (r *rule) tables() []string {
	var out []string
	for _, s := range []side{r.Src, r.Dst} {
		if s.Table != "" {
			out = append(out, s.Table)
		}
	}
	return out
}

var protoNumbers = map[string]int{
	"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "icmp6": 58, "ipv6-icmp": 58, "carp": 112, "pfsync": 240,
	"sctp": 132,
}

func protoName(n int) string {
	switch n {
	case 1:
		return "icmp"
	case 6:
		return "tcp"
	case 17:
		return "udp"
	case 58:
		return "ipv6-icmp"
	}
	for s, v := range protoNumbers {
		if v == n {
			return s
		}
	}
	return strconv.Itoa(n)
}

var serviceNumbers = map[string]uint16{"ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "http": 80, "pop3": 110, "auth": 113,
	"ntp": 123, "imap": 143, "snmp": 161, "https": 443, "smtps": 465, "submission": 587, "imaps": 993, "pop3s": 995}

func (pf *PF) portText(n uint16, names bool) string {
	if names {
		for s, v := range serviceNumbers {
			if v == n {
				return s
			}
		}
	}
	return strconv.Itoa(int(n))
}

// sideText prints one end of a rule. count gives the number that -vv prints after a table's name.
func (pf *PF) sideText(s side, names bool, count func(table string) string) string {
	var b strings.Builder
	if s.Not {
		b.WriteString("! ")
	}
	switch {
	case s.Table != "":
		b.WriteString("<" + s.Table)
		if count != nil {
			b.WriteString(":" + count(s.Table))
		}
		b.WriteString(">")
	case s.Net != nil:
		b.WriteString(s.Net.String())
	case s.Iface != "":
		b.WriteString("(" + s.Iface + ")")
	default:
		b.WriteString("any")
	}
	p := s.Port
	switch p.Op {
	case "":
	case ":":
		fmt.Fprintf(&b, " port %s:%s", pf.portText(p.A, names), pf.portText(p.B, names))
	case "><", "<>":
		fmt.Fprintf(&b, " port %s %s %s", pf.portText(p.A, names), p.Op, pf.portText(p.B, names))
	default:
		fmt.Fprintf(&b, " port %s %s", p.Op, pf.portText(p.A, names))
	}
	return b.String()
}

// ruleText prints a rule as -s rules does.
func (pf *PF) ruleText(r *rule, names bool, count func(table string) string) string {
	w := []string{}
	if r.Action == "anchor" {
		w = append(w, "anchor")
		if !r.Inline {
			w = append(w, `"`+r.Anchor+`"`)
		}
	} else {
		w = append(w, r.Action)
	}
	add := func(s string) {
		if s != "" {
			w = append(w, s)
		}
	}
	add(r.Return)
	add(r.Dir)
	add(r.Log)
	if r.Quick {
		add("quick")
	}
	if r.If != "" {
		add("on")
		if r.IfNot {
			add("!")
		}
		add(r.If)
	}
	add(r.AF)
	if r.Proto != 0 {
		add("proto " + protoName(r.Proto))
	}
	if r.Src.any() && r.Dst.any() && r.Src.Port.Op == "" && r.Dst.Port.Op == "" {
		add("all")
	} else {
		add("from " + pf.sideText(r.Src, names, count) + " to " + pf.sideText(r.Dst, names, count))
	}
	if r.Flags != "" {
		add("flags " + r.Flags)
	}
	switch {
	case r.State == "no":
		add("no state")
	case r.State == "keep" && (pf.prof.KeepState || r.Options != ""):
		add("keep state")
	case r.State != "" && r.State != "keep":
		add(r.State + " state")
	}
	if r.Options != "" {
		add("(" + r.Options + ")")
	}
	if r.Label != "" {
		add(`label "` + r.Label + `"`)
	}
	add(r.Rest)
	return strings.Join(w, " ")
}
