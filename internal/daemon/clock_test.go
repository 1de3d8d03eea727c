package daemon_test

import (
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// TestClockSteps sets the clock forward and back under a running daemon. No ban is lost and new ones are made at once; what a step
// costs is that bans end by the new clock, so earlier or later by the step. The clock of this test has no monotonic part, which is
// worse than any machine's.
func TestClockSteps(t *testing.T) {
	for _, c := range []struct {
		name string
		step time.Duration
		gone bool // the ban of ten minutes from before the step
	}{
		{"an hour back", -time.Hour, false},
		{"five minutes back", -5 * time.Minute, false},
		{"five minutes forward", 5 * time.Minute, false},
		{"an hour forward", time.Hour, true},
		{"from 1970, as without a battery", 56 * 365 * 24 * time.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newSteppedHost(t)
			h.unsteady = true
			if c.step > 24*time.Hour {
				h.offset.Store(-int64(c.step))
			}
			h.start()
			h.attack("198.51.100.7")
			h.offset.Add(int64(c.step))
			h.fail("198.51.100.8")
			testkit.Within(t, 20*time.Second, "a ban after the step", func() bool {
				return h.inPF("198.51.100.8") && h.inPF("198.51.100.7") != c.gone
			})
			h.offset.Add(-int64(c.step))
			h.attack("198.51.100.9")
			h.stop()
		})
	}
}
