package warden

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"pfwarden/detect"
	"pfwarden/internal/ledger"
)

// Live returns the bans in force, oldest first.
func (w *Warden) Live() []ledger.Ban {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.inOrder()
	bans := make([]ledger.Ban, len(list))
	for i, h := range list {
		bans[i] = *h.Ban
	}
	return bans
}

// InForce gives a Banned notice for every ban in force, in order of time: what a detector that begins anew has to know.
func (w *Warden) InForce() []detect.Notice {
	w.mu.Lock()
	defer w.mu.Unlock()
	notices := make([]detect.Notice, 0, len(w.live))
	for _, h := range w.live {
		notices = append(notices, h.notice(h.Since))
	}
	sortNotices(notices)
	return notices
}

// Len tells how many bans are in force.
func (w *Warden) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.live)
}

// Lookup returns the bans in force that hold p or lie inside it, oldest first.
func (w *Warden) Lookup(p netip.Prefix) []ledger.Ban {
	p, err := Canonical(p)
	if err != nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var bans []ledger.Ban
	for _, h := range w.overlapping(p) {
		bans = append(bans, *h.Ban)
	}
	return bans
}

// Banned tells whether a ban in force holds a.
func (w *Warden) Banned(a netip.Addr) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cover.Contains(a.Unmap().WithZone(""))
}

// Steps tells what is remembered of a source: its last step on the ladder, how often it was banned, how often it was a suspect in
// the last 24 hours.
func (w *Warden) Steps(now time.Time, p netip.Prefix) (step, count, suspect int) {
	p, err := Canonical(p)
	if err != nil {
		return 0, 0, 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.past.look(key{"", p, ""}, now); r != nil {
		return r.step, r.count, len(r.suspects)
	}
	return 0, 0, 0
}

// Stats returns a copy of the counters.
func (w *Warden) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.stats
	s.Live, s.Bans, s.Unbans, s.Refused = maps.Clone(s.Live), maps.Clone(s.Bans), maps.Clone(s.Unbans), maps.Clone(s.Refused)
	s.Forgot = w.past.dropped
	return s
}

// Health says what stands in the way of the warden's decisions.
func (w *Warden) Health() Health {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.health
	h.Unwritten, h.Untold = len(w.dirty), len(w.touched)
	h.Paused, h.Observe = w.pause, w.cfg.Observe
	h.Full = len(w.live) >= w.cfg.MaxBans
	return h
}

// Adopt makes bans of table entries that the ledger does not know, after it was lost: they are as much ours as the table is. A
// suspect gets its short time anew, any other the first step of the default ladder. Known entries are left alone, never-listed
// ones are told to PF as gone.
func (w *Warden) Adopt(now time.Time, table string, prefixes []netip.Prefix) []detect.Notice {
	w.mu.Lock()
	defer w.mu.Unlock()
	notices := w.advance(now)
	for _, p := range prefixes {
		p, err := Canonical(p)
		if err != nil {
			continue
		}
		s := w.spot(place{table, p})
		if s.refs > 0 || w.live[key{"", p, ""}] != nil {
			w.tidy(s)
			continue
		}
		s.told = true
		b := ledger.Ban{
			Prefix: p, Table: table, Proven: table != w.cfg.Suspects, Since: now.Truncate(time.Microsecond), By: byItself,
			Reasons: []string{"found in PF's table after the ledger was lost"},
		}
		d := w.cfg.Default.Suspect
		if b.Proven {
			d = w.cfg.Default.Ladder[0]
		}
		if d > 0 {
			b.Until = b.Since.Add(d)
		}
		if _, bad := w.never.Overlaps(p); bad || len(w.live) >= w.cfg.MaxBans {
			w.touch(s)
			continue
		}
		h := w.open(b)
		w.tell(Event{Kind: EventBan, Time: now, Ban: *h.Ban, Why: "adopted"})
		notices = append(notices, h.notice(now))
	}
	return notices
}

func (w *Warden) inOrder() []*held {
	list := slices.Collect(maps.Values(w.live))
	sortHeld(list)
	return list
}

func sortHeld(list []*held) {
	slices.SortFunc(list, func(a, b *held) int { return int(a.ID - b.ID) })
}

func sortNotices(list []detect.Notice) {
	slices.SortStableFunc(list, func(a, b detect.Notice) int { return a.Time.Compare(b.Time) })
}
