package scoring

import (
	"fmt"
	"testing"
	"time"

	"pfwarden/internal/config"
	"pfwarden/internal/simulate"
)

// TestEvictionsForHours: an eviction attack by four times as many forged sources as the table of slots holds, as long as it may go on, costs next
// to no verdict, since who is pushed out goes to the spill, and the forged ones wait there from the first. What may be lost, two verdicts in a
// thousand, are members of spread networks whose three probes fell together with others of the spill's or the doorkeeper's by chance.
func TestEvictionsForHours(t *testing.T) {
	o := simulate.Options{Seed: firstSeed + 200, Scale: 0.05}
	c := config.Default("openbsd")
	c.Portscan.TableSlots = 1 << 13
	spans := []time.Duration{6 * time.Hour}
	switch {
	case full():
		o.Scale, c.Portscan.TableSlots = 1, 1<<18
		spans = []time.Duration{time.Hour, 6 * time.Hour, 20 * time.Hour}
	case testing.Short() || raceEnabled:
		t.Skip("replays two days")
	}
	calm := attacked(t, o, c)
	for _, span := range spans {
		t.Run(fmt.Sprint(span), func(t *testing.T) {
			attack := o
			attack.Evict, attack.FloodSpan = 4*c.Portscan.TableSlots, span
			stormy := attacked(t, attack, c)
			lost := 0
			for p := range calm.banned {
				if _, ok := stormy.banned[p]; !ok {
					lost++
				}
			}
			for p := range stormy.banned {
				if _, ok := calm.banned[p]; !ok {
					t.Errorf("%v was banned under attack only", p)
				}
			}
			d := &stormy.Replay.Detector
			t.Logf("recall %.4f and %.4f; %d of %d verdicts lost; %d evictions, %d of %d spilled, %d lost", Recall(calm.Scores), Recall(stormy.Scores),
				lost, len(calm.banned), d.Evictions, d.Spilled, d.Spill, d.SpillLost)
			if d.Spilled < 2*c.Portscan.TableSlots {
				t.Errorf("%d sources in the spill are no attack", d.Spilled)
			}
			if lost > 1+len(calm.banned)/500 {
				t.Errorf("%d of %d verdicts were lost", lost, len(calm.banned))
			}
		})
	}
}
