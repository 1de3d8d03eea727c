package match_test

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/capture/pflog/match"
)

func flow(source string, sport uint16, destination string, dport uint16) capture.Flow {
	return capture.Flow{Source: netip.MustParseAddr(source), SourcePort: sport, Destination: netip.MustParseAddr(destination), DestinationPort: dport}
}

const tcpHas = capture.HasTTL | capture.HasProtocol | capture.HasPorts | capture.HasTCPFlags | capture.HasTCPSeq

// packets are told apart by their letters in the tests below.
var packets = map[string]capture.Packet{
	// a: a SYN to ssh, blocked on em0
	"a": {Dialect: 100, IPVersion: 4, Protocol: 6, Has: tcpHas | capture.HasUID, UID: 0, TCPFlags: 2, Action: 1, Direction: capture.In, Interface: "em0",
		Rule: 7, Subrule: capture.NoRule, Flow: flow("198.51.100.7", 40000, "203.0.113.5", 22)},
	// b: an IPv6 SYN-ACK passed out on em1 by an anchor, rewritten
	"b": {Dialect: 100, IPVersion: 6, Protocol: 6, Has: tcpHas | capture.HasTranslated | capture.HasUID, UID: 1000, TCPFlags: 18, Action: 0, Direction: capture.Out,
		Interface: "em1", Anchor: "relayd", Rule: 3, Subrule: 4, Flow: flow("2001:db8::5", 22, "2001:db8::7", 50000), Rewritten: true,
		Translated: flow("10.0.0.5", 2222, "192.0.2.1", 50001)},
	// c: UDP to domain, default rule, with a ridentifier, matched
	"c": {Dialect: 69, IPVersion: 4, Protocol: 17, Has: capture.HasTTL | capture.HasProtocol | capture.HasPorts, Action: 12, Direction: capture.In, Interface: "em10",
		Rule: capture.NoRule, Subrule: capture.NoRule, RuleID: 42, Flow: flow("10.1.2.3", 53, "10.9.9.9", 53)},
	// d: an ICMP echo request dropped by pf as short, on an interface with a strange name
	"d": {Dialect: 61, IPVersion: 4, Protocol: 1, Has: capture.HasTTL | capture.HasProtocol | capture.HasICMPType, ICMPType: 8, Reason: 3, Direction: capture.In,
		Interface: "my if", Rule: 0, Subrule: capture.NoRule, Flow: flow("192.0.2.9", 0, "198.51.100.7", 0)},
	// e: an IPv6 packet of another protocol, direction forward, ambiguous action
	"e": {Dialect: 61, IPVersion: 6, Protocol: 47, Has: capture.HasTTL | capture.HasProtocol, Action: 12, Reason: 15, Direction: capture.Forward, Interface: "em0",
		Rule: 7, Subrule: capture.NoRule, Flow: flow("fe80::1", 0, "ff02::1", 0)},
	// f: cut within the IP header
	"f": {Dialect: 69, IPVersion: 4, Action: 1, Direction: capture.In, Interface: "em0", Rule: 7, Subrule: capture.NoRule, Truncated: true},
}

func TestMatch(t *testing.T) {
	t.Parallel()
	tests := []struct{ expression, want string }{
		{"", "abcdef"},
		{"ip", "acdf"}, {"ip6", "be"}, {"tcp", "ab"}, {"udp", "c"}, {"icmp", "d"}, {"icmp6", ""}, {"proto 47", "e"}, {"proto tcp", "ab"}, {`proto \udp`, "c"},
		{"host 198.51.100.7", "ad"}, {"src host 198.51.100.7", "a"}, {"dst host 198.51.100.7", "d"}, {"198.51.100.7", "ad"}, {"src 198.51.100.7", "a"},
		{"host 2001:db8::5", "b"}, {"src or dst host 2001:db8::7", "b"}, {"src and dst net 10/8", "c"}, {"src and dst net 2001:db8::/64", "b"},
		{"net 10", "c"}, {"net 10.1.2", "c"}, {"net 10.0.0.0/8", "c"}, {"10.0.0.0/8", "c"}, {"dst net 10.9.0.0/16", "c"}, {"net 198.51.100.0/24 or 192.0.2.0/24", "ad"},
		{"net 198.51.100.0 mask 255.255.255.0", "ad"}, {"net 2001:db8::/32", "b"}, {"src net 0.0.0.0/0", "acd"}, {"net ::/0", "be"}, {"ip6 net ::/0 and tcp", "b"},
		{"port 22", "ab"}, {"src port 22", "b"}, {"dst port 22", "a"}, {"dst port ssh", "a"}, {"tcp dst port 22", "a"}, {"udp port 22", ""}, {"port 22 or 53", "abc"},
		{"tcp port 22 or domain", "ab"}, {"portrange 20-30", "ab"}, {"dst portrange 50-60", "c"}, {"dst portrange ssh-domain", "ac"}, {"src and dst port 53", "c"},
		{"tcp host 198.51.100.7", "a"}, {"ip6 port 22", "b"}, {"portrange 53", "c"},
		{"inbound", "acdf"}, {"outbound", "b"}, {"on em0", "aef"}, {"on em", ""}, {"ifname em1", "b"}, {"on em10", "c"}, {`on "my if"`, "d"},
		{"action block", "af"}, {"action drop", "af"}, {"action pass", "bd"}, {"action match", "c"}, {"action 12", "ce"}, {"action nat", ""}, {`action "unknown(12)"`, "ce"},
		{"reason match", "abcf"}, {"reason short", "d"}, {"reason 15", "e"}, {"reason map-failed", ""},
		{"rnr 7", "aef"}, {"rulenum 0", "d"}, {"rnr def", "c"}, {"rnr 4294967295", "c"}, {"srnr 4", "b"}, {"subrulenum none", "acdef"}, {"rset relayd", "b"},
		{"ruleset relay", ""}, {`rset ""`, "acdef"}, {"rid 42", "c"}, {"rid none", "abdef"}, {"uid 0", "a"}, {"uid 1000", "b"}, {"uid none", "cdef"},
		{"flags S", "a"}, {"flags S.", "b"}, {"flags SA", "b"}, {"flags S/SA", "a"}, {"flags S/S", "ab"}, {"flags /FR", "ab"}, {"flags none", ""},
		{"nat", "b"}, {"nat host 10.0.0.5", "b"}, {"nat src host 10.0.0.5", "b"}, {"nat dst host 10.0.0.5", ""}, {"nat port 2222", "b"}, {"nat dst port 50001", "b"},
		{"nat net 10/8", "b"}, {"nat 192.0.2.1", "b"}, {"nat tcp dst portrange 50000-50010", "b"}, {"nat and tcp", "b"}, {"not nat", "acdef"}, {"nat host 2001:db8::5", ""},
		{"not tcp", "cdef"}, {"!tcp", "cdef"}, {"not not tcp", "ab"}, {"! ( tcp or udp )", "def"}, {"tcp && ip6", "b"}, {"tcp||udp", "abc"},
		{"not tcp and udp", "c"}, {"udp or tcp and ip6", "b"}, {"udp or (tcp and ip6)", "bc"}, {"not host 198.51.100.7", "bcef"}, {"port 22 or udp and ip6", "b"},
		{"not port 22 and 53", "c"}, {"(port 22) and src 198.51.100.7", "a"}, {"inbound and action block and on em0 and tcp dst port 22 or 23", "a"},
	}
	for _, test := range tests {
		t.Run(test.expression, func(t *testing.T) {
			t.Parallel()
			filter, err := match.Compile(test.expression, pflog.Auto)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for name, p := range packets {
				if filter(&p) {
					got = append(got, name)
				}
			}
			slices.Sort(got)
			if strings.Join(got, "") != test.want {
				t.Errorf("matches %v, want %q", got, test.want)
			}
		})
	}
}

func TestSystemResolvesNames(t *testing.T) {
	t.Parallel()
	p := packets["e"]
	for system, want := range map[pflog.System]string{pflog.Darwin: "nodummynet", pflog.FreeBSD: "match", pflog.OpenBSD: "match"} {
		for _, name := range []string{"match", "nodummynet"} {
			filter, err := match.Compile("action "+name, system)
			if err != nil {
				t.Fatal(err)
			}
			if filter(&p) != (name == want) {
				t.Errorf("%v: action %s is %t", system, name, filter(&p))
			}
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		expression string
		offset     int
		message    string
	}{
		{"tcp and bogus", 8, `unknown word "bogus"`},
		{"tcp udp", 4, `expected "and", "or" or the end, found "udp"`},
		{"host em0", 5, "names are not looked up"},
		{"port", 4, "found the end"},
		{"port 65536", 5, "neither a port number"},
		{"port 22 or", 10, "found the end"},
		{"(tcp", 4, `expected ")"`},
		{"tcp)", 3, `found ")"`},
		{"tcp & udp", 4, `write "&&"`},
		{"action blok", 7, "unknown action"},
		{"reason why", 7, "unknown reason"},
		{"src", 3, "expected host, net"},
		{"dst tcp", 4, "expected host, net"},
		{"net 10.1/8", 4, "did you mean 10.0.0.0/8"},
		{"net 10.0.0.0 mask 255.0.255.0", 18, "has a hole"},
		{"rnr seven", 4, "neither a number nor def"},
		{"flags Q", 6, "no TCP flag"},
		{"flags S/A", 6, "can never match"},
		{"icmp port 22", 10, "ICMP has no ports"},
		{`on "em0`, 3, "not closed"},
		{`"em0"`, 0, "in quotes"},
		{"and tcp", 0, `found "and"`},
		{"22", 0, `unknown word "22"`},
		{"proto frob", 6, "unknown protocol"},
		{"portrange 1-x", 10, "not a range"},
		{strings.Repeat("(", 300) + "tcp", 201, "nested too deep"},
	}
	for _, test := range tests {
		t.Run(test.expression, func(t *testing.T) {
			t.Parallel()
			_, err := match.Compile(test.expression, pflog.Auto)
			var fault *match.Error
			if !errors.As(err, &fault) {
				t.Fatalf("error %v", err)
			}
			if fault.Offset != test.offset || !strings.Contains(fault.Message, test.message) {
				t.Errorf("at %d: %s, want at %d: %s", fault.Offset, fault.Message, test.offset, test.message)
			}
		})
	}
}

func TestCaret(t *testing.T) {
	t.Parallel()
	_, err := match.Compile("on é and bogus", pflog.Auto)
	want := "filter: unknown word \"bogus\"\n  on é and bogus\n           ^"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestNoAllocation(t *testing.T) {
	filter, err := match.Compile("inbound and action block and reason match and on em0 and tcp dst port 22 or 23 and not net 10/8", pflog.Auto)
	if err != nil {
		t.Fatal(err)
	}
	p := packets["a"]
	if n := testing.AllocsPerRun(100, func() { filter(&p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
