package warden

import (
	"testing"
	"time"
)

// TestShift: what is remembered of a source, and the bans in force, keep their distance to the present when the clock is set.
func TestShift(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{87600 * time.Hour, -87600 * time.Hour, time.Hour, -time.Hour} {
		h := newHouse(t, Config{})
		h.Judge(t0, proven(t0, "198.51.100.7"))
		h.commit()
		before, now := h.Live(), t0.Add(step)
		if _, resumed := h.Shift(now, step); resumed != 0 {
			t.Errorf("%v: %d bans taken up again", step, resumed)
		}
		h.commit()
		h.Tick(now)
		h.restart(now) // and the ledger has it so
		if c := h.Clock(); c != (Clock{}) {
			t.Errorf("%v: behind it the clock is doubted: %+v", step, c)
		}
		after := h.Live()
		if len(before) != 1 || len(after) != 1 {
			t.Fatalf("%v: %d bans before, %d behind", step, len(before), len(after))
		}
		if got := after[0].Until.Sub(now); got != before[0].Until.Sub(t0) || !after[0].Since.Equal(now) {
			t.Errorf("%v: the ban goes on for %v, since %v", step, got, after[0].Since)
		}
		if got, _, _ := h.Steps(now.Add(24*time.Hour), after[0].Prefix); got != before[0].Step {
			t.Errorf("%v: step %d is remembered", step, got)
		}
	}
}

// TestClockBehindLedger: a warden that begins earlier than its ledger dates it by the clock of now: the ban keeps what it had left, and what is
// remembered is not remembered for years.
func TestClockBehindLedger(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.Judge(t0, proven(t0, "198.51.100.7"))
	h.Judge(t0, proven(t0, "198.51.100.8"))
	h.Tick(t0.Add(DefaultLadder()[0]))
	later := t0.Add(DefaultLadder()[0])
	h.Judge(later, proven(later, "198.51.100.8")) // its second
	h.commit()
	want := h.Live()[0].Until.Sub(later)
	now := t0.Add(-87600 * time.Hour)
	h.restart(now)
	if c := h.Clock(); c.Behind != later.Sub(now) {
		t.Errorf("behind by %v, want %v", c.Behind, later.Sub(now))
	}
	live := h.Live()
	if len(live) != 1 || live[0].Until.Sub(now) != want {
		t.Fatalf("in force: %+v, want one for %v", live, want)
	}
	forgotten := now.Add(DefaultMemory + 25*time.Hour)
	if step, _, _ := h.Steps(now, pfx("198.51.100.7")); step != 1 {
		t.Errorf("the first one's step is %d", step)
	}
	if step, _, _ := h.Steps(forgotten, pfx("198.51.100.7")); step != 0 {
		t.Errorf("step %d is remembered too long", step)
	}
}

// TestClockAheadAtStart: bans that a start far later has ended are taken up again when the clock is set back, those that have time left by then.
func TestClockAheadAtStart(t *testing.T) {
	t.Parallel()
	h := newHouse(t, Config{})
	h.Judge(t0, proven(t0, "198.51.100.7"))
	h.table("banned 198.51.100.7")
	h.restart(t0.Add(87600 * time.Hour))
	h.table()
	if c := h.Clock(); c.Ended != 1 || c.Gone != 87600*time.Hour {
		t.Errorf("%+v", c)
	}
	now := t0.Add(time.Minute)
	notices, resumed := h.Shift(now, -87600*time.Hour+time.Minute)
	h.table("banned 198.51.100.7")
	if live := h.Live(); resumed != 1 || len(notices) != 1 || len(live) != 1 || !live[0].Until.Equal(t0.Add(DefaultLadder()[0])) {
		t.Errorf("%d taken up again, in force: %+v", resumed, live)
	}
}
