package detect

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// TestAhead: a detector that is told what comes gives the verdict log and the state of one that is not, byte for byte, also where it is told
// what never comes. Tables are small enough that sources move between them all the time.
func TestAhead(t *testing.T) {
	for _, slots := range []int{1 << 8, 1 << 15} {
		t.Run(fmt.Sprint("slots=", slots), func(t *testing.T) {
			var logs, states [2]bytes.Buffer
			var evictions, verdicts uint64
			for told := range 2 {
				r := rand.New(rand.NewPCG(uint64(slots), 4))
				next := &workload{r: rand.New(rand.NewPCG(1, uint64(slots)))}
				c := workConfig()
				c.Portscan.Slots, c.Portscan.Doorkeeper = slots, 1<<16
				d, err := New(c)
				if err != nil {
					t.Fatal(err)
				}
				var waiting []Input
				for i := range max(3*slots, 20_000) {
					in := next.input()
					if i%4 != 0 {
						a := netip.AddrFrom4([4]byte{100, byte(r.IntN(2)), byte(r.IntN(256)), byte(r.IntN(256))})
						o := probe(a.String(), next.now, "203.0.113.5", 1+r.IntN(12))
						in = Input{Observations: []Observation{o}}
					}
					if len(in.Observations) > 0 && told == 1 {
						d.Ahead(in.Observations[0].Source)
						if i%7 == 0 {
							d.Ahead(netip.AddrFrom4([4]byte{192, 0, byte(i), byte(i >> 8)}))
						}
					}
					if waiting = append(waiting, in); len(waiting) > aheadPackets {
						waiting[0].feed(d, logTo(&logs[told]))
						waiting = waiting[1:]
					}
				}
				if err := d.Snapshot(&states[told]); err != nil {
					t.Fatal(err)
				}
				evictions, verdicts = d.Stats().Evictions, uint64(bytes.Count(logs[told].Bytes(), []byte("\n")))
				d.checkRanks(t)
			}
			restored, err := New(workConfig())
			if err != nil {
				t.Fatal(err)
			}
			if err := restored.Restore(bytes.NewReader(states[1].Bytes()), time.Time{}); err != nil {
				t.Fatal(err)
			}
			restored.checkRanks(t)
			if verdicts < 20 || slots < 1000 && evictions < 100 {
				t.Fatalf("%d verdicts and %d evictions: the test shows nothing", verdicts, evictions)
			}
			if !bytes.Equal(logs[0].Bytes(), logs[1].Bytes()) {
				t.Error("the verdict logs differ")
			}
			if !bytes.Equal(states[0].Bytes(), states[1].Bytes()) {
				t.Error("the states differ")
			}
			t.Logf("%d verdicts, %d evictions", verdicts, evictions)
		})
	}
}

// checkRanks compares the ranks beside the slots with what the slots say.
func (d *Detector) checkRanks(t *testing.T) {
	t.Helper()
	table := d.scan.table
	used := 0
	for i := range table.slot {
		if table.tags[i/bucketSlots]>>(8*(i%bucketSlots))&0xff == 0 {
			continue
		}
		used++
		if x := &table.slot[i]; table.rank[i] != table.rankOf(x) {
			t.Errorf("slot %d: rank %d, expected %d of %+v", i, table.rank[i], table.rankOf(x), *x)
			return
		}
	}
	if used != table.used {
		t.Errorf("%d slots have a tag, %d are said to be used", used, table.used)
	}
}

// TestEvictionOrder: out of a full bucket the smallest decayed score goes, of sources of a flood before others, those past half their threshold
// only once more than half of the bucket are.
func TestEvictionOrder(t *testing.T) {
	const day = 86400
	now := seconds(nanos(start))
	x := func(hard float32, ago uint32, flags uint16) slot {
		return slot{hard: hard, last: now - ago, flags: flags}
	}
	few := []slot{x(1, 0, 0), x(2, 0, 0), x(3, 0, 0), x(2, 60, 0)}
	for _, c := range []struct {
		name string
		more []slot // beside few, none of which goes
		want int
	}{
		{"the smallest", []slot{x(1, 0, 0), x(.5, 0, 0), x(2, 0, 0), x(3, 0, 0)}, 5},
		{"of equal ones the older", []slot{x(1, 0, 0), x(1, 0, 0), x(1, 3600, 0), x(3, 0, 0)}, 6},
		{"decayed to the smallest", []slot{x(1, 0, 0), x(3, 0, 0), x(2, 0, 0), x(3, 2*day, 0)}, 7},
		{"a flood's before all others", []slot{x(3, 0, flagFloodBorn), x(.5, 0, 0), x(2, 0, 0), x(3, 0, 0)}, 4},
		{"of a flood's the smallest", []slot{x(3, 0, flagFloodBorn), x(2, 0, flagFloodBorn), x(2, 0, 0), x(.25, 0, 0)}, 5},
		{"not those past half", []slot{x(5, 0, flagFloodBorn), x(6, 0, flagFloodBorn), x(5, 0, 0), x(.75, 0, 0)}, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := newSlots(bucketSlots, 7, day)
			for i, s := range append(few[:4:4], c.more...) {
				s.hi = uint64(i + 1)
				place, _, _ := table.admit(s.key(), uint64(i)<<57, now)
				*place = s
				table.ranked(place, 0)
			}
			_, gone, evicted := table.admit(key{99, 99}, 0, now)
			if !evicted || gone.hi != uint64(c.want+1) {
				t.Errorf("slot %d went, expected %d", int(gone.hi)-1, c.want)
			}
		})
	}
	t.Run("of five past half the smallest", func(t *testing.T) {
		table := newSlots(bucketSlots, 7, day)
		for i, hard := range []float32{5, 6, 5, 4.5, 7, 1, 1, 1} {
			s := x(hard, 0, 0)
			s.hi = uint64(i + 1)
			place, _, _ := table.admit(s.key(), uint64(i)<<57, now)
			*place = s
			table.ranked(place, 0)
		}
		if _, gone, _ := table.admit(key{99, 99}, 0, now); gone.hi != 4 {
			t.Errorf("slot %d went, expected 3", int(gone.hi)-1)
		}
	})
}

// TestContactsPack: both times of a contact survive being packed, as far as anybody asks.
func TestContactsPack(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	for range 1000 {
		c := newContacts(4)
		h := r.Uint64()
		var spoke, held uint32
		now := uint32(1_700_000_000)
		for range 6 {
			now += r.Uint32N(3000) - 1000
			state := r.IntN(2) == 0
			c.note(h, now, state)
			spoke = max(spoke, now)
			if state {
				held = max(held, now)
			}
			at := spoke + r.Uint32N(2*stateLife)
			gotState, gotSpoke := c.asked(h, at)
			if want := held != 0 && at <= held+stateLife; gotState != want || !gotSpoke {
				t.Fatalf("a state at %d and contact at %d, asked at %d: %v and %v, expected %v and true", held, spoke, at, gotState, gotSpoke, want)
			}
		}
		if _, spoke := c.asked(h, now+2*contactLife); spoke {
			t.Fatal("contact after two days")
		}
	}
}
