package warden

import (
	"time"

	"pfwarden/detect"
	"pfwarden/internal/ledger"
)

const (
	// steadyClock is by how much the clock may be behind the ledger without a word: bans end earlier or later by that.
	steadyClock = 10 * time.Second
	// longGone is after what time without a pfwarden a start doubts the clock: the bans that ended meanwhile can be taken up again.
	longGone = 30 * 24 * time.Hour
)

// Clock says what New found about the clock.
type Clock struct {
	Behind time.Duration // how far the clock was behind the ledger's newest entry; 0 = it was not
	Gone   time.Duration // how long nothing had been written, where that is long enough to doubt the clock; else 0
	Ended  int           // bans that ended in that time
}

// Clock gives it.
func (w *Warden) Clock() Clock {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

// Shift is told that the clock was set by step, and shows now since. The bans in force keep the time that they have left, and what is remembered is
// forgotten as much later or earlier. Bans that ended at the start, by a clock that was far ahead then and is set back now, are taken up again; the
// notices tell of these, and resumed how many they are.
func (w *Warden) Shift(now time.Time, step time.Duration) (notices []detect.Notice, resumed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.live {
		redate(h.Ban, step)
		w.changed(h)
	}
	for _, r := range w.past.records {
		later(&r.forget, step)
		for i := range r.suspects {
			later(&r.suspects[i], step)
		}
	}
	w.now, w.retry = now, time.Time{}
	if step >= 0 {
		return nil, 0
	}
	for i := range w.doubtful {
		if h := w.again(&w.doubtful[i], now); h != nil {
			notices = append(notices, h.notice(now))
		}
	}
	w.doubtful = nil
	return notices, len(notices)
}

// again takes up a ban that a wrong clock has ended, for the time that it has left.
func (w *Warden) again(b *ledger.Ban, now time.Time) *held {
	if !b.Until.After(now) || w.live[key{b.Scope, b.Prefix, b.Ident}] != nil || len(w.live) >= w.cfg.MaxBans {
		return nil
	}
	if b.Prefix.IsValid() {
		if _, bad := w.never.Overlaps(b.Prefix); bad {
			return nil
		}
	}
	fresh := ledger.Ban{
		Prefix: b.Prefix, Ident: b.Ident, Scope: b.Scope, Table: b.Table, Jail: b.Jail, Proven: b.Proven, Observed: b.Observed, Step: b.Step, Count: b.Count,
		Since: now.Truncate(time.Microsecond), Until: b.Until, By: b.By, Reasons: append([]string{"taken up again: it was ended by a clock that was ahead"}, b.Reasons...),
	}
	h := w.open(fresh)
	w.past.opened(h, b.Count == 0, now)
	w.tell(Event{Kind: EventBan, Time: now, Ban: *h.Ban, Why: "resumed"})
	return h
}

// redate dates a ban by another clock.
func redate(b *ledger.Ban, step time.Duration) {
	later(&b.Since, step)
	later(&b.Until, step)
	later(&b.LastHit, step)
	later(&b.Ended, step)
}

func later(t *time.Time, step time.Duration) {
	if !t.IsZero() {
		*t = t.Add(step)
	}
}

// compare holds the clock against what the ledger was written by, and dates the ledger's bans by it where it is behind.
func (w *Warden) compare(bans []ledger.Ban) {
	last := w.cfg.Last
	for i := range bans {
		if bans[i].Since.After(last) {
			last = bans[i].Since
		}
	}
	if last.IsZero() {
		return
	}
	switch gone := w.now.Sub(last); {
	case gone < -steadyClock:
		w.clock.Behind = -gone
		for i := range bans {
			redate(&bans[i], gone)
		}
	case gone > longGone:
		w.clock.Gone = gone
	}
}

// earlier dates a ban of the past by a clock that is behind the ledger.
func (w *Warden) earlier(p ledger.Past) ledger.Past {
	if w.clock.Behind > 0 {
		for _, t := range []*time.Time{&p.Since, &p.Until, &p.Ended} {
			later(t, -w.clock.Behind)
		}
	}
	return p
}

// doubt keeps what ends now because so much time is said to have passed.
func (w *Warden) doubt() {
	if w.clock.Gone == 0 {
		return
	}
	for _, h := range w.ends.list {
		if !h.Until.After(w.now) {
			w.doubtful = append(w.doubtful, *h.Ban)
		}
	}
	w.clock.Ended = len(w.doubtful)
}
