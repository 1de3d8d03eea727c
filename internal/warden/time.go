package warden

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"pfwarden/detect"
	"pfwarden/internal/ledger"
)

// Tick ends the bans whose time has come by now, and prolongs those that are still hit. Call it at NextEnd, or about once a second.
func (w *Warden) Tick(now time.Time) []detect.Notice {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.advance(now)
}

// NextEnd tells when the next ban ends; ok is false if none does.
func (w *Warden) NextEnd() (at time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if h := w.ends.first(); h != nil {
		return h.Until, true
	}
	return time.Time{}, false
}

func (w *Warden) advance(now time.Time) []detect.Notice {
	w.now = now
	return w.expire(now, false)
}

// expire ends what is due, each at its own time. quiet leaves the notices out.
func (w *Warden) expire(now time.Time, quiet bool) []detect.Notice {
	var notices []detect.Notice
	for h := w.ends.first(); h != nil && !h.Until.After(now); h = w.ends.first() {
		due := h.Until
		if w.prolong(h) {
			if !quiet {
				notices = append(notices, h.notice(due)) // not at its new end: the detector's clock would run ahead to it
			}
			continue
		}
		w.end(h, h.Until, "expired", byItself)
		if !quiet {
			notices = append(notices, detect.Notice{Time: h.Until, Kind: detect.Unbanned, Source: h.Prefix, ID: h.Ident, Jail: h.Jail, Count: h.Count})
		}
	}
	return notices
}

// prolong lets a proven ban go on for another time of its step if PF still blocked packets of it shortly before its end.
func (w *Warden) prolong(h *held) bool {
	j := w.jail(h.Jail)
	if !h.Proven || h.Step == 0 || !j.Prolong || j.Fail2ban != nil || h.LastHit.IsZero() {
		return false
	}
	d := j.Ladder[min(h.Step, len(j.Ladder))-1]
	window := min(w.cfg.StillHit, h.Until.Sub(h.Since)/2)
	if d <= 0 || h.LastHit.Before(h.Until.Add(-window)) {
		return false
	}
	at := h.Until
	h.Until = at.Add(d).Truncate(time.Microsecond)
	h.Longer++
	if r := w.past.records[memoryKey(h.key())]; r != nil {
		r.forget = w.forget(h.Jail, h.Since, h.Until, time.Time{})
	}
	w.ends.moved(h)
	w.changed(h)
	w.stats.Prolong++
	w.tell(Event{Kind: EventProlong, Time: at, Ban: *h.Ban})
	return true
}

// Count is one reading of PF's counters of a table entry. PF counts from when the entry was added or its counters were zeroed.
type Count struct {
	Table          string
	Prefix         netip.Prefix
	Packets, Bytes uint64 // that were blocked, both directions
}

// Counters takes over a reading of PF's counters made at now. Readings of entries that are no live ban are left out. Where PF
// began to count anew (the table was killed, the entry re-added) the earlier count is kept and added to.
func (w *Warden) Counters(now time.Time, counts []Count) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range counts {
		list, _ := w.cover.Get(c.Prefix)
		for _, h := range list {
			if h.Table == c.Table && !h.Observed {
				w.reading(now, h, c)
			}
		}
	}
}

func (w *Warden) reading(now time.Time, h *held, c Count) {
	if c.Packets < h.raw || c.Bytes < h.rawB {
		h.BasePackets, h.BaseBytes = h.Packets, h.Bytes
	}
	h.raw, h.rawB = c.Packets, c.Bytes
	packets, bytes := h.BasePackets+c.Packets, h.BaseBytes+c.Bytes
	if packets == h.Packets && bytes == h.Bytes {
		return
	}
	if packets > h.Packets {
		h.LastHit = now.Truncate(time.Microsecond)
	}
	h.Packets, h.Bytes = packets, bytes
	w.counted[h.ID] = h
}

// Knock dates the last hit of the bans that cover source: our own anchor's rule logged one of its packets.
func (w *Warden) Knock(at time.Time, source netip.Addr) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for h := range w.covering(source) {
		if at.After(h.LastHit) {
			h.LastHit = at.Truncate(time.Microsecond)
			w.counted[h.ID] = h
		}
	}
}

// Hit counts one packet that the bans in force at its time would have stopped, and tells whether there is one. It is for replay,
// where no PF counts.
func (w *Warden) Hit(at time.Time, source netip.Addr, bytes uint32) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	hit := false
	for h := range w.covering(source) {
		if h.Table == "" || at.Before(h.Since) || (!h.Permanent() && !at.Before(h.Until)) {
			continue
		}
		h.Packets++
		h.Bytes += uint64(bytes)
		if at.After(h.LastHit) {
			h.LastHit = at.Truncate(time.Microsecond)
		}
		w.counted[h.ID] = h
		hit = true
	}
	return hit
}

// covering yields the live bans that hold a, widest first.
func (w *Warden) covering(a netip.Addr) func(yield func(*held) bool) {
	return func(yield func(*held) bool) {
		a = a.Unmap().WithZone("")
		if !a.IsValid() || !w.cover.Contains(a) {
			return
		}
		for _, list := range w.cover.Supernets(netip.PrefixFrom(a, a.BitLen())) {
			for _, h := range list {
				if !yield(h) {
					return
				}
			}
		}
	}
}

// Since returns a Banned notice for every ban that began after t, and one for every end after t, in order of time: what a detector
// restored from a snapshot of t has missed.
func (w *Warden) Since(ctx context.Context, t time.Time) ([]detect.Notice, error) {
	var notices []detect.Notice
	err := w.store.WalkChanged(ctx, t, func(b ledger.Past) error {
		n := detect.Notice{Source: b.Prefix, ID: b.Ident, Jail: b.Jail, Count: b.Count}
		if b.Since.After(t) {
			n.Time, n.Kind, n.Until = b.Since, detect.Banned, b.Until
			notices = append(notices, n)
		}
		if b.State.Live() || !b.Ended.After(t) {
			return nil
		}
		n.Time, n.Kind, n.Until = b.Ended, detect.Unbanned, time.Time{}
		if forgiven(b.EndWhy) {
			n.Kind, n.Jail = detect.Forgiven, ""
		}
		notices = append(notices, n)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading bans since %s: %w", t.UTC().Format(time.RFC3339), err)
	}
	sortNotices(notices)
	return notices, nil
}
