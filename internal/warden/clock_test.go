package warden

import (
	"testing"
	"time"

	"pfwarden/internal/ledger"
)

// TestShift: what is remembered of a source, and the bans in force, keep their distance to the present when the clock is set.
func TestShift(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{87600 * time.Hour, -87600 * time.Hour, time.Hour, -time.Hour} {
		h := newHarness(t, Config{})
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
			t.Errorf("%v: after it the clock is doubted: %+v", step, c)
		}
		after := h.Live()
		if len(before) != 1 || len(after) != 1 {
			t.Fatalf("%v: %d bans before, %d after", step, len(before), len(after))
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
	h := newHarness(t, Config{})
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
	h := newHarness(t, Config{})
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

// TestMisdatedBan: a row of the ledger that is dated far ahead, as a damaged one may be, is no evidence of when the ledger was in use: the other
// bans keep their ends, whether there is a snapshot or not, and that one lasts from now on no longer than it was to last.
func TestMisdatedBan(t *testing.T) {
	t.Parallel()
	const years = 64 * 365 * 24 * time.Hour
	ban := func(id int64, source string, since, until time.Time) ledger.Ban {
		return ledger.Ban{ID: id, Prefix: pfx(source), Table: "banned", Jail: "sshd", Proven: true, State: ledger.Active, Since: since, Until: until, Step: 1, Count: 1, By: "pfwarden"}
	}
	at := func(minutes int) time.Time { return t0.Add(time.Duration(minutes) * time.Minute) }
	for _, c := range []struct {
		name     string
		snapshot time.Time
		clock    time.Time // at the start
		behind   time.Duration
		bad      ledger.Ban
		left     time.Duration // of the bad one
	}{
		{"whole row ahead, snapshot", at(0), at(1), 0, ban(3, "198.51.100.9", t0.Add(years), t0.Add(years+10*time.Minute)), 10 * time.Minute},
		{"whole row ahead, no snapshot", time.Time{}, at(1), 0, ban(3, "198.51.100.9", t0.Add(years), t0.Add(years+10*time.Minute)), 10 * time.Minute},
		{"its begin alone ahead", at(0), at(1), 0, ban(3, "198.51.100.9", t0.Add(years), at(5)), 4 * time.Minute},
		{"for ever", at(0), at(1), 0, ban(3, "198.51.100.9", t0.Add(years), time.Time{}), -1},
		{"two days ahead", at(0), at(1), 0, ban(3, "198.51.100.9", t0.Add(48*time.Hour), t0.Add(49*time.Hour)), time.Hour},
		{"clock behind too, snapshot", at(0), t0.Add(-years), years, ban(3, "198.51.100.9", t0.Add(years), t0.Add(years+10*time.Minute)), 10 * time.Minute},
		{"clock behind too, no snapshot", time.Time{}, t0.Add(-years), years, ban(3, "198.51.100.9", t0.Add(years), t0.Add(years+10*time.Minute)), 10 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, Config{Last: c.snapshot})
			first, second := ban(1, "198.51.100.7", at(-10), at(20)), ban(2, "198.51.100.8", at(0), at(30))
			if err := h.store.Record(t.Context(), ledger.Batch{Bans: []ledger.Ban{first, second, c.bad}}); err != nil {
				t.Fatal(err)
			}
			now := c.clock.Add(c.behind) // by the clock that the ledger was written by
			for range 2 {                // and the next start finds nothing amiss
				h.restart(c.clock)
				h.commit()
				if got := h.Clock().Behind; got != c.behind {
					t.Errorf("behind by %v, want %v", got, c.behind)
				}
				live := h.Live()
				if len(live) != 3 {
					t.Fatalf("%d bans in force, want 3", len(live))
				}
				for _, b := range live {
					want := map[int64]time.Duration{1: at(20).Sub(now), 2: at(30).Sub(now), 3: c.left}[b.ID]
					if b.Permanent() && want == -1 {
						continue
					}
					if got := b.Until.Sub(c.clock); got != want || b.Since.After(c.clock) {
						t.Errorf("ban %d: since %v, %v left, want %v", b.ID, b.Since, got, want)
					}
				}
				h.cfg.Last, c.behind = time.Time{}, 0
			}
			if got := h.Clock().Misdated; got != 0 {
				t.Errorf("%d misdated at the second start", got)
			}
		})
	}
}

// TestMisdatedPast: a ban of the past that is dated far ahead is not remembered for longer than one that ended now.
func TestMisdatedPast(t *testing.T) {
	t.Parallel()
	const years = 64 * 365 * 24 * time.Hour
	h := newHarness(t, Config{})
	bad := ledger.Ban{ID: 1, Prefix: pfx("198.51.100.9"), Table: "banned", Jail: "sshd", Proven: true, State: ledger.Ended, Step: 2, Count: 2, By: "pfwarden",
		Since: t0.Add(years), Until: t0.Add(years + time.Hour), Ended: t0.Add(years + time.Hour), EndWhy: "expired"}
	if err := h.store.Record(t.Context(), ledger.Batch{Bans: []ledger.Ban{bad}}); err != nil {
		t.Fatal(err)
	}
	h.restart(t0)
	for _, x := range []struct {
		at   time.Time
		want int
	}{{t0, 2}, {t0.Add(DefaultMemory + time.Hour), 0}} { // in this order: what is forgotten stays so
		if step, _, _ := h.Steps(x.at, bad.Prefix); step != x.want {
			t.Errorf("at %v its step is %d, want %d", x.at, step, x.want)
		}
	}
}
