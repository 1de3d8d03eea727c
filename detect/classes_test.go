package detect

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// day makes one day of labelled traffic in front of a gateway with hosts addresses, after the classes of the literature: how many doors a source of
// each class knocks on and how fast.
type day struct {
	r       *rand.Rand
	hosts   int
	records []Observation
	notices []Notice
	class   map[netip.Addr]string
	used    map[netip.Addr]bool
}

func (d *day) host(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(i % d.hosts)}) }
func (d *day) any() netip.Addr       { return d.host(d.r.IntN(d.hosts)) }

func (d *day) fresh(class string) netip.Addr {
	for {
		a := netip.AddrFrom4([4]byte{byte(1 + d.r.IntN(222)), byte(d.r.IntN(256)), byte(d.r.IntN(256)), byte(d.r.IntN(256))})
		if !Bogon(a) && !d.used[a] && a.As4()[0] != 203 {
			d.used[a], d.class[a] = true, class
			return a
		}
	}
}

func (d *day) add(a netip.Addr, s float64, k Kind, target netip.Addr, port int) {
	if s < 86400 {
		d.records = append(d.records, Observation{Time: at(s), Source: a, Jail: "portscan", Kind: k, TTL: 50 + a.As4()[3]&7, Target: Target{Address: target, Port: uint16(port), Protocol: 6}})
	}
}

func (d *day) late(max float64) float64 { return d.r.Float64() * max }

func makeDay(seed uint64, hosts int) *day {
	d := &day{r: rand.New(rand.NewPCG(seed, 77)), hosts: hosts, class: map[netip.Addr]string{}, used: map[netip.Addr]bool{}}
	ports := []int{22, 23, 80, 443, 445, 3389, 5900, 8080, 8443, 1433, 3306, 5432, 6379, 2323, 5555, 7547, 37215, 52869, 81, 8291}
	for range 20 { // fast vertical
		a, s, h := d.fresh("+fast vertical"), d.late(80000), d.any()
		for p := range 300 {
			d.add(a, s+float64(p)*0.05, Probe, h, 1+p)
		}
	}
	for range 20 { // slow vertical: one port in ten minutes
		a, s, h := d.fresh("+slow vertical"), d.late(20000), d.any()
		for p := range 60 {
			d.add(a, s+float64(p)*600, Probe, h, 1+p)
		}
	}
	for range 50 { // horizontal: one port of every address
		a, s, p := d.fresh("+horizontal"), d.late(80000), ports[d.r.IntN(len(ports))]
		for i := range hosts {
			d.add(a, s+float64(i)*0.5, Probe, d.host(i), p)
		}
	}
	for range 300 { // bots: 8 to 30 probes a day, of a few ports
		a, n := d.fresh("+bots"), 8+d.r.IntN(23)
		set := []int{23, 2323, 445, 5555}
		if d.r.IntN(2) == 0 {
			set = []int{22, 80, 8080, 3389, 6379, 1433}
		}
		mark := Mark(0)
		if d.r.IntN(3) == 0 {
			mark = Mirai
		}
		for range n {
			d.add(a, d.late(86400), Probe, d.any(), set[d.r.IntN(len(set))])
			d.records[len(d.records)-1].Mark = mark
		}
	}
	for n := range 5 { // spread /24s: 64 members of three probes within a few hours
		s := d.late(60000)
		for i := range 64 {
			a := netip.AddrFrom4([4]byte{77, byte(n), 1, byte(i * 3)})
			d.class[a] = "+spread"
			from := s + d.late(7200)
			for p := range 3 {
				d.add(a, from+d.late(3600), Probe, d.any(), ports[p*6+d.r.IntN(6)])
			}
		}
	}
	for range 100 {
		a := d.fresh("-backscatter")
		for range 200 {
			d.add(a, d.late(86400), Backscatter, d.any(), 1024+d.r.IntN(60000))
		}
	}
	for range 300 {
		a, s := d.fresh("-late"), d.late(80000)
		for range 30 {
			d.add(a, s+d.late(300), Late, d.any(), 1024+d.r.IntN(60000))
		}
	}
	for range 100 { // a client that retries one closed port for hours
		a, s, h, p := d.fresh("-retrier"), d.late(20000), d.any(), []int{22, 25, 110, 143, 443, 993, 5060, 8080}[d.r.IntN(8)]
		for i := range 200 {
			d.add(a, s+float64(i)*300, Probe, h, p)
		}
	}
	for range 50 {
		a := d.fresh("-reflection victim")
		for range 300 {
			d.add(a, d.late(86400), Reflection, d.any(), 53)
		}
	}
	for range 3000 {
		a, s, h := d.fresh("-p2p"), d.late(80000), d.any()
		for range 1 + d.r.IntN(5) {
			d.add(a, s+d.late(3000), UDPProbe, h, 51413)
		}
	}
	for range 300 { // shared addresses: some users behind it mistype a port now and then
		a := d.fresh("-shared")
		for range 1 + d.r.IntN(4) {
			d.add(a, d.late(86400), Probe, d.any(), ports[d.r.IntN(len(ports))])
		}
	}
	for i := range 40 { // friends in whose name somebody forges a scan
		a := d.fresh("-framed friend")
		kind := Notice{Time: at(-3600), Kind: Contact, Source: netip.PrefixFrom(a, 32)}
		if i%2 == 0 {
			kind.Kind, kind.Ours = State, true
		}
		d.notices = append(d.notices, kind)
		s := d.late(40000)
		for range 50 {
			d.add(a, s+d.late(60), Probe, d.any(), 1+d.r.IntN(1000))
			d.records[len(d.records)-1].Mark = Mirai
		}
	}
	slices.SortStableFunc(d.records, func(a, b Observation) int { return a.Time.Compare(b.Time) })
	return d
}

func (d *day) judge(t *testing.T, c Config) (banned map[netip.Addr]bool, stats Stats) {
	t.Helper()
	x, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range d.notices {
		x.Notice(n)
	}
	banned = map[netip.Addr]bool{}
	for i := range d.records {
		x.Observe(d.records[i:i+1], func(v Verdict) {
			if !v.Stopped {
				banned[v.Source.Addr()] = true
				x.Notice(Notice{Time: v.Time, Kind: Banned, Source: v.Source, Jail: v.Jail, Until: v.Time.Add(10 * time.Minute), Count: 1})
			}
		})
	}
	return banned, x.Stats()
}

// TestClasses: one day's traffic, several gateways: who must be judged is, and who must not be is not.
func TestClasses(t *testing.T) {
	for _, hosts := range []int{256, 8, 1} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("hosts=%d/seed=%d", hosts, seed), func(t *testing.T) {
				d := makeDay(seed, hosts)
				banned, _ := d.judge(t, Config{Seed: seed})
				all, hit := map[string]int{}, map[string]int{}
				wanted, found := 0, 0
				for a, class := range d.class {
					all[class]++
					if banned[a] {
						hit[class]++
					}
					if class[0] == '+' {
						wanted++
						if banned[a] {
							found++
						}
					}
				}
				for _, class := range slices.SortedFunc(mapKeys(all), cmp.Compare[string]) {
					share := float64(hit[class]) / float64(all[class])
					t.Logf("%-20s %5d of %5d  %.3f", class, hit[class], all[class], share)
					least := 0.95
					if class == "+spread" {
						least = 0.8
					}
					if class[0] == '-' && hit[class] > 0 || class[0] == '+' && hosts > 1 && share < least {
						t.Errorf("%s: %d of %d", class, hit[class], all[class])
					}
				}
				recall, least := float64(found)/float64(wanted), 0.98
				if hosts == 1 {
					least = 0.6
				}
				t.Logf("recall %.3f", recall)
				if recall < least {
					t.Errorf("recall %.3f, expected %v", recall, least)
				}
			})
		}
	}
}

func mapKeys(m map[string]int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
