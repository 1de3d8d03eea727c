package scoring

import (
	"net/netip"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"pfwarden/internal/config"
	"pfwarden/internal/simulate"
)

// maxGrowth is what a flood of any number of sources may cost.
const maxGrowth = 64 << 20

// outcome is who was banned, by labelled source, and how much memory that took.
type outcome struct {
	*Result
	banned map[netip.Prefix]string
	heap   uint64
}

// attacked runs a day with the given attacks, and watches the heap.
func attacked(t *testing.T, o simulate.Options, c *config.Config) outcome {
	t.Helper()
	runtime.GC()
	var x outcome
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := Run(t.Context(), Options{Simulate: o, Folder: t.TempDir(), Config: c, OnProgress: func(int64) {
		runtime.ReadMemStats(&now)
		x.heap = max(x.heap, now.HeapAlloc-min(before.HeapAlloc, now.HeapAlloc))
	}})
	if err != nil {
		t.Fatal(err)
	}
	x.Result, x.banned = r, map[netip.Prefix]string{}
	for _, b := range r.Bans {
		x.banned[b.Prefix] = b.Table
	}
	return x
}

// TestAttacks: a flood of one-packet sources, an eviction attack, forged scans in friends' names and scanners in disguise, all during one day,
// change no verdict on anybody else, ban nobody who was forged, do not save the scanners, and cost no more than 64 MiB.
//
// In full the flood has 10^7 sources and the eviction attack two for every slot of the table, all within one hour. Then members of spread networks,
// who send three probes in all, may be lost as long as recall stays: their single doors are the first to make room. See docs/simulate.md.
func TestAttacks(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	c := config.Default("openbsd")
	o := simulate.Options{Seed: firstSeed + 100, Scale: 0.15}
	attack := o
	attack.Flood, attack.Evict, attack.Frame, attack.GateRaising = 200_000, 50_000, 20, 10
	switch {
	case full():
		o.Scale, attack.Scale = 1, 1
		attack.Flood, attack.Evict = 10_000_000, 1<<19
	case testing.Short() || raceEnabled:
		o.Scale, attack.Scale = 0.05, 0.05
		attack.Flood, attack.Evict = 20_000, 5_000
	}
	calm, stormy := attacked(t, o, c), attacked(t, attack, c)
	t.Logf("%d packets calm, %d under attack; recall %.4f and %.4f; heap at most %d and %d MiB; %d evictions", calm.Totals.Packets, stormy.Totals.Packets,
		Recall(calm.Scores), Recall(stormy.Scores), calm.heap>>20, stormy.heap>>20, stormy.Replay.Detector.Evictions)
	class := map[netip.Addr]string{}
	for _, l := range stormy.Labels {
		class[source(l.Address)] = l.Class
	}
	lost := 0
	for p, in := range calm.banned {
		if got, ok := stormy.banned[p]; !ok || got != in {
			if full() && strings.Contains(class[source(p.Addr())], "spread") {
				lost++
				continue
			}
			t.Errorf("%v (%s) was in %s, under attack in %q", p, class[source(p.Addr())], in, got)
		}
	}
	t.Logf("%d of %d verdicts lost", lost, len(calm.banned))
	if got := Recall(stormy.Scores); got < 0.98 {
		t.Errorf("recall under attack %.4f", got)
	}
	raisers := 0
	for p, in := range stormy.banned {
		switch name := class[source(p.Addr())]; {
		case name == "gate_raiser":
			raisers++
		case name == "framed_attack":
			t.Errorf("a framed friend was banned: %v in %s", p, in)
		case calm.banned[p] == "":
			t.Errorf("%v (%q) was banned under attack only", p, name) // "": a source of the flood, of which few are labelled
		}
	}
	if raisers != attack.GateRaising {
		t.Errorf("%d of %d scanners in disguise were banned", raisers, attack.GateRaising)
	}
	if grown := int64(stormy.heap) - int64(calm.heap); grown > maxGrowth {
		t.Errorf("memory grew by %d MiB", grown>>20)
	}
}
