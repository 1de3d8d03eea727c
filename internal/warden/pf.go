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

// tellPF brings the touched places to what the bans in force want. Where that has changed while the ledger was written, the ledger knows nothing of
// it, and it is left to the next Commit. The never-list is asked once more for each addition, and waits for nothing.
func (w *Warden) tellPF(ctx context.Context, k *work) error {
	w.mu.Lock()
	var add, drop []Entry
	var adding, dropping, settled []*spot
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
			add, adding = append(add, Entry{s.table, s.prefix, s.kill}), append(adding, s)
			s.told = true // from here on it may be in PF
		case !want && s.told:
			drop, dropping = append(drop, Entry{Table: s.table, Prefix: s.prefix}), append(dropping, s)
		default:
			settled = append(settled, s)
		}
	}
	w.settle(settled)
	w.mu.Unlock()

	var errs []error
	if len(add) > 0 {
		err := w.pf.Add(ctx, add...)
		refusal, partly := errors.AsType[*Refusal](err)
		w.mu.Lock()
		if partly {
			w.during(k, func() { w.refused(refusal) })
		}
		for _, s := range adding {
			if err != nil && !partly {
				s.again = true
				w.touch(s)
			} else {
				s.again = false
			}
		}
		if err == nil || partly {
			w.settle(adding)
		}
		w.mu.Unlock()
		if err != nil {
			errs = append(errs, fmt.Errorf("adding %d entries to PF: %w", len(add), err))
		}
	}
	if len(drop) > 0 {
		err := w.pf.Delete(ctx, drop...)
		w.mu.Lock()
		for _, s := range dropping {
			if err != nil {
				w.touch(s)
			} else {
				s.told, s.again = false, false
			}
		}
		if err == nil {
			w.settle(dropping)
		}
		w.mu.Unlock()
		if err != nil {
			errs = append(errs, fmt.Errorf("deleting %d entries from PF: %w", len(drop), err))
		}
	}
	err := errors.Join(errs...)
	if len(add)+len(drop) > 0 || err == nil {
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
