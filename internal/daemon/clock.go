package daemon

import (
	"context"
	"fmt"
	"time"

	"pfwarden/detect"
)

const (
	// clockStep is the least by which a clock is taken to have been set; what is less, bans end earlier or later by.
	clockStep = 10 * time.Second
	// detectorStep is how far back the clock may be set for the detector to go on: what it has dated later would be in the future.
	detectorStep = 5 * time.Minute
	// clockTold is how long the health page tells of it.
	clockTold = 24 * time.Hour
)

// stepClock compares the machine's clock with one that nobody sets.
type stepClock struct {
	now    func() time.Time
	steady func() time.Duration // nil: there is none
	last   time.Time            // without its monotonic part, which would hide the step
	lastAt time.Duration        // by steady

	told   time.Duration // by steady, when a step was told
	faulty bool          // it is still shown
}

// begin tells the time, by which steps are counted from now on.
func (c *stepClock) begin() time.Time {
	now := c.now()
	if c.steady != nil {
		c.last, c.lastAt = now.Round(0), c.steady()
	}
	return now
}

// look tells the time, and by how much the clock was set since the last look, 0 if it was not. A clock that is being slewed is not set.
func (c *stepClock) look() (now time.Time, step time.Duration) {
	now = c.now()
	if c.steady == nil {
		return now, 0
	}
	at := c.steady()
	wall := now.Round(0)
	step = wall.Sub(c.last) - (at - c.lastAt)
	c.last, c.lastAt = wall, at
	if step.Abs() < clockStep {
		return now, 0
	}
	return now, step
}

// now is the time by which the engine's goroutine works. Where the clock was set, all that depends on it is told first.
func (d *Daemon) now() time.Time {
	now, step := d.clock.look()
	if step != 0 {
		d.stepped(now, step)
	}
	return now
}

// stepped dates by the new clock what was dated by the old one.
func (d *Daemon) stepped(now time.Time, step time.Duration) {
	direction := "forward"
	if step < 0 {
		direction = "back"
	}
	d.metrics.ClockSteps.With(direction).Inc()
	notices, resumed := d.bans.Shift(now, step)
	d.log.Warn("the machine's clock was set: bans keep the time that they have left",
		"by", step, "direction", direction, "now", now.UTC(), "bans", d.bans.Len(), "resumed", resumed)
	text := fmt.Sprintf("the machine's clock was set %s by %v, to %s: bans keep the time that they have left",
		direction, step.Abs().Round(time.Second), now.UTC().Format(time.RFC3339))
	if resumed > 0 {
		text += fmt.Sprintf("; bans taken up again that had ended by the wrong clock: %d", resumed)
	}
	if step < -detectorStep {
		d.engine.Flush(now) // what waits was dated by the old clock, and is judged by the detector that knows it
		d.renewDetector()
		text += "; what was suspected, but not banned, is forgotten"
	} else {
		d.engine.Notices(notices)
	}
	d.clockFault(text)
	d.saved, d.suspectedAt = time.Time{}, time.Time{} // both at once, by the new clock
	for _, t := range []*time.Time{&d.liveAt, &d.gapFrom} {
		if t.After(now) {
			*t = now
		}
	}
}

// renewDetector begins a detector anew that knows of all bans, since the old one's newest time is ahead of the clock.
func (d *Daemon) renewDetector() {
	detector, err := detect.New(d.plan.Detector)
	if err != nil { // the settings are those of the old one
		d.log.Error("the detector goes on as it is", "error", err)
		return
	}
	for _, n := range d.bans.InForce() {
		detector.Notice(n)
	}
	d.detector = detector
	if err := d.join(d.plan); err != nil {
		d.log.Error("the journal ends here", "error", err)
		d.o.Journal, d.journal = nil, nil
		_ = d.join(d.plan) // fails for the journal only
	}
}

// clockFault shows on the health page what became of the clock, for a day.
func (d *Daemon) clockFault(text string) {
	d.fault("clock", text)
	d.clock.faulty = true
	if d.clock.steady != nil {
		d.clock.told = d.clock.steady()
	}
}

// clockForgotten takes it from there again.
func (d *Daemon) clockForgotten() {
	if d.clock.faulty && d.clock.steady != nil && d.clock.steady()-d.clock.told >= clockTold {
		d.clock.faulty = false
		d.fault("clock", "")
	}
}

// clockAtStart says what the ledger tells of the clock.
func (d *Daemon) clockAtStart() {
	c := d.bans.Clock()
	if c.Misdated > 0 {
		d.log.Warn("bans in the ledger are dated later than it was in use: they are taken to have begun now", "bans", c.Misdated)
	}
	switch {
	case c.Behind > 0:
		d.metrics.ClockSteps.With("back").Inc()
		d.log.Warn("the machine's clock is behind what the ledger was written by: bans keep at most the time that they had left then",
			"behind", c.Behind, "bans", d.bans.Len())
		text := fmt.Sprintf("at the start the machine's clock was %v behind what the ledger was written by: bans keep at most the time that they had left then",
			c.Behind.Round(time.Second))
		if c.Behind > detectorStep {
			text += "; what was suspected is forgotten"
		}
		d.clockFault(text)
	case c.Gone > 0:
		d.log.Warn("nothing was written into the ledger for long: if that is the clock's fault, set it, and bans that it ended are taken up again",
			"days", int(c.Gone.Hours()/24), "ended", c.Ended)
		d.clockFault(fmt.Sprintf("at the start nothing had been written into the ledger for %d days; bans that ended by that: %d. If the clock is wrong, set it: these are taken up again while this pfwarden runs",
			int(c.Gone.Hours()/24), c.Ended))
	}
}

// purge has the ledger forget what ended before a time, in steps: of the oldest at most a day more at each snapshot, so that a clock that is wrong for
// an hour does not cost the history.
func (d *Daemon) purge(ctx context.Context, before time.Time) error {
	oldest, ok, err := d.store.OldestEnd(ctx)
	if err != nil || !ok {
		return err
	}
	if most := oldest.Add(24 * time.Hour); most.Before(before) {
		before = most
	}
	_, err = d.store.Purge(ctx, before)
	return err
}
