package pfctl

import (
	"net/netip"
	"testing"
)

func TestParseState(t *testing.T) {
	at := netip.MustParseAddrPort
	for _, c := range []struct {
		name, line string
		want       State
		bad        bool
	}{
		{name: "knocked from outside", line: "all tcp 203.0.113.1:22 <- 192.0.2.50:1001       CLOSED:SYN_SENT",
			want: State{Proto: "tcp", Opener: at("192.0.2.50:1001"), Peer: at("203.0.113.1:22")}},
		{name: "logged in from outside", line: "all tcp 203.0.113.1:22 <- 192.0.2.50:1001       ESTABLISHED:ESTABLISHED",
			want: State{Proto: "tcp", Opener: at("192.0.2.50:1001"), Peer: at("203.0.113.1:22"), Established: true}},
		{name: "translated on its way out", line: "em0 tcp 10.0.0.5:3333 (203.0.113.5:61212) -> 192.0.2.50:80       ESTABLISHED:ESTABLISHED",
			want: State{Proto: "tcp", Opener: at("10.0.0.5:3333"), Peer: at("192.0.2.50:80"), Out: true, Established: true}},
		{name: "the other way of writing it", line: "em0 tcp 203.0.113.5:61212 (10.0.0.5:3333) -> 192.0.2.50:80       SYN_SENT:CLOSED",
			want: State{Proto: "tcp", Opener: at("203.0.113.5:61212"), Peer: at("192.0.2.50:80"), Out: true}},
		{name: "translated, old PF", line: "all tcp 10.0.0.5:3333 -> 203.0.113.5:61212 -> 192.0.2.50:80       ESTABLISHED:ESTABLISHED",
			want: State{Proto: "tcp", Opener: at("10.0.0.5:3333"), Peer: at("192.0.2.50:80"), Out: true, Established: true}},
		{name: "redirected, old PF", line: "all tcp 10.0.0.7:80 <- 203.0.113.5:80 <- 192.0.2.50:5555       ESTABLISHED:ESTABLISHED",
			want: State{Proto: "tcp", Opener: at("192.0.2.50:5555"), Peer: at("10.0.0.7:80"), Established: true}},
		{name: "IPv6", line: "all tcp 2001:db8::1[22] <- 2001:db8::50[1001]       FIN_WAIT_2:FIN_WAIT_2",
			want: State{Proto: "tcp", Opener: at("[2001:db8::50]:1001"), Peer: at("[2001:db8::1]:22"), Established: true}},
		{name: "a reset proves nothing", line: "all tcp 203.0.113.1:22 <- 192.0.2.50:1001       TIME_WAIT:TIME_WAIT",
			want: State{Proto: "tcp", Opener: at("192.0.2.50:1001"), Peer: at("203.0.113.1:22")}},
		{name: "UDP proves nothing", line: "all udp 203.0.113.1:53 <- 192.0.2.50:1001       MULTIPLE:MULTIPLE",
			want: State{Proto: "udp", Opener: at("192.0.2.50:1001"), Peer: at("203.0.113.1:53")}},
		{name: "ICMP", line: "all icmp 192.0.2.50:8 <- 10.0.0.5:8       0:0",
			want: State{Proto: "icmp", Opener: at("10.0.0.5:8"), Peer: at("192.0.2.50:8")}},
		{name: "a detail of -v", line: "   age 00:00:01, expires in 00:00:29", bad: true},
		{name: "two arrows that disagree", line: "all tcp 1.2.3.4:1 <- 1.2.3.5:2 -> 1.2.3.6:3 X:Y", bad: true},
		{name: "no arrow", line: "all tcp 1.2.3.4:1 1.2.3.5:2 X:Y", bad: true},
		{name: "empty", line: "", bad: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := ParseState([]byte(c.line))
			if ok == c.bad {
				t.Fatalf("ok is %v", ok)
			}
			if ok && got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

func FuzzParseState(f *testing.F) {
	f.Add([]byte("em0 tcp 10.0.0.5:3333 (203.0.113.5:61212) -> 192.0.2.50:80       ESTABLISHED:ESTABLISHED"))
	f.Add([]byte("all tcp 2001:db8::1[22] <- 2001:db8::50[1001]       CLOSED:SYN_SENT"))
	f.Fuzz(func(t *testing.T, line []byte) {
		s, ok := ParseState(line)
		if ok && (!s.Opener.IsValid() || !s.Peer.IsValid() || s.Established && s.Proto != "tcp") {
			t.Errorf("%q: %+v", line, s)
		}
	})
}
