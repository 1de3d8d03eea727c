package detect

import (
	"fmt"
	"math/bits"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// crowdedBench is a bench whose table of eight slots is full of sources with three doors each.
func crowdedBench(t *testing.T, c Config) *bench {
	c.Portscan.Slots = bucketSlots
	b := newBench(t, c)
	for n := range 2 * bucketSlots {
		for door := range 3 {
			o := probe(fmt.Sprintf("192.0.2.%d", n), -600, "203.0.113.5", 100+door)
			o.Kind = Stealth // of a kind that waits nowhere
			b.feed(o)
		}
	}
	if b.scan.table.used != bucketSlots {
		t.Fatalf("%d slots are used", b.scan.table.used)
	}
	return b
}

// doorsOf is how many doors a source has, and whether it is in the spill.
func (b *bench) doorsOf(source string) (doors float64, waits bool) {
	k := b.scanKey(addr(source))
	h := b.hash.key(k)
	x := b.scan.glance(k, h, seconds(b.now))
	if x == nil {
		return 0, false
	}
	return float64(x.hard), b.scan.table.find(k, h) == nil
}

// TestWaiting: where no slot is free a source waits in the spill until its doors are worth one, counted there as in the table, and is judged at
// the same door.
func TestWaiting(t *testing.T) {
	b := crowdedBench(t, Config{Seed: 1})
	const source = "198.51.100.7"
	knock := func(second float64, port int, doors float64, waits bool) {
		t.Helper()
		b.feed(probe(source, second, "203.0.113.5", port))
		got, where := b.doorsOf(source)
		if got < doors-.05 || got > doors || where != waits {
			t.Errorf("port %d: %v doors, in the spill: %v; expected %v and %v", port, got, where, doors, waits)
		}
	}
	before := b.Stats()
	knock(0, 1, 0, false) // only marks the doorkeeper
	knock(1, 2, 2, true)
	knock(2, 2, 2, true) // a repeat
	knock(3, 3, 3, true)
	knock(4, 2, 3, true)
	knock(4, 1, 3, true) // the one for which the doorkeeper marked it
	knock(5, 4, 4, true)
	knock(6, 3, 4, true)
	knock(7, 4, 4, true)
	if s := b.Stats(); s.Evictions != before.Evictions {
		t.Errorf("%d others had to go", s.Evictions-before.Evictions)
	}
	knock(8, 5, 5, false)
	knock(9, 6, 6, false)
	knock(9, 1, 6, false)
	if len(b.verdicts) != 0 {
		t.Fatalf("verdicts: %s", b.told())
	}
	b.feed(probe(source, 10, "203.0.113.5", 7))
	if got, want := b.told(), source+" portscan spoofable"; got != want {
		t.Errorf("verdicts: %q, expected %q", got, want)
	}
}

// TestCreditedOnce: a target that counted as a source entered does not count again when the source comes back to it, in a slot either.
func TestCreditedOnce(t *testing.T) {
	b := newBench(t, Config{Seed: 1, Portscan: PortscanConfig{Slots: bucketSlots}})
	for n := range bucketSlots - 1 { // one slot is left, so that strangers are marked first
		b.feed(probe(fmt.Sprintf("192.0.2.%d", n), 0, "203.0.113.5", 100))
	}
	for i, port := range []int{1, 2, 1, 1, 3, 1} {
		b.feed(probe("198.51.100.7", float64(10+i), "203.0.113.5", port))
	}
	if doors, waits := b.doorsOf("198.51.100.7"); waits || doors < 2.95 || doors > 3 {
		t.Errorf("%v doors, in the spill: %v", doors, waits)
	}
}

// TestWaitingSlowly: who knocks so seldom that decay matters takes a slot.
func TestWaitingSlowly(t *testing.T) {
	b := crowdedBench(t, Config{Seed: 1})
	for door := range 3 {
		b.feed(probe("198.51.100.7", float64(door)*3*3600, "203.0.113.5", 1+door))
	}
	if doors, waits := b.doorsOf("198.51.100.7"); waits || doors < 2.6 || doors > 2.95 {
		t.Errorf("%v doors, in the spill: %v", doors, waits)
	}
}

// TestWaitingMarked: a tool's mark, which halves the threshold, is not lost by waiting.
func TestWaitingMarked(t *testing.T) {
	b := crowdedBench(t, Config{Seed: 1})
	for door := range 5 {
		o := probe("198.51.100.7", float64(door), "203.0.113.5", 1+door)
		o.Mark = Mirai
		b.feed(o)
	}
	if got, want := b.told(), "198.51.100.7 portscan spoofable"; got != want {
		t.Errorf("verdicts: %q, expected %q", got, want)
	}
}

// TestWaitingLogged: failed log-ins before and after the doors of one that waits are summed with them.
func TestWaitingLogged(t *testing.T) {
	for _, order := range []string{"doors first", "failures first"} {
		t.Run(order, func(t *testing.T) {
			b := crowdedBench(t, Config{Seed: 1, Jails: []JailConfig{jail("sshd", 5, time.Hour)}})
			doors := func() {
				for door := range 4 {
					b.feed(probe("198.51.100.7", float64(door), "203.0.113.5", 1+door))
				}
			}
			failures := func() {
				for n := range 3 {
					b.feed(fail("sshd", "198.51.100.7", 5+float64(n)))
				}
			}
			if order == "doors first" {
				doors()
				if _, waits := b.doorsOf("198.51.100.7"); !waits {
					t.Error("does not wait")
				}
				failures()
			} else {
				failures()
				doors()
			}
			if len(b.verdicts) != 1 || len(b.verdicts[0].Shares) != 2 {
				t.Errorf("verdicts: %s", b.told())
			}
		})
	}
}

// TestWaitingCompany: the members of a company are judged though all of them wait, those that come later at the door that fills half a threshold.
func TestWaitingCompany(t *testing.T) {
	b := crowdedBench(t, Config{Seed: 1, Portscan: PortscanConfig{Addresses: 256}})
	for n := range 14 {
		for door := range 4 { // the first only marks
			b.feed(probe(fmt.Sprintf("198.51.100.%d", 1+n), float64(n*10+door), fmt.Sprintf("203.0.113.%d", n), 100+door))
		}
	}
	judged := map[string]bool{}
	for _, v := range b.verdicts {
		judged[v.Source.Addr().String()] = true
	}
	if len(judged) != 14 {
		t.Errorf("%d of 14 members were judged: %s", len(judged), b.told())
	}
}

// TestWaitingAfterBan: a record from before a ban counts nothing.
func TestWaitingAfterBan(t *testing.T) {
	b := crowdedBench(t, Config{Seed: 1})
	const source = "198.51.100.7"
	b.Notice(Notice{Time: at(100), Kind: Banned, Source: netip.PrefixFrom(addr(source), 32), Until: at(160), Count: 1})
	b.Notice(Notice{Time: at(160), Kind: Unbanned, Source: netip.PrefixFrom(addr(source), 32)})
	for i, second := range []float64{200, 201, 202} {
		b.feed(probe(source, second, "203.0.113.5", 1+i))
	}
	before, _ := b.doorsOf(source)
	b.feed(probe(source, 150, "203.0.113.5", 9))
	if after, waits := b.doorsOf(source); before < 1.9 || after != before || !waits {
		t.Errorf("%v doors became %v, in the spill: %v", before, after, waits)
	}
	if n := b.Stats().Drops[dropNames[dropBeforeBan]]; n != 1 {
		t.Errorf("%d records were told to be older than the ban", n)
	}
}

// TestWaitMost: nobody waits with as many doors as would judge him, whatever the threshold.
func TestWaitMost(t *testing.T) {
	for tenths := 10; tenths <= 10*MaxDoors; tenths++ {
		threshold := float64(tenths) / 10
		if most := waitMost(threshold); float64(most) >= slack*threshold || most < 0 {
			t.Errorf("threshold %v: %v doors may wait", threshold, most)
		}
	}
}

// TestDrawn: everybody among those for whom the lot is drawn is drawn as often, and nobody else.
func TestDrawn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		among := rapid.Uint64Range(1, 1<<9-1).Draw(t, "among")
		var times [9]int
		const draws = 9 * 8 * 7 * 5
		for n := range uint64(draws) {
			lot, _ := bits.Div64(2*n+1, 0, 2*draws) // evenly over all 64 bits
			times[drawn(among, lot)]++
		}
		for i, n := range times {
			if want := int(among>>i&1) * draws / bits.OnesCount64(among); n != want {
				t.Errorf("%d was drawn %d times, expected %d", i, n, want)
			}
		}
	})
}

// TestSpillSpares: those past half a threshold are spared, but for who came in a flood, and where they hold more than half of a bucket it is
// they who push each other out.
func TestSpillSpares(t *testing.T) {
	const now = 1_700_000_000
	for _, c := range []struct {
		name               string
		safe, small, flood int // entries of 4 doors, of 1, and of 4 of a flood
		newcomer           slot
		spared             string
	}{
		{"two of eight", 2, 6, 0, slot{hard: 1}, "safe"},
		{"four of eight", 4, 4, 0, slot{hard: 1}, "safe"},
		{"six of eight", 6, 2, 0, slot{hard: 1}, "small"},
		{"four and a fifth", 4, 4, 0, slot{hard: 4}, "small"},
		{"of a flood", 0, 6, 2, slot{hard: 1}, "small"},
		{"nobody else by one of a flood", 2, 6, 0, slot{hard: 4, flags: flagFloodBorn}, "all"},
	} {
		t.Run(c.name, func(t *testing.T) {
			goneSafe, goneSmall, goneFlood := 0, 0, 0
			for lot := range uint64(200) {
				s := newSpill(bucketSlots, 7, 4*86400, newKeyed(lot).a)
				h := func(n int) uint64 { return uint64(n+1) << spillHash } // all of one bucket
				put := func(n int, x slot) { x.last = now; s.put(&x, h(n), now) }
				for n := range bucketSlots {
					x := slot{hard: 1}
					if n < c.safe {
						x.hard = 4
					} else if n >= c.safe+c.small {
						x = slot{hard: 4, flags: flagFloodBorn}
					}
					put(n, x)
				}
				put(bucketSlots, c.newcomer)
				for n := range bucketSlots {
					if s.find(h(n), now) != nil {
						continue
					}
					switch {
					case n < c.safe:
						goneSafe++
					case n < c.safe+c.small:
						goneSmall++
					default:
						goneFlood++
					}
				}
			}
			t.Logf("of %d safe ones %d went, of %d small ones %d, of %d of a flood %d", c.safe, goneSafe, c.small, goneSmall, c.flood, goneFlood)
			if c.spared != "small" && goneSafe > 0 || c.spared != "safe" && goneSmall > 0 {
				t.Error("the wrong ones went")
			}
			if c.spared != "all" && goneSafe+goneSmall+goneFlood < 100 {
				t.Error("nearly nobody went: the test shows nothing")
			}
		})
	}
}

// TestKnockAgain: one more door in an entry is what it would be in a slot, and the newest targets are known.
func TestKnockAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := rapid.Uint32Range(1_700_000_000, 1_800_000_000).Draw(t, "now")
		prints := rapid.SliceOfN(rapid.Uint16(), 1, 7).Draw(t, "targets")
		x := slot{hard: 1, last: now}
		x.keep(prints[0])
		w := 7<<spillTag | x.entry()
		for _, p := range prints[1:] {
			w = knockAgain(w, p, now)
		}
		var y slot
		y.restore(w, now)
		if y.hard != float32(len(prints)) || w>>spillTag != 7 || int(y.n) != min(len(prints), spillPrints) {
			t.Errorf("%v doors, tag %d, %d targets", y.hard, w>>spillTag, y.n)
		}
		for _, p := range prints[max(0, len(prints)-spillPrints):] {
			if !repeats(w, p) || !y.seen(p) {
				t.Errorf("target %#x is forgotten", p)
			}
		}
	})
}
