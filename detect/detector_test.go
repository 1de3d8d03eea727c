package detect

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// bench is a detector with what it emitted.
type bench struct {
	*Detector
	verdicts []Verdict
}

func newBench(t testing.TB, c Config) *bench {
	t.Helper()
	if c.Portscan.Doorkeeper == 0 {
		c.Portscan.Doorkeeper = 1 << 16
	}
	if c.Portscan.Slots == 0 {
		c.Portscan.Slots = 1 << 12
	}
	if c.Limits.Contacts == 0 {
		c.Limits.Contacts = 1 << 10
	}
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &bench{Detector: d}
}

func (b *bench) feed(o ...Observation) {
	b.Observe(o, func(v Verdict) { b.verdicts = append(b.verdicts, v) })
}

// told prints the verdicts as "address jail/jail proven|spoofable|stopped:gate".
func (b *bench) told() string {
	var list []string
	for _, v := range b.verdicts {
		var jails []string
		for _, s := range v.Shares {
			jails = append(jails, s.Jail)
		}
		how := "spoofable"
		if v.Proven {
			how = "proven"
		}
		for _, g := range v.Gates {
			if g.Stopped {
				how = "stopped:" + g.Gate
			}
		}
		who := v.Source.String()
		if !v.Source.IsValid() {
			who = v.ID
		}
		list = append(list, fmt.Sprintf("%s %s %s", strings.TrimSuffix(strings.TrimSuffix(who, "/32"), "/128"), strings.Join(jails, "+"), how))
	}
	return strings.Join(list, "; ")
}

func fail(jail, source string, s float64) Observation {
	return Observation{Time: at(s), Source: addr(source), Jail: jail, Kind: Failure, Proven: true, Text: "failed"}
}

func unproven(o Observation) Observation { o.Proven = false; return o }

func probe(source string, s float64, target string, port int) Observation {
	return Observation{
		Time: at(s), Source: addr(source), Jail: "portscan", Kind: Probe, TTL: 60,
		Target: Target{Address: addr(target), Port: uint16(port), Protocol: 6},
	}
}

func jail(name string, n int, findtime time.Duration) JailConfig {
	return JailConfig{Name: name, Threshold: n, Findtime: findtime, Combine: true}
}

// scanOf is n probes of different ports, a second apart.
func scanOf(source string, from float64, n int) (list []Observation) {
	for i := range n {
		list = append(list, probe(source, from+float64(i), "203.0.113.5", 100+i))
	}
	return list
}

type neverSet map[netip.Addr]bool

func (n neverSet) Contains(a netip.Addr) bool { return n[a] }

func TestVerdicts(t *testing.T) {
	const a = "192.0.2.7"
	std := Config{Jails: []JailConfig{jail("sshd", 5, 10*time.Minute), jail("web", 3, time.Hour)}}
	each := func(list ...Observation) (records [][]Observation) {
		for _, o := range list {
			records = append(records, []Observation{o})
		}
		return records
	}
	fails := func(name, source string, from, gap float64, n int) (list []Observation) {
		for i := range n {
			list = append(list, fail(name, source, from+gap*float64(i)))
		}
		return list
	}
	kindOf := func(k Kind, list []Observation) []Observation {
		for i := range list {
			list[i].Kind = k
		}
		return list
	}
	tests := []struct {
		name    string
		config  func(*Config)
		notices []Notice
		records [][]Observation
		want    string
	}{
		{name: "four of five failures are none", records: each(fails("sshd", a, 0, 1, 4)...)},
		{name: "the fifth failure judges", records: each(fails("sshd", a, 0, 1, 5)...), want: a + " sshd proven"},
		{name: "ten failures judge twice", records: each(fails("sshd", a, 0, 1, 10)...), want: a + " sshd proven; " + a + " sshd proven"},
		{name: "five at exactly findtime", records: each(fails("sshd", a, 0, 150, 5)...), want: a + " sshd proven"},
		{name: "five over more than findtime", records: each(fails("sshd", a, 0, 150.1, 5)...)},
		{name: "late record counts where it belongs", records: each(fail("sshd", a, 0), fail("sshd", a, 10), fail("sshd", a, 300), fail("sshd", a, 400), fail("sshd", a, 5)), want: a + " sshd proven"},
		{name: "late record after its window", records: each(fail("sshd", a, 1000), fail("sshd", a, 1001), fail("sshd", a, 1002), fail("sshd", a, 1003), fail("sshd", a, 5))},
		{name: "attempts of one record", records: each(func() Observation { o := fail("sshd", a, 0); o.Count = 5; return o }()), want: a + " sshd proven"},
		{name: "two sources do not mix", records: each(append(fails("sshd", a, 0, 1, 4), fails("sshd", "192.0.2.8", 0, 1, 4)...)...)},
		{name: "an IPv6 source is its /64", records: each(fail("web", "2001:db8::1", 0), fail("web", "2001:db8::2", 1), fail("web", "2001:db8::ffff:1", 2)), want: "2001:db8::/64 web proven"},
		{name: "another /64 is another source", records: each(fail("web", "2001:db8::1", 0), fail("web", "2001:db8::2", 1), fail("web", "2001:db8:0:1::1", 2))},
		{name: "two half-full jails judge together", records: each(append(fails("sshd", a, 0, 1, 3), fails("web", a, 3, 1, 2)...)...), want: a + " web+sshd proven"},
		{name: "not where a jail does not combine", config: func(c *Config) { c.Jails[1].Combine = false }, records: each(append(fails("sshd", a, 0, 1, 3), fails("web", a, 3, 1, 2)...)...)},
		{name: "one record of two jails enters the sum once", records: [][]Observation{
			{fail("sshd", a, 0), fail("web", a, 0)}, {fail("sshd", a, 1), fail("web", a, 1)},
		}},
		{name: "and is judged by the jail that fills first", records: [][]Observation{
			{fail("sshd", a, 0), fail("web", a, 0)}, {fail("sshd", a, 1), fail("web", a, 1)}, {fail("sshd", a, 2), fail("web", a, 2)},
		}, want: a + " web proven"},
		{name: "unproven failures are spoofable", records: each(unproven(fail("web", a, 0)), unproven(fail("web", a, 1)), unproven(fail("web", a, 2))), want: a + " web spoofable"},
		{name: "one unproven failure makes it spoofable", records: each(fail("web", a, 0), unproven(fail("web", a, 1)), fail("web", a, 2)), want: a + " web spoofable"},
		{name: "six doors are none", records: each(scanOf(a, 0, 6)...)},
		{name: "seven doors judge", records: each(scanOf(a, 0, 7)...), want: a + " portscan spoofable"},
		{name: "seven doors in three hours judge", records: each(func() (l []Observation) {
			for i := range 7 {
				l = append(l, probe(a, float64(i)*1800, "203.0.113.5", 100+i))
			}
			return l
		}()...), want: a + " portscan spoofable"},
		{name: "one door again and again is none", records: each(func() (l []Observation) {
			for i := range 100 {
				l = append(l, probe(a, float64(i)*300, "203.0.113.5", 443))
			}
			return l
		}()...)},
		{name: "half a scan and half a brute force", records: each(append(scanOf(a, 0, 4), fails("sshd", a, 10, 1, 3)...)...), want: a + " sshd+portscan spoofable"},
		{name: "backscatter is none", records: each(kindOf(Backscatter, scanOf(a, 0, 100))...)},
		{name: "late packets are none", records: each(kindOf(Late, scanOf(a, 0, 100))...)},
		{name: "reflection is none", records: each(kindOf(Reflection, scanOf(a, 0, 100))...)},
		{name: "UDP alone is none", records: each(kindOf(UDPProbe, scanOf(a, 0, 500))...)},
		{name: "UDP and echo together are none", records: each(append(kindOf(UDPProbe, scanOf(a, 0, 50)), kindOf(Sweep, func() (l []Observation) {
			for i := range 100 {
				l = append(l, probe(a, 60, fmt.Sprintf("203.0.113.%d", i), 0))
			}
			return l
		}())...)...)},
		{name: "thirteen stealth probes are none", records: each(kindOf(Stealth, scanOf(a, 0, 13))...)},
		{name: "fourteen stealth probes judge", records: each(kindOf(Stealth, scanOf(a, 0, 14))...), want: a + " portscan spoofable"},
		{name: "a mark halves the threshold", records: each(func() []Observation {
			l := scanOf(a, 0, 4)
			l[0].Mark = Mirai
			return l
		}()...), want: a + " portscan spoofable"},
		{name: "one knock that looks like masscan's may be chance", records: each(func() []Observation {
			l := scanOf(a, 0, 6)
			l[0].Mark = Masscan
			return l
		}()...)},
		{name: "two are none", records: each(func() []Observation {
			l := scanOf(a, 0, 4)
			l[0].Mark, l[3].Mark = Masscan, Masscan
			return l
		}()...), want: a + " portscan spoofable"},
		{name: "TTL spread doubles it", records: each(func() []Observation {
			l := scanOf(a, 0, 9)
			l[0].TTL = 30
			return l
		}()...)},
		{name: "never-list stops proven verdicts too", config: func(c *Config) { c.Never = neverSet{addr(a): true} }, records: each(fails("web", a, 0, 1, 3)...), want: a + " web stopped:never"},
		{name: "a stopped verdict is told once", config: func(c *Config) { c.Never = neverSet{addr(a): true} }, records: each(fails("web", a, 0, 1, 30)...), want: a + " web stopped:never"},
		{name: "own address", config: func(c *Config) { c.Own = []netip.Addr{addr(a)} }, records: each(scanOf(a, 0, 20)...), want: a + " portscan stopped:own"},
		{name: "bogon", records: each(scanOf("127.0.0.1", 0, 20)...), want: "127.0.0.1 portscan stopped:bogon"},
		{name: "outbound contact stops a scan verdict", notices: []Notice{{Time: at(-3600), Kind: Contact, Source: netip.MustParsePrefix(a + "/32")}}, records: each(scanOf(a, 0, 20)...), want: a + " portscan stopped:contact"},
		{name: "a contact of the day before does not", notices: []Notice{{Time: at(-90000), Kind: Contact, Source: netip.MustParsePrefix(a + "/32")}}, records: each(scanOf(a, 0, 7)...), want: a + " portscan spoofable"},
		{name: "our state stops it", notices: []Notice{{Time: at(-10), Kind: State, Ours: true, Source: netip.MustParsePrefix(a + "/32")}}, records: each(scanOf(a, 0, 8)...), want: a + " portscan stopped:state"},
		{name: "a state that the source opened does not", notices: []Notice{{Time: at(-10), Kind: State, Source: netip.MustParsePrefix(a + "/32")}}, records: each(scanOf(a, 0, 7)...), want: a + " portscan spoofable"},
		{name: "a contact does not stop proven evidence", notices: []Notice{{Time: at(-10), Kind: Contact, Source: netip.MustParsePrefix(a + "/32")}}, records: each(fails("web", a, 0, 1, 3)...), want: a + " web proven"},
		{name: "fail2ban jails bypass the gates", config: func(c *Config) {
			c.Jails[1].Strategy, c.Jails[1].BypassGates, c.Own = Fail2ban, true, []netip.Addr{addr(a)}
		}, records: each(unproven(fail("web", a, 0)), unproven(fail("web", a, 1)), unproven(fail("web", a, 2))), want: a + " web spoofable"},
		{name: "but not the never-list", config: func(c *Config) {
			c.Jails[1].Strategy, c.Jails[1].BypassGates, c.Never = Fail2ban, true, neverSet{addr(a): true}
		}, records: each(fails("web", a, 0, 1, 3)...), want: a + " web stopped:never"},
		{name: "fail2ban jails key by the address", config: func(c *Config) { c.Jails[1].Strategy = Fail2ban }, records: each(fail("web", "2001:db8::1", 0), fail("web", "2001:db8::2", 1), fail("web", "2001:db8::3", 2))},
		{name: "an identifier that is no address", config: func(c *Config) { c.Jails[1].Strategy = Fail2ban }, records: each(func() (l []Observation) {
			for i := range 3 {
				l = append(l, Observation{Time: at(float64(i)), ID: "session-7", Jail: "web", Text: "x"})
			}
			return l
		}()...), want: "session-7 web spoofable"},
		{name: "what is older than the ban is no evidence", notices: []Notice{{Time: at(100), Kind: Banned, Source: netip.MustParsePrefix(a + "/32"), Jail: "sshd", Until: at(700)}}, records: each(fails("sshd", a, 0, 1, 20)...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := std
			c.Jails = append([]JailConfig(nil), std.Jails...)
			if tt.config != nil {
				tt.config(&c)
			}
			b := newBench(t, c)
			for _, n := range tt.notices {
				b.Notice(n)
			}
			for _, r := range tt.records {
				b.feed(r...)
			}
			if got := b.told(); got != tt.want {
				t.Errorf("verdicts: %s\nwant:     %s", got, tt.want)
				for _, v := range b.verdicts {
					t.Log(v.Reasons)
				}
			}
		})
	}
}

// TestHopCounts: hop counts that lie far apart double the threshold, whatever their size.
func TestHopCounts(t *testing.T) {
	tests := []struct {
		name string
		ttl  func(i int) uint8
		want bool // judged at seven doors
	}{
		{"near", func(int) uint8 { return 55 }, true},
		{"highest", func(int) uint8 { return 255 }, true},
		{"lowest", func(int) uint8 { return 1 }, true},
		{"two routes", func(i int) uint8 { return 250 + uint8(i%4) }, true},
		{"nmap", func(i int) uint8 { return 37 + uint8(i*17%23) }, true},
		{"several senders", func(i int) uint8 { return 225 + uint8(i*5) }, false},
		{"wild", func(i int) uint8 { return uint8(i * 40) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, Config{})
			for i, o := range scanOf("192.0.2.7", 1, 7) {
				o.TTL = tt.ttl(i)
				b.feed(o)
			}
			if got := len(b.verdicts) == 1; got != tt.want {
				t.Errorf("judged at seven doors: %v, expected %v", got, tt.want)
			}
		})
	}
}

// TestCreditOnce: the knock that only marked a source counts when it is admitted, and not once more after the ban that it led to.
func TestCreditOnce(t *testing.T) {
	b := newBench(t, Config{Seed: 1, Portscan: PortscanConfig{Slots: 8}})
	for i := range 7 { // all but one of the slots there are: from now on a first packet only marks
		b.feed(probe(fmt.Sprintf("198.51.100.%d", i), float64(i), "203.0.113.5", 1))
	}
	const source = "192.0.2.7"
	for round := range 3 {
		from := 100 + 1000*float64(round)
		for i, o := range scanOf(source, from, 7) {
			o.Target.Port += uint16(100 * round)
			if b.feed(o); len(b.verdicts) != round && i < 6 {
				t.Fatalf("round %d: %d doors suffice: %s", round, i+1, b.told())
			}
		}
		if len(b.verdicts) != round+1 {
			t.Fatalf("round %d: %s", round, b.told())
		}
		a := netip.PrefixFrom(addr(source), 32)
		b.Notice(Notice{Time: at(from + 10), Kind: Banned, Source: a, Jail: "portscan", Until: at(from + 600)})
		b.Notice(Notice{Time: at(from + 600), Kind: Unbanned, Source: a, Jail: "portscan"})
	}
}

// TestLateEvidenceJudgesNow: whatever the order in which seven doors come, the verdict is of the newest of them.
func TestLateEvidenceJudgesNow(t *testing.T) {
	for name, order := range map[string][]int{"in order": {0, 1, 2, 3, 4, 5, 6}, "backwards": {6, 5, 4, 3, 2, 1, 0}, "the first last": {1, 2, 3, 4, 5, 6, 0}} {
		b := newBench(t, Config{})
		for _, i := range order {
			b.feed(probe("192.0.2.7", float64(i)*600, "203.0.113.5", 100+i))
		}
		if len(b.verdicts) != 1 || !b.verdicts[0].Time.Equal(at(3600)) {
			t.Errorf("%s: %s, expected a verdict of %v", name, b.told(), at(3600))
		}
	}
	b := newBench(t, Config{Jails: []JailConfig{jail("sshd", 5, 10*time.Minute)}})
	b.feed(fail("sshd", "192.0.2.7", 50), fail("sshd", "192.0.2.7", 51))
	b.feed(fail("sshd", "192.0.2.7", 52))
	for _, o := range scanOf("192.0.2.7", 0, 3) { // pflogd writes once a minute
		b.feed(o)
	}
	if len(b.verdicts) != 1 || !b.verdicts[0].Time.Equal(at(52)) {
		t.Errorf("both streams: %s", b.told())
	}
}
