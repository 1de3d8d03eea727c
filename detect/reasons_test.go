package detect

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestTrapKnocksAreTold: one port that makes seven doors is told as the one door that it is, with the knocks that count half.
func TestTrapKnocksAreTold(t *testing.T) {
	b := newBench(t, Config{Portscan: PortscanConfig{TrapPorts: []uint16{23}}})
	for hour := range 13 {
		b.feed(probe("192.0.2.7", float64(hour)*3600, "203.0.113.5", 23))
	}
	if len(b.verdicts) != 1 {
		t.Fatalf("verdicts: %s", b.told())
	}
	const want = "portscan: 1 new door and 12 later knocks on trap ports in 12 hours: 203.0.113.5 port 23; score 1.00 (5.9 of 7 doors, enough since doors decay, later knocks, one an hour, count half)"
	if got := strings.Join(b.verdicts[0].Reasons, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestCreditIsTold: a log-in's own target is no door, and the door that it took off is told.
func TestCreditIsTold(t *testing.T) {
	b := newBench(t, Config{})
	for _, o := range scanOf("192.0.2.7", 0, 3) {
		b.feed(o)
	}
	b.Notice(Notice{Time: at(10), Kind: Login, Source: netip.MustParsePrefix("192.0.2.7/32"), Target: Target{Address: addr("203.0.113.5"), Port: 22, Protocol: 6}})
	const want = "portscan: 3 new doors in 10 seconds: 203.0.113.5 ports 100, 101, 102; score 0.29 (2.0 of 7 doors, 1 door taken off: it logged in, or a connection with it stands)"
	if got := strings.Join(b.Explain(addr("192.0.2.7"), at(10)).Reasons, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestPortsCutOffAreTold: a port that nobody could read is not port 0.
func TestPortsCutOffAreTold(t *testing.T) {
	b := newBench(t, Config{})
	o := probe("2001:db8:7::1", 0, "2001:db8:1::5", 0)
	o.Kind = UnknownFlags
	b.feed(o)
	e := b.Explain(addr("2001:db8:7::1"), at(0).Add(time.Second))
	if got := strings.Join(e.Reasons, "|"); !strings.Contains(got, "2001:db8:1::5 port cut off;") {
		t.Errorf("reasons: %s", got)
	}
}
