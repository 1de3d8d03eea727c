package daemon

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pfwarden/detect"
	"pfwarden/pfctl"
)

func TestStateNotices(t *testing.T) {
	n := newStateNotices([]netip.Addr{netip.MustParseAddr("203.0.113.1")})
	for _, line := range []string{
		"all tcp 203.0.113.1:22 <- 192.0.2.50:1001       ESTABLISHED:ESTABLISHED", // logged in: credit
		"all tcp 203.0.113.1:22 <- 192.0.2.50:1002       ESTABLISHED:ESTABLISHED", // once a target
		"all tcp 203.0.113.1:22 <- 192.0.2.51:1001       CLOSED:SYN_SENT",         // a knock that anybody can forge: nothing
		"all tcp 10.0.0.7:80 (203.0.113.1:80) <- 192.0.2.52:5 ESTABLISHED:ESTABLISHED",
		"all tcp 192.0.2.52:5 -> 10.0.0.7:80 ESTABLISHED:ESTABLISHED",                         // its other half: nobody we judge
		"all tcp 192.0.2.60:443 <- 10.0.0.5:3333       ESTABLISHED:ESTABLISHED",               // our side's, coming in from inside
		"all tcp 10.0.0.5:3333 (203.0.113.1:61212) -> 192.0.2.60:443 ESTABLISHED:ESTABLISHED", // and going out
		"all udp 203.0.113.1:5353 -> 192.0.2.61:53       SINGLE:NO_TRAFFIC",                   // our own
		"all tcp 203.0.113.1:40000 -> 203.0.113.1:22       ESTABLISHED:ESTABLISHED",           // with ourselves
		"all tcp 2001:db8::1[22] <- 2001:db8::50[1001]       ESTABLISHED:ESTABLISHED",         // IPv6 credit
		"all tcp 2001:db8:5::1[40000] -> 2001:db8::99[443]       SYN_SENT:CLOSED",             // IPv6, ours
	} {
		s, ok := pfctl.ParseState([]byte(line))
		if !ok {
			t.Fatalf("not a state: %s", line)
		}
		n.take(s)
	}
	single := func(a string) netip.Prefix { x := netip.MustParseAddr(a); return netip.PrefixFrom(x, x.BitLen()) }
	credit := func(a, target string) detect.Notice {
		at := netip.MustParseAddrPort(target)
		return detect.Notice{Kind: detect.State, Source: single(a), Established: true, Target: detect.Target{Address: at.Addr(), Port: at.Port(), Protocol: 6}}
	}
	ours := func(a string) detect.Notice { return detect.Notice{Kind: detect.State, Source: single(a), Ours: true} }
	want := []detect.Notice{
		credit("192.0.2.50", "203.0.113.1:22"), credit("192.0.2.52", "10.0.0.7:80"), ours("192.0.2.60"), ours("192.0.2.61"),
		credit("2001:db8::50", "[2001:db8::1]:22"), ours("2001:db8::99"),
	}
	if d := cmp.Diff(want, n.list, cmp.Comparer(func(a, b detect.Notice) bool { return a == b })); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
