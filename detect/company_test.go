package detect

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// member6 is an address of the nth /64 of one /48.
func member6(n int) string { return fmt.Sprintf("2001:db8:7:%x::%x", n*257, n+1) }

// A /48 becomes a company with its twelfth member, whatever the secret seed, and not before.
func TestCompany6Exact(t *testing.T) {
	for seed := range uint64(100) {
		b := newBench(t, Config{Seed: seed})
		for door := range 3 {
			for n := range 11 {
				b.feed(probe(member6(n), float64(door*100+n), "2001:db8::5", 100+door))
			}
		}
		if got := b.Stats().Companies; got != 0 {
			t.Fatalf("seed %d: eleven members are a company", seed)
		}
		for door := range 2 {
			b.feed(probe(member6(11), 400+float64(door), "2001:db8::5", 100+door))
		}
		if got := b.Stats().Companies; got != 1 {
			t.Fatalf("seed %d: twelve members with two doors or more are no company", seed)
		}
		// Those of three doors are judged at once.
		if len(b.verdicts) != 11 || !strings.Contains(b.verdicts[0].Reasons[0], "12 sources and more of 2001:db8:7::/48 knocked on 35 doors") {
			t.Errorf("seed %d: %s", seed, b.told())
		}
	}
}

// Members that others have pushed out of the table are judged with their company as well, of IPv6 as of IPv4, also by who was restored from a
// snapshot meanwhile.
func TestCompanySpilled(t *testing.T) {
	member4 := func(n int) string { return fmt.Sprintf("192.0.2.%d", n*19) }
	for _, tt := range []struct {
		name   string
		member func(n int) string
		bits6  int
		again  bool
	}{{"IPv4", member4, 64, false}, {"IPv6", member6, 64, false}, {"IPv6, restored", member6, 64, true}, {"IPv6, sources are /56s", member6, 56, false}} {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{Seed: 3, Portscan: PortscanConfig{Slots: 64, Prefix6: tt.bits6}}
			b := newBench(t, c)
			for n := range 11 {
				for door := range 3 {
					b.feed(probe(tt.member(n), float64(n*10+door), "203.0.113.5", 100+(door+n)%6))
				}
			}
			for n := range 150 { // who have as many doors, later, and of a kind that waits nowhere
				for door := range 6 {
					o := probe(fmt.Sprintf("198.51.%d.1", n), 600+float64(n), "203.0.113.5", 100+door+n)
					o.Kind = Stealth
					b.feed(o)
				}
			}
			if tt.again {
				var state bytes.Buffer
				if err := b.Snapshot(&state); err != nil {
					t.Fatal(err)
				}
				b = newBench(t, c)
				if err := b.Restore(&state, time.Time{}); err != nil {
					t.Fatal(err)
				}
			}
			var want []string
			spilled := 0
			for n := range 11 {
				k := b.scanKey(addr(tt.member(n)))
				h := b.hash.key(k)
				if b.scan.glance(k, h, seconds(b.now)) != nil {
					want = append(want, k.prefix(32, tt.bits6).String())
				}
				if b.scan.table.find(k, h) == nil {
					spilled++
				}
			}
			if spilled < 6 || len(want) < 9 {
				t.Fatalf("%d of 11 were pushed out, %d are known", spilled, len(want))
			}
			b.verdicts = nil
			for door := range 2 {
				b.feed(probe(tt.member(11), 1100+float64(door), "203.0.113.5", 100+door))
			}
			var got []string
			for _, v := range b.verdicts {
				got = append(got, v.Source.String())
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("judged are %v, expected %v", got, want)
			}
		})
	}
}

// Keys longer than /64 are found in the table of slots alone, where the next knock of a member that is not there will do.
func TestCompany6Long(t *testing.T) {
	b := newBench(t, Config{Seed: 3, Portscan: PortscanConfig{Prefix6: 128}})
	for n := range 14 {
		for door := range 3 {
			b.feed(probe(fmt.Sprintf("2001:db8:7::%x", n+1), float64(n*10+door), "2001:db8::5", 100+door))
		}
	}
	if len(b.verdicts) != 14 {
		t.Errorf("%d verdicts: %s", len(b.verdicts), b.told())
	}
}

// TestCompanyAtOneAddress: a dozen machines of one /24 that check the same three doors of one address are no company, and a dozen that have more doors
// between them are; of IPv6 three are enough.
func TestCompanyAtOneAddress(t *testing.T) {
	member4 := func(n int) string { return fmt.Sprintf("192.0.2.%d", n*19) }
	for _, tt := range []struct {
		name   string
		member func(n int) string
		doors  int
		hosts  int
		want   bool
	}{
		{"three doors", member4, 3, 1, false},
		{"three ports of three addresses", member4, 3, 3, false},
		{"six", member4, 6, 1, true},
		{"five doors of many addresses", member4, 5, 5, false},
		{"IPv6, three doors", member6, 3, 1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, Config{})
			for h := range tt.hosts {
				b.feed(probe("198.51.100.1", 0, fmt.Sprintf("203.0.113.%d", 1+h), 80))
				b.feed(probe("2001:db8:ffff::1", 0, fmt.Sprintf("2001:db8:1::%d", 1+h), 80))
			}
			for n := range 12 {
				for k := range 3 {
					door, to := (n+k)%tt.doors, "203.0.113.%d"
					if strings.Contains(tt.member(n), ":") {
						to = "2001:db8:1::%d"
					}
					b.feed(probe(tt.member(n), float64(n*300+k), fmt.Sprintf(to, 1+door%tt.hosts), 100+door))
				}
			}
			if got := b.told() != ""; got != tt.want {
				t.Errorf("company %v, want %v: %s", got, tt.want, b.told())
			}
		})
	}
}
