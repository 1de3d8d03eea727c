package detect

import (
	"fmt"
	"testing"
)

// TestVictimForAnHour: who looks like the victim of an attack needs twice the doors for an hour, and no longer: a scanner could buy a day with a
// few packets.
func TestVictimForAnHour(t *testing.T) {
	const a, hour = "192.0.2.7", 3600.0
	for _, tt := range []struct {
		name    string
		answers int     // it sends from the second minute on, one each ten seconds
		last    float64 // when its last door follows the first six
		doors   int     // what it knocks on then
		want    string
	}{
		{"seven doors", 0, 600, 1, a + " portscan spoofable"},
		{"seven doors of a victim", 30, 600, 1, ""},
		{"fourteen doors of a victim", 30, 600, 8, a + " portscan spoofable"},
		{"two hours later", 30, 2.5 * hour, 1, a + " portscan spoofable"},
		{"too few answers", 20, 600, 1, a + " portscan spoofable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, Config{})
			for i := range 6 {
				b.feed(probe(a, float64(i), fmt.Sprintf("203.0.113.%d", i), 80))
			}
			for i := range tt.answers {
				o := probe(a, 60+10*float64(i), "203.0.113.9", 40000+i)
				o.Kind = Backscatter
				b.feed(o)
			}
			for i := range tt.doors {
				b.feed(probe(a, tt.last+float64(i), fmt.Sprintf("203.0.113.%d", 20+i), 80))
			}
			if got := b.told(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestVictimsInACompany: the members of a network that scans as one do not save their few probes each by sending what victims send.
func TestVictimsInACompany(t *testing.T) {
	b := newBench(t, Config{Portscan: PortscanConfig{Addresses: 256}})
	for n := range 14 {
		a := fmt.Sprintf("198.51.100.%d", 1+n)
		for i := range 30 {
			o := probe(a, float64(n)+10*float64(i), "203.0.113.9", 40000+i)
			o.Kind = Backscatter
			b.feed(o)
		}
	}
	for n := range 14 {
		for door := range 4 {
			b.feed(probe(fmt.Sprintf("198.51.100.%d", 1+n), 600+float64(10*n+door), fmt.Sprintf("203.0.113.%d", n), 100+door))
		}
	}
	if len(b.verdicts) != 14 {
		t.Errorf("%d of 14 members were judged: %s", len(b.verdicts), b.told())
	}
}
