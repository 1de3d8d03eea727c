package warden

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pfwarden/internal/ledger"
)

// Recoverer is a Store that can begin anew when it finds itself corrupt.
type Recoverer interface {
	// Recover puts the corrupt database aside and begins one with what can be read of it. That may take minutes.
	Recover(ctx context.Context) error
}

const (
	firstPace = time.Second
	lastPace  = 30 * time.Second
)

// ErrLedger is wrapped by what Commit returns where it tried to write the ledger and could not.
var ErrLedger = errors.New("writing the ledger")

// Commit carries out what is staged: it writes the ledger in one transaction, tells PF (additions first), and then tells the
// events. What is staged while it works, by other goroutines, is left to the next one. If the ledger cannot be written, PF is told all the same:
// protection goes before bookkeeping. Everything unwritten stays in memory and is tried again at later calls, at first after a second, then more and
// more seldom. If PF's driver refuses, its part is tried again at the next call. Both are returned, and shown by Health.
// A corrupt ledger is replaced while later calls go on telling PF; see Wait.
func (w *Warden) Commit(ctx context.Context) error {
	w.committing.Lock()
	defer w.committing.Unlock()

	w.mu.Lock()
	work := w.take()
	w.mu.Unlock()

	errLedger := w.write(ctx, &work)
	errPF := w.tellPF(ctx, &work)
	for _, e := range work.events {
		work.hear(e)
	}
	if errors.Is(errLedger, ledger.ErrCorrupt) {
		w.recover(ctx)
	}
	return errors.Join(errLedger, errPF)
}

// Wait waits until a corrupt ledger that Commit has begun to replace is replaced, or cannot be. The next Commit writes into it all that is in force.
func (w *Warden) Wait() {
	w.committing.Lock() // it begins nowhere else
	defer w.committing.Unlock()
	w.recovery.Wait()
}

// recover begins to replace a corrupt ledger, behind the back of whoever commits: PF must not wait for it.
func (w *Warden) recover(ctx context.Context) {
	r, ok := w.store.(Recoverer)
	if !ok {
		return
	}
	w.mu.Lock()
	w.recovering = true
	w.mu.Unlock()
	w.recovery.Go(func() {
		err := r.Recover(ctx)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.recovering = false
		if err != nil {
			w.health.Ledger = fmt.Errorf("%w: %w", ErrLedger, err)
			w.retry = w.now.Add(w.pace)
			return
		}
		// What changed since is not in it.
		w.health.Recovered++
		w.rewriteAll()
		w.pace, w.retry = 0, time.Time{}
	})
}

// Unwritten tells how many bytes of evidence wait for the ledger; see Config.MaxUnwritten.
func (w *Warden) Unwritten() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unwritten
}

// Staged tells how much waits for the next Commit, and how many mere changes of state, of which a Commit takes some when it has little else
// to do.
func (w *Warden) Staged() (n, states int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n = len(w.dirty) + len(w.counted) + len(w.touched) + len(w.events)
	if !w.staged.Empty() {
		n++
	}
	return n, len(w.moved)
}

// during has the events of what f does told by the Commit that is at work.
func (w *Warden) during(k *work, f func()) {
	n := len(w.events)
	f()
	k.events = append(k.events, w.events[n:]...)
	w.events = w.events[:n]
}

// work is what one Commit carries out.
type work struct {
	batch    ledger.Batch
	versions map[int64]uint64
	counted  []*held
	touched  []wish
	events   []Event
	hear     func(Event)
	skip     bool // the ledger is not to be tried now
}

// wish is what PF should hold at one place, by what the batch of the same work says.
type wish struct {
	*spot
	wanted bool
}

func (w *Warden) take() work {
	k := work{events: w.events, hear: w.cfg.OnEvent}
	w.events = nil
	k.skip = w.recovering || w.now.Before(w.retry) && w.health.Ledger != nil
	if !k.skip {
		k.versions = make(map[int64]uint64, len(w.dirty))
		k.batch = w.staged
		w.staged = ledger.Batch{}
		k.batch.Bans = make([]ledger.Ban, 0, len(w.dirty))
		for _, id := range slices.Sorted(maps.Keys(w.dirty)) {
			h := w.dirty[id]
			k.batch.Bans = append(k.batch.Bans, *h.Ban)
			k.versions[id] = h.version
		}
		k.batch.Transitions = w.takeMoved()
		for _, id := range slices.Sorted(maps.Keys(w.counted)) {
			h := w.counted[id]
			k.batch.Counters = append(k.batch.Counters, ledger.Counters{
				ID: id, Packets: h.Packets, Bytes: h.Bytes, LastHit: h.LastHit, BasePackets: h.BasePackets, BaseBytes: h.BaseBytes,
			})
			k.counted = append(k.counted, h)
		}
		clear(w.counted)
	}
	k.touched = make([]wish, len(w.touched))
	for i, s := range w.touched {
		s.touched = false
		k.touched[i] = wish{s, w.wanted(s)}
	}
	w.touched = nil
	slices.SortFunc(k.touched, func(a, b wish) int {
		return cmp.Or(a.prefix.Compare(b.prefix), strings.Compare(a.table, b.table))
	})
	return k
}

// Bounds of one transaction.
const (
	flood     = 512   // bans, from which on states alone wait
	movedOnce = 16384 // states
)

// takeMoved takes changes of states alone, the oldest bans first. In a flood of bans they wait: each would write the page of its ban once
// more, and after a crash the older state leads to the same. It must not keep a ban waiting for long afterwards either.
func (w *Warden) takeMoved() []ledger.Transition {
	if len(w.moved) == 0 || len(w.dirty) > flood && len(w.moved) < w.cfg.MaxBans {
		return nil
	}
	ids := slices.Sorted(maps.Keys(w.moved))
	ids = ids[:min(len(ids), movedOnce)]
	list := make([]ledger.Transition, 0, len(ids))
	for _, id := range ids {
		list = append(list, ledger.Transition{ID: id, State: w.moved[id]})
		delete(w.moved, id)
	}
	return list
}

// write stores the batch and settles or restores what it held.
func (w *Warden) write(ctx context.Context, k *work) error {
	if k.skip {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.recovering {
			return fmt.Errorf("the ledger is being replaced: %v", w.health.Ledger) //nolint:errorlint // not tried now
		}
		return fmt.Errorf("the ledger is tried again at %s: %v", w.retry.UTC().Format(time.RFC3339), w.health.Ledger) //nolint:errorlint // not tried now
	}
	var err error
	if !k.batch.Empty() {
		err = w.store.Record(ctx, k.batch)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		for id, v := range k.versions {
			if h := w.dirty[id]; h != nil && h.version == v {
				h.saved = v
				h.Story = ledger.Story{} // large, and safe in the ledger now
				w.unweigh(h)
				delete(w.dirty, id)
			}
		}
		w.health.Ledger, w.health.LedgerSince, w.pace, w.retry = nil, time.Time{}, 0, time.Time{}
		return nil
	}
	w.putBack(k)
	if w.health.Ledger == nil {
		w.health.LedgerSince = w.now
	}
	w.health.Ledger = fmt.Errorf("%w: %w", ErrLedger, err)
	w.pace = min(max(2*w.pace, firstPace), lastPace)
	w.retry = w.now.Add(w.pace)
	return w.health.Ledger
}

// putBack makes an unwritten batch part of the next one; what was staged since goes after it.
func (w *Warden) putBack(k *work) {
	for _, h := range k.counted {
		if w.dirty[h.ID] == nil { // else the whole row says it
			w.counted[h.ID] = h
		}
	}
	for _, t := range k.batch.Transitions {
		_, newer := w.moved[t.ID]
		_, whole := w.dirty[t.ID]
		if !newer && !whole {
			w.moved[t.ID] = t.State
		}
	}
	next := w.staged
	w.staged = ledger.Batch{
		NeverAdd:    append(k.batch.NeverAdd, next.NeverAdd...),
		NeverRemove: append(k.batch.NeverRemove, next.NeverRemove...),
		Forgiven:    append(k.batch.Forgiven, next.Forgiven...),
		Pause:       k.batch.Pause,
		NeverOnly:   k.batch.NeverOnly,
	}
	if next.NeverOnly != nil {
		w.staged.NeverOnly = next.NeverOnly
	}
	if next.Pause != nil {
		w.staged.Pause = next.Pause
	}
	// A prefix both added and removed meanwhile is what was asked last.
	for _, n := range next.NeverAdd {
		w.staged.NeverRemove = slices.DeleteFunc(w.staged.NeverRemove, func(p netip.Prefix) bool { return p == n.Prefix })
	}
	for _, p := range next.NeverRemove {
		w.staged.NeverAdd = slices.DeleteFunc(w.staged.NeverAdd, func(n ledger.Never) bool { return n.Prefix == p })
	}
	// A state alone that is lost costs at most a needless deletion after a restart.
	if len(w.moved) > 2*w.cfg.MaxBans {
		clear(w.moved)
	}
	// Ended bans that cannot be written must not fill the memory: the oldest are let go, and counted.
	if limit := 2 * w.cfg.MaxBans; len(w.dirty) > limit {
		for _, id := range slices.Sorted(maps.Keys(w.dirty)) {
			if len(w.dirty) <= limit {
				break
			}
			if h := w.dirty[id]; h.State == ledger.Ended {
				w.unweigh(h)
				delete(w.dirty, id)
				w.stats.Lost++
			}
		}
	}
}

// Rewrite has the next Commit write everything that is in force, whatever the ledger has of it: it was replaced by one that was read from a corrupt one.
func (w *Warden) Rewrite() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rewriteAll()
	w.pace, w.retry = 0, time.Time{}
}

// rewriteAll has everything that is in force written into a ledger that was read from a corrupt one, whatever it has of it.
func (w *Warden) rewriteAll() {
	for _, h := range w.live {
		w.changed(h)
	}
	for _, s := range w.spots {
		for _, h := range s.leaving {
			w.changed(h)
		}
	}
	w.staged.NeverOnly = []ledger.Never{}
	for _, e := range w.never.Entries() {
		if slices.Contains(e.Origins, OriginRuntime) {
			w.staged.NeverOnly = append(w.staged.NeverOnly, ledger.Never{Prefix: e.Prefix, Since: w.now, By: byItself, Comment: "kept from a corrupt ledger"})
		}
	}
	p := w.pause
	w.staged.Pause = &p
}
