// Package match is the language of pfwarden's --filter: expressions in tcpdump's words over decoded pflog records. Unlike
// libpcap's filters, which compare the address family with that of the machine they run on, it works for IPv6 of every system.
//
// An expression joins primitives with "and" (&&), "or" (||), "not" (!) and parentheses. As in pcap-filter(7), "not" binds
// tightest, and "and" and "or" are equal and associate to the left. As there too, a value alone after "and" or "or" repeats
// the qualifiers before it: "tcp dst port 22 or 23".
//
//	ip ip6 tcp udp icmp icmp6         version or transport protocol, after IPv6 extension headers
//	proto NAME|NUMBER                 IP protocol
//	[src|dst] host ADDR               also without "host", and "src or dst", "src and dst"
//	[src|dst] net PREFIX              10.0.0.0/8, 10/8, 10, 192.168, 2001:db8::/32, 10.0.0.0 mask 255.0.0.0
//	[src|dst] port PORT               number or one of the usual service names; TCP, UDP, SCTP, DCCP, UDP-Lite
//	[src|dst] portrange FIRST-LAST
//	inbound outbound                  direction
//	on|ifname NAME                    interface, exact
//	action NAME|NUMBER                as in the JSON output; "drop" is "block"
//	reason NAME|NUMBER
//	rnr|rulenum N|def                 rule number; def is the default rule
//	srnr|subrulenum N|none
//	rset|ruleset NAME                 anchor, exact; "" is none
//	rid N|none                        ridentifier or tracker
//	uid N|none
//	flags LETTERS                     exactly these TCP flags, letters as in the JSON output (A is also .), or "none"
//	flags SET/MASK                    as in pf.conf(5): of the flags in MASK exactly those in SET
//	nat                               the packet was rewritten
//	nat PRIMITIVE                     host, net, port or portrange of the translated addresses
//
// tcp, udp, ip, ip6, icmp and icmp6 may stand in front of host, net, port and portrange. A name with blanks or parentheses is
// written "in quotes". A comparison with a field that a record does not have is false.
package match

import (
	"fmt"
	"strings"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
)

// Filter tells whether a packet matches. It allocates nothing and may be used from several goroutines.
type Filter func(p *capture.Packet) bool

// Error is a fault in an expression.
type Error struct {
	Expression string
	Offset     int // in bytes, of the word at fault
	Message    string
}

// Error shows the expression with a caret below the word at fault.
func (e *Error) Error() string {
	line := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, e.Expression)
	column := len([]rune(e.Expression[:e.Offset]))
	return fmt.Sprintf("filter: %s\n  %s\n  %s^", e.Message, line, strings.Repeat(" ", column))
}

// Compile parses an expression. system resolves names of actions and reasons as in the output. An empty expression matches every
// packet. The error is an *Error.
func Compile(expression string, system pflog.System) (Filter, error) {
	tokens, err := scan(expression)
	if err != nil {
		return nil, err
	}
	p := &parser{text: expression, tokens: tokens, system: system}
	if p.peek().kind == end {
		return func(*capture.Packet) bool { return true }, nil
	}
	f, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != end {
		return nil, p.fail(t, "expected \"and\", \"or\" or the end, found %s", t)
	}
	return f, nil
}
