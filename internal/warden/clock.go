package warden

import (
	"slices"
	"time"

	"pfwarden/detect"
	"pfwarden/internal/ledger"
)

const (
	// steadyClock is by how much the clock may be behind the ledger without a word: bans end earlier or later by that.
	steadyClock = 10 * time.Second
	// longGone is after what time without a pfwarden a start doubts the clock: the bans that ended meanwhile can be taken up again.
	longGone = 30 * 24 * time.Hour
	// farAhead is by how much a ban may be ahead of the clock and of the last snapshot to be evidence of when the ledger was in use: a snapshot is
	// saved every few minutes, so what is further ahead was dated by a damaged row, or by a clock that was wrong when it was written.
	farAhead = day
)

// Clock says what New found about the clock.
type Clock struct {
	Behind time.Duration // how far the clock was behind the ledger's newest entry; 0 = it was not
	Gone   time.Duration // how long nothing had been written, where that is long enough to doubt the clock; else 0
	Ended  int           // bans that ended in that time

	Misdated int // bans that were dated later than the ledger was in use: they are taken to have begun now
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
	last := w.lastUse(bans)
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
	for i := range bans {
		if begunBy(&bans[i], w.now) {
			w.clock.Misdated++
		}
	}
}

// lastUse is the newest time that the ledger is surely known to have been in use at, zero if there is none.
func (w *Warden) lastUse(bans []ledger.Ban) time.Time {
	last, known := w.cfg.Last, !w.cfg.Last.IsZero()
	latest := w.now // that a ban may be dated to be evidence
	if known && last.After(latest) {
		latest = last
	}
	latest = latest.Add(farAhead)
	for i := range bans {
		if since := bans[i].Since; !since.After(latest) {
			known = true
			if since.After(last) {
				last = since
			}
		}
	}
	if known {
		return last
	}
	return agreed(bans) // the clock is behind all that there is
}

// agreed is the newest time that two bans agree on, to a day; where no two do, the one in the middle.
func agreed(bans []ledger.Ban) time.Time {
	if len(bans) == 0 {
		return time.Time{}
	}
	times := make([]time.Time, len(bans))
	for i := range bans {
		times[i] = bans[i].Since
	}
	slices.SortFunc(times, time.Time.Compare)
	for i := len(times) - 1; i > 0; i-- {
		if times[i].Sub(times[i-1]) <= farAhead {
			return times[i]
		}
	}
	return times[(len(times)-1)/2]
}

// begunBy has a ban that is dated later begin now. It lasts no longer than it was to last, nor than until its end.
func begunBy(b *ledger.Ban, now time.Time) bool {
	ahead := b.Since.Sub(now)
	if ahead <= steadyClock {
		return false
	}
	b.Since = now.Truncate(time.Microsecond)
	if b.LastHit.After(now) {
		b.LastHit = b.Since
	}
	if moved := b.Until.Add(-ahead); !b.Until.IsZero() && moved.After(now) {
		b.Until = moved
	}
	return true
}

// earlier dates a ban of the past by a clock that is behind the ledger. None has begun or ended later than now.
func (w *Warden) earlier(p ledger.Past) ledger.Past {
	if w.clock.Behind > 0 {
		for _, t := range []*time.Time{&p.Since, &p.Until, &p.Ended} {
			later(t, -w.clock.Behind)
		}
	}
	if ahead := p.Since.Sub(w.now); ahead > steadyClock {
		later(&p.Since, -ahead)
		later(&p.Until, -ahead)
	}
	if p.Ended.After(w.now) {
		p.Ended = w.now
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
