package detect

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// flooded adds to a day a flood of n sources of k probes each between two times of the day, as somebody would send it who wants others to be
// forgotten. The flood's sources share no /24.
func (d *day) flooded(n, k int, from, to float64) *day {
	f := &day{r: d.r, hosts: d.hosts, class: d.class, notices: d.notices}
	flood := make([]Observation, 0, n*k)
	for i := range n {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], uint32(i+1)*0x9e3779b1)
		a := netip.AddrFrom4(b)
		if _, taken := d.class[a]; taken || Bogon(a) || b[0] == 77 { // 77: where the spread prefixes of the day are
			continue
		}
		s := from + (to-from)*float64(i)/float64(n)
		for j := range k {
			flood = append(flood, Observation{
				Time: at(s + float64(j)), Source: a, Jail: "portscan", Kind: Probe, TTL: 55,
				Target: Target{Address: d.host(i), Port: uint16(1 + i%60000 + j), Protocol: 6},
			})
		}
	}
	f.records = append(slices.Clone(d.records), flood...)
	slices.SortStableFunc(f.records, func(a, b Observation) int { return a.Time.Compare(b.Time) })
	return f
}

// TestEvictionAttack: a flood of sources with three probes each, four times as many as the table holds, changes no verdict on anybody else.
func TestEvictionAttack(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("three million packets")
	}
	d := makeDay(1, 256)
	c := Config{Seed: 1}
	calm, _ := d.judge(t, c)
	stormy, stats := d.flooded(1_000_000, 3, 30000, 33600).judge(t, c)
	t.Logf("%d evictions, %d of %d slots, doorkeeper turned %d times", stats.Evictions, stats.SlotsUsed, stats.Slots, stats.DoorkeeperRotations)
	lost, flood, gained := 0, 0, 0
	for a := range calm {
		if !stormy[a] {
			lost++
			t.Logf("lost %v %s", a, d.class[a])
		}
	}
	for a := range stormy {
		if _, known := d.class[a]; !known {
			flood++
		} else if !calm[a] {
			gained++
			t.Logf("gained %v %s", a, d.class[a])
		}
	}
	if lost+flood+gained > 0 {
		t.Errorf("of %d verdicts %d were lost, %d came new, and %d fell on the flood", len(calm), lost, gained, flood)
	}
}

// TestProtectionIsBounded: whoever forges sources past half of their threshold, so that none of them may go, does not keep a scanner out.
func TestProtectionIsBounded(t *testing.T) {
	b := newBench(t, Config{Seed: 1, Portscan: PortscanConfig{Slots: 1024}})
	for i := range 20000 {
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], uint32(i+1)*0x9e3779b1)
		for j := range 5 {
			b.feed(Observation{
				Time: at(float64(i) / 10), Source: netip.AddrFrom4(ip), Jail: "portscan", Kind: Probe,
				Target: Target{Address: addr("203.0.113.1"), Port: uint16(j), Protocol: 6},
			})
		}
	}
	b.verdicts = nil
	for i := range 10 {
		b.feed(probe("192.0.2.1", 2100+float64(i), "203.0.113.5", 100+i))
	}
	if got, want := b.told(), "192.0.2.1 portscan spoofable"; got != want {
		t.Errorf("verdicts: %q, expected %q", got, want)
	}
}

// TestGateRaising: what a source does by itself opens no gate for it: neither its own states nor the answers that it gets.
func TestGateRaising(t *testing.T) {
	const a = "192.0.2.7"
	b := newBench(t, Config{})
	p := netip.MustParsePrefix(a + "/32")
	for i := range 7 {
		b.Notice(Notice{Time: at(float64(i)), Kind: State, Source: p, Target: Target{Address: addr("203.0.113.1"), Port: 80, Protocol: 6}})
		b.feed(probe(a, float64(i), "203.0.113.5", 100+i))
	}
	if got, want := b.told(), a+" portscan spoofable"; got != want {
		t.Errorf("verdicts: %q, expected %q", got, want)
	}
}

// TestCredit: an established connection takes one door off, once for each target, and never leaves a balance.
func TestCredit(t *testing.T) {
	const a = "192.0.2.7"
	p := netip.MustParsePrefix(a + "/32")
	established := func(s float64, port uint16) Notice {
		return Notice{Time: at(s), Kind: State, Established: true, Source: p, Target: Target{Address: addr("203.0.113.1"), Port: port, Protocol: 6}}
	}
	b := newBench(t, Config{})
	b.Notice(established(0, 80)) // before any door: no balance
	list := scanOf(a, 1, 8)
	for _, o := range list[:3] {
		b.feed(o)
	}
	b.Notice(established(4, 443))
	b.Notice(Notice{Time: at(5), Kind: Login, Source: p, Target: Target{Address: addr("203.0.113.1"), Port: 443, Protocol: 6}}) // the same target
	for _, o := range list[3:7] {
		b.feed(o)
	}
	if len(b.verdicts) != 0 {
		t.Fatalf("judged at six doors: %s", b.told())
	}
	b.feed(list[7])
	if got, want := b.told(), a+" portscan spoofable"; got != want {
		t.Errorf("verdicts: %q, expected %q", got, want)
	}
}

// TestForgiven: an administrator's unban clears the suspicion as well.
func TestForgiven(t *testing.T) {
	const a = "192.0.2.7"
	b := newBench(t, Config{Jails: []JailConfig{jail("sshd", 5, time.Hour)}})
	for i := range 4 {
		b.feed(fail("sshd", a, float64(i)))
		b.feed(probe(a, float64(i)+0.5, "203.0.113.5", 100+i)) // the sum judges on its way
	}
	b.verdicts = nil
	b.Notice(Notice{Time: at(10), Kind: Forgiven, Source: netip.MustParsePrefix(a + "/32")})
	if e := b.Explain(addr(a), at(11)); e.Score != 0 || len(e.Evidence) != 0 {
		t.Errorf("score %v, %d observations after forgiveness", e.Score, len(e.Evidence))
	}
	for i := range 4 {
		b.feed(fail("sshd", a, 20+float64(i)))
	}
	if len(b.verdicts) != 0 {
		t.Errorf("verdicts: %s", b.told())
	}
	// Logs tell whole seconds: what comes after the unban in the same second looks older, and counts.
	b.Notice(Notice{Time: at(30.9), Kind: Forgiven, Source: netip.MustParsePrefix(a + "/32")})
	for range 5 {
		b.feed(fail("sshd", a, 30))
	}
	if got, want := b.told(), a+" sshd proven"; got != want {
		t.Errorf("verdicts: %q, expected %q", got, want)
	}
}

// TestPrefixVerdict: enough proven members judge their prefix, unless somebody in it must not be banned.
func TestPrefixVerdict(t *testing.T) {
	tests := []struct {
		name   string
		config func(*Config)
		notice *Notice
		proven bool
		want   string
	}{
		{name: "proven members", proven: true, want: "198.51.100.0/24 sshd proven"},
		{name: "off by default", config: func(c *Config) { c.Prefix.Enabled = false }, proven: true},
		{name: "unproven members", proven: false},
		{name: "a contacted address inside", notice: &Notice{Time: start, Kind: Contact, Source: netip.MustParsePrefix("198.51.100.200/32")}, proven: true, want: "198.51.100.0/24 sshd stopped:prefix_member"},
		{name: "an address of ours inside", config: func(c *Config) { c.Own = []netip.Addr{addr("198.51.100.250")} }, proven: true, want: "198.51.100.0/24 sshd stopped:prefix_member"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{Jails: []JailConfig{jail("sshd", 2, time.Hour)}, Prefix: PrefixConfig{Enabled: true}}
			if tt.config != nil {
				tt.config(&c)
			}
			b := newBench(t, c)
			if tt.notice != nil {
				b.Notice(*tt.notice)
			}
			for i := range 12 {
				for j := range 2 {
					o := fail("sshd", netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}).String(), float64(i*10+j))
					o.Proven = tt.proven
					b.feed(o)
				}
			}
			b.verdicts = slices.DeleteFunc(b.verdicts, func(v Verdict) bool { return v.Source.Bits() == 32 })
			if got := b.told(); got != tt.want {
				t.Errorf("verdicts: %q, expected %q", got, tt.want)
			}
		})
	}
}
