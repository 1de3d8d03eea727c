package warden

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pfwarden/internal/ledger"
)

// tellPF brings the touched places to what the bans in force want. The never-list is asked once more for each addition.
func (w *Warden) tellPF(ctx context.Context, k work) error {
	w.mu.Lock()
	var add, drop []Entry
	var settled []place
	for _, p := range k.touched {
		want := w.refs[p] > 0 && !w.pause.Flushed
		if e, bad := w.never.Overlaps(p.prefix); bad && want {
			w.cfg.Log.Error("a never-listed address was about to be banned", "prefix", short(p.prefix), "entry", e.String())
			w.endAll(w.now, w.overlapping(p.prefix), "never", byItself)
			want = false
		}
		_, has := w.told[p]
		_, again := w.again[p]
		switch {
		case want && (!has || again):
			add = append(add, Entry{p.table, p.prefix, w.kill[p]})
		case !want && has:
			drop = append(drop, Entry{Table: p.table, Prefix: p.prefix})
		default:
			settled = append(settled, p)
		}
	}
	for _, e := range add { // from here on it may be in PF
		w.told[place{e.Table, e.Prefix}] = struct{}{}
	}
	w.settle(settled)
	w.mu.Unlock()

	var errs []error
	if len(add) > 0 {
		err := w.pf.Add(ctx, add...)
		refusal, partly := errors.AsType[*Refusal](err)
		w.mu.Lock()
		if partly {
			w.refused(refusal)
		}
		for _, e := range add {
			p := place{e.Table, e.Prefix}
			if err != nil && !partly {
				w.again[p], w.touched[p] = struct{}{}, struct{}{}
				continue
			}
			delete(w.again, p)
			w.settle([]place{p})
		}
		w.mu.Unlock()
		if err != nil {
			errs = append(errs, fmt.Errorf("adding %d entries to PF: %w", len(add), err))
		}
	}
	if len(drop) > 0 {
		err := w.pf.Delete(ctx, drop...)
		w.mu.Lock()
		gone := make([]place, 0, len(drop))
		for _, e := range drop {
			p := place{e.Table, e.Prefix}
			if err != nil {
				w.touched[p] = struct{}{}
				continue
			}
			delete(w.told, p)
			delete(w.again, p)
			gone = append(gone, p)
		}
		w.settle(gone)
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
		p := place{e.Table, e.Prefix}
		delete(w.told, p)
		w.cfg.Log.Error("PF's driver refuses a ban", "prefix", short(e.Prefix), "table", e.Table, "error", r.Why[i])
		list, _ := w.cover.Get(e.Prefix)
		for _, h := range list {
			if h.Table == e.Table && h.inPF() {
				w.end(h, w.now.Truncate(time.Microsecond), "refused", byItself)
			}
		}
	}
}

// active marks the bans of a place that PF was told of.
func (w *Warden) active(p place) {
	list, _ := w.cover.Get(p.prefix)
	for _, h := range list {
		if h.Table == p.table && h.State == ledger.Intended && !h.Observed {
			h.State = ledger.Active
			w.transit(h)
		}
	}
}

// settle closes the ended bans of places that PF holds no more, or holds for another ban.
func (w *Warden) settle(places []place) {
	for _, p := range places {
		for _, h := range w.leaving[p] {
			h.State = ledger.Ended
			w.transit(h)
		}
		delete(w.leaving, p)
		if w.refs[p] > 0 {
			w.active(p)
		}
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

// Desired lists what PF's tables should hold, sorted: hand it to the driver at start and for every reconciliation.
func (w *Warden) Desired() []Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pause.Flushed {
		return nil
	}
	all := make([]Entry, 0, len(w.refs))
	for p := range w.refs {
		all = append(all, Entry{p.table, p.prefix, w.kill[p]})
	}
	return sorted(all)
}

// Leaving lists what may still stand in PF's tables though its ban has ended: it is no foreign entry.
func (w *Warden) Leaving() []Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Entry
	for p := range w.leaving {
		if w.refs[p] == 0 {
			all = append(all, Entry{Table: p.table, Prefix: p.prefix})
		}
	}
	return sorted(all)
}

func sorted(list []Entry) []Entry {
	slices.SortFunc(list, func(a, b Entry) int {
		if c := compareText(a.Table, b.Table); c != 0 {
			return c
		}
		return a.Prefix.Compare(b.Prefix)
	})
	return list
}

func compareText(a, b string) int { return strings.Compare(a, b) }
