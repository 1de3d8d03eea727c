package detect

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestSpillKeeps: what leaves the table and comes back has its doors, to half of one, its time, to a unit, and its newest targets.
func TestSpillKeeps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSpill(64, 7, 4*86400, 7)
		last := rapid.Uint32Range(1_700_000_000, 1_800_000_000).Draw(t, "last")
		now := last + rapid.Uint32Range(0, 3*86400).Draw(t, "later")
		h := rapid.Uint64().Draw(t, "hash")
		x := slot{hard: rapid.Float32Range(0.5, 7).Draw(t, "hard"), weak: uint16(rapid.IntRange(0, weakUnit).Draw(t, "weak")), last: last}
		prints := rapid.SliceOfN(rapid.Uint16(), 0, 12).Draw(t, "prints")
		for _, p := range prints {
			x.keep(p)
		}
		if rapid.Bool().Draw(t, "flood") {
			x.flags |= flagFloodBorn
		}
		s.put(&x, h, now)
		if s.used != 1 {
			t.Fatalf("%d entries are used", s.used)
		}
		w := s.take(s.find(h, now))
		if w == 0 || s.used != 0 || s.find(h, now) != nil {
			t.Fatalf("entry %#x, %d used", w, s.used)
		}
		var y slot
		y.restore(w, now)
		if d := y.hard - x.hard; d < -0.25 || d > 0.25 {
			t.Errorf("%v doors became %v", x.hard, y.hard)
		}
		if d := int(y.weak) - int(x.weak); d < 0 || d >= weakUnit/2 {
			t.Errorf("weak doors %d became %d", x.weak, y.weak)
		}
		if d := int64(y.last) - int64(x.last); d < -1<<spillUnit || d > 1<<spillUnit || y.last > now {
			t.Errorf("time %d became %d, now is %d", x.last, y.last, now)
		}
		if y.flags&flagFloodBorn != x.flags&flagFloodBorn {
			t.Error("the flood's mark is lost")
		}
		for _, p := range prints[max(0, len(prints)-spillPrints):] {
			if !y.seen(p) {
				t.Errorf("target %#x is forgotten", p)
			}
		}
		// And once more: fingerprints of fingerprints.
		y.keep(1)
		s.put(&y, h, now)
		var z slot
		z.restore(s.take(s.find(h, now)), now)
		for _, p := range append(prints, 1)[max(0, len(prints)+1-spillPrints):] {
			if !z.seen(p) {
				t.Errorf("target %#x is forgotten the second time", p)
			}
		}
	})
}

// TestSpillForgets: what is older than four half-lives is nothing.
func TestSpillForgets(t *testing.T) {
	s := newSpill(64, 7, 4*86400, 7)
	x := slot{hard: 2, last: 1_700_000_000}
	s.put(&x, 1, x.last)
	if s.find(1, x.last+3*86400) == nil {
		t.Error("forgotten after three days")
	}
	if s.find(1, x.last+5*86400) != nil {
		t.Error("still there after five days")
	}
	if s.find(1, x.last-3600) == nil {
		t.Error("a late record finds nothing")
	}
}

// TestSpillLot: what a flood brings displaces nothing but what came in a flood; without one everybody is as likely to go.
func TestSpillLot(t *testing.T) {
	const now = 1_700_000_000
	fill := func(s *spill, from, n int, hard float32, flags uint16) {
		for i := range n {
			x := slot{hard: hard, last: now, flags: flags}
			s.put(&x, newKeyed(3).key(key{1, uint64(from + i)}), now)
		}
	}
	count := func(s *spill, from, n int) (found int) {
		for i := range n {
			if s.find(newKeyed(3).key(key{1, uint64(from + i)}), now) != nil {
				found++
			}
		}
		return found
	}
	s := newSpill(1<<10, 7, 4*86400, 7) // 4096 entries
	fill(&s, 0, 1000, 1, 0)
	fill(&s, 1<<20, 100_000, 3, flagFloodBorn)
	if got := count(&s, 0, 1000); got != 1000 {
		t.Errorf("%d of 1000 sources are left behind a flood", got)
	}
	if s.used > s.len() || s.lost == 0 {
		t.Errorf("%d of %d used, %d lost", s.used, s.len(), s.lost)
	}
	// Newcomers from before the flood, so to say, displace the flood's.
	fill(&s, 1<<30, 500, 1, 0)
	if got := count(&s, 1<<30, 500); got < 499 {
		t.Errorf("%d of 500 newcomers were kept in a flood", got)
	}
	// Two floods of equal size, one with many doors a source: both are kept alike, the later one a little better.
	a := newSpill(1<<10, 7, 4*86400, 7)
	fill(&a, 0, 4096, 1, flagFloodBorn)
	fill(&a, 1<<20, 4096, 5, flagFloodBorn)
	first, second := count(&a, 0, 4096), count(&a, 1<<20, 4096)
	if first < 1000 || second > 3*first {
		t.Errorf("%d sources of one door and %d of five doors are left", first, second)
	}
}

// TestSpilled: the doors of a source that was pushed out are still told of, and enter the sum with failed log-ins.
func TestSpilled(t *testing.T) {
	b := newBench(t, Config{Seed: 1, Portscan: PortscanConfig{Slots: 8}, Jails: []JailConfig{jail("sshd", 5, time.Hour)}})
	// Three doors each for three sources, and then so many others that they are in no slot.
	for i := range 3 {
		for j := range 3 {
			b.feed(probe(netip.AddrFrom4([4]byte{192, 0, byte(2 + i), 1}).String(), float64(j), "203.0.113.5", 100+j))
		}
	}
	for i := range 12 { // of as many doors, but later ones, and of a kind that waits nowhere
		for j := range 6 {
			o := probe(netip.AddrFrom4([4]byte{198, 51, byte(i), 1}).String(), 600+float64(i), "203.0.113.5", 100+j)
			o.Kind = Stealth
			b.feed(o)
		}
	}
	if s := b.Stats(); s.Spilled == 0 || s.SpillLost != 0 {
		t.Fatalf("%d spilled, %d lost", s.Spilled, s.SpillLost)
	}
	spilled := ""
	for i := range 3 {
		a := netip.AddrFrom4([4]byte{192, 0, byte(2 + i), 1})
		k := b.scanKey(a)
		if b.scan.table.find(k, b.hash.key(k)) == nil {
			spilled = a.String()
		}
	}
	if spilled == "" {
		t.Fatal("none of the three is in the spill")
	}
	before := b.Stats().Spilled
	if e := b.Explain(addr(spilled), at(700)); e.Doors < 2.9 || e.Score < 0.4 {
		t.Errorf("%v doors, score %v", e.Doors, e.Score)
	}
	if b.Stats().Spilled != before {
		t.Error("explaining moved something")
	}
	b.verdicts = nil
	for i := range 3 {
		b.feed(fail("sshd", spilled, 700+float64(i)))
	}
	if got, want := b.told(), spilled+" sshd+portscan spoofable"; got != want {
		t.Errorf("verdicts: %q, expected %q", got, want)
	}
}

// TestSpillSnapshot: a snapshot brings the spill back.
func TestSpillSnapshot(t *testing.T) {
	c := Config{Seed: 1, Portscan: PortscanConfig{Slots: 64}}
	b := newBench(t, c)
	for i := range 200 {
		for j := range 2 {
			b.feed(probe(netip.AddrFrom4([4]byte{192, byte(i), 2, 1}).String(), float64(i), "203.0.113.5", 100+j))
		}
	}
	var state bytes.Buffer
	if err := b.Snapshot(&state); err != nil {
		t.Fatal(err)
	}
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Restore(&state, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.scan.spill.buckets, b.scan.spill.buckets) || r.Stats().Spilled != b.Stats().Spilled || r.Stats().Spilled < 100 {
		t.Errorf("%d spilled, expected %d", r.Stats().Spilled, b.Stats().Spilled)
	}
}
