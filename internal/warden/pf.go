package warden

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pfwarden/internal/ledger"
)

// wanted tells whether PF should hold a place.
func (w *Warden) wanted(s *spot) bool { return s.refs > 0 && !w.pause.Flushed }

// changes is what PF is to be told, with the place of each entry.
type changes struct {
	entries []Entry
	spots   []*spot
}

func (c *changes) append(e Entry, s *spot) {
	c.entries, c.spots = append(c.entries, e), append(c.spots, s)
}

// tellPF brings the touched places to what the bans in force want. The never-list is asked once more for each addition, and waits for nothing.
func (w *Warden) tellPF(ctx context.Context, k *work) error {
	add, drop := w.wishes(k)
	err := errors.Join(w.addToPF(ctx, k, add), w.deleteFromPF(ctx, drop))
	if len(add.entries)+len(drop.entries) > 0 || err == nil {
		w.mu.Lock()
		switch {
		case err == nil:
			w.health.PF, w.health.PFSince = nil, time.Time{}
		case w.health.PF == nil:
			w.health.PFSince = w.now
			fallthrough
		default:
			w.health.PF = err
		}
		w.mu.Unlock()
	}
	return err
}

// wishes works out from the touched places what PF lacks and what it should no longer hold. Where what they want has changed while the ledger was
// written, the ledger knows nothing of it, and it is left to the next Commit.
func (w *Warden) wishes(k *work) (add, drop changes) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var settled []*spot
	for _, wish := range k.touched {
		s, want := wish.spot, w.wanted(wish.spot)
		if want != wish.wanted {
			w.touch(s)
			continue
		}
		if e, bad := w.never.Overlaps(s.prefix); bad && want {
			w.cfg.Log.Error("a never-listed address was about to be banned", "prefix", short(s.prefix), "entry", e.String())
			w.during(k, func() { w.endAll(w.now, w.overlapping(s.prefix), "never", byItself) })
			want = false
		}
		switch {
		case want && (!s.told || s.again):
			add.append(Entry{s.table, s.prefix, s.kill}, s)
			s.told = true // from here on it may be in PF
		case !want && s.told:
			drop.append(Entry{Table: s.table, Prefix: s.prefix}, s)
		default:
			settled = append(settled, s)
		}
	}
	w.settle(settled)
	return add, drop
}

// addToPF adds entries. What PF's driver will never take ends its bans; after any other fault all are added again.
func (w *Warden) addToPF(ctx context.Context, k *work, add changes) error {
	if len(add.entries) == 0 {
		return nil
	}
	err := w.pf.Add(ctx, add.entries...)
	refusal, partly := errors.AsType[*Refusal](err)
	done := err == nil || partly
	w.mu.Lock()
	defer w.mu.Unlock()
	if partly {
		w.during(k, func() { w.refused(refusal) })
	}
	for _, s := range add.spots {
		s.again = !done
		if !done {
			w.touch(s)
		}
	}
	if done {
		w.settle(add.spots)
	}
	if err != nil {
		return fmt.Errorf("adding %d entries to PF: %w", len(add.entries), err)
	}
	return nil
}

// deleteFromPF deletes entries; after a fault all are deleted again.
func (w *Warden) deleteFromPF(ctx context.Context, drop changes) error {
	if len(drop.entries) == 0 {
		return nil
	}
	err := w.pf.Delete(ctx, drop.entries...)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		for _, s := range drop.spots {
			w.touch(s)
		}
		return fmt.Errorf("deleting %d entries from PF: %w", len(drop.entries), err)
	}
	for _, s := range drop.spots {
		s.told, s.again = false, false
	}
	w.settle(drop.spots)
	return nil
}

// refused ends the bans that PF's driver will never take.
func (w *Warden) refused(r *Refusal) {
	for i, e := range r.Entries {
		w.spot(place{e.Table, e.Prefix}).told = false
		w.cfg.Log.Error("PF's driver refuses a ban", "prefix", short(e.Prefix), "table", e.Table, "error", r.Why[i])
		list, _ := w.cover.Get(e.Prefix)
		for _, h := range list {
			if h.Table == e.Table && h.inPF() {
				w.end(h, w.now.Truncate(time.Microsecond), "refused", byItself)
			}
		}
	}
}

// active marks the bans of a spot that PF was told of.
func (w *Warden) active(s *spot) {
	list, _ := w.cover.Get(s.prefix)
	for _, h := range list {
		if h.Table == s.table && h.State == ledger.Intended && !h.Observed {
			h.State = ledger.Active
			w.transit(h)
		}
	}
}

// settle closes the ended bans of spots that PF holds no more, or holds for another ban. What was decided of a spot while PF was being
// told is left to the next Commit: a ban that ended meanwhile still stands in PF, one that began is not there yet.
func (w *Warden) settle(spots []*spot) {
	for _, s := range spots {
		if s.touched && (s.refs > 0) != s.told {
			continue
		}
		for _, h := range s.leaving {
			h.State = ledger.Ended
			w.transit(h)
		}
		s.leaving = nil
		if s.refs > 0 {
			w.active(s)
		}
		w.tidy(s)
	}
}

// transit stages a change of state alone; a ban that is to be written as a whole takes it along.
func (w *Warden) transit(h *held) {
	if _, whole := w.dirty[h.ID]; whole {
		h.version++
		return
	}
	w.moved[h.ID] = h.State
}

// Desired lists what PF's tables should hold, in no particular order: hand it to the driver at start and for every reconciliation.
func (w *Warden) Desired() []Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pause.Flushed {
		return nil
	}
	all := make([]Entry, 0, len(w.spots))
	for _, s := range w.spots {
		if s.refs > 0 {
			all = append(all, Entry{s.table, s.prefix, s.kill})
		}
	}
	return all
}

// Leaving lists what may still stand in PF's tables though its ban has ended: it is no foreign entry.
func (w *Warden) Leaving() []Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Entry
	for _, s := range w.spots {
		if s.refs == 0 && len(s.leaving) > 0 {
			all = append(all, Entry{Table: s.table, Prefix: s.prefix})
		}
	}
	return sorted(all)
}

func sorted(list []Entry) []Entry {
	slices.SortFunc(list, func(a, b Entry) int {
		return cmp.Or(strings.Compare(a.Table, b.Table), a.Prefix.Compare(b.Prefix))
	})
	return list
}
