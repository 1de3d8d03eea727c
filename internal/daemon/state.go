package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"pfwarden/capture"
	"pfwarden/detect"
	"pfwarden/detect/filter"
	"pfwarden/internal/ledger"
	"pfwarden/internal/screen"
	"pfwarden/internal/warden"
)

// snapshotEvery is how much work a crash may cost to be done again; nothing is lost by it.
const snapshotEvery = 2 * time.Minute

// livePath stands in a snapshot for the interface, whose position is the time of the newest packet that was dealt with: what was captured by then
// and still waited is read from the pflog file after a crash, and nothing else is read from there a second time. No log has such a path.
const livePath = "interface"

func newSeed() (uint64, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("drawing a secret seed: %w", err)
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

// openStore opens the ledger; without a file (demonstration) it is kept in memory.
func (d *Daemon) openStore() error {
	if d.config.Store.File == "" || d.config.Store.File == ":memory:" {
		d.store = &ledger.Memory{}
		return nil
	}
	db, err := ledger.Open(d.config.Store.File, ledger.Options{Now: d.o.Now, Log: d.log, Name: d.o.Apart.outside(d.config.Store.File)})
	if err != nil {
		return err
	}
	d.store, d.db = db, db
	if err := db.Cramped(); err != nil {
		d.log.Error("the ledger is on a full disk: what can be read of it is read, what changes is kept in memory and written when there is room", "error", err)
	}
	d.quarantined()
	return nil
}

// quarantined says, where the ledger was damaged, what became of it.
func (d *Daemon) quarantined() {
	q, yes := d.db.Quarantined()
	if !yes {
		return
	}
	d.adopt = true
	if d.cramped() != nil {
		d.log.Error("the ledger is damaged, and the disk too full to replace it: what can be read of it is used; other bans are taken over from pf's tables",
			"file", d.o.Apart.outside(q.Path), "kept", q.Kept.String(), "error", q.Cause)
		d.fault("ledger_replaced", fmt.Sprintf("the ledger is damaged (%v) and will be replaced when there is room; of it were read: %s; other bans were taken over from pf's tables", q.Cause, q.Kept))
		return
	}
	d.log.Error("the ledger was damaged: it is put aside and a new one begun with what can be read of it; other bans are taken over from pf's tables",
		"file", d.o.Apart.outside(q.Path), "kept", q.Kept.String(), "error", q.Cause)
	d.fault("ledger_replaced",
		fmt.Sprintf("the ledger was damaged (%v) and is kept as %s; the new one has of it: %s; other bans were taken over from pf's tables",
			q.Cause, d.o.Apart.outside(q.Path), q.Kept))
}

// settled lets the ledger forget that it has replaced a damaged one, once all that PF's tables had to add to it is in it. Until then each start does
// it again.
func (d *Daemon) settled(ctx context.Context) {
	if d.db == nil || d.adopt || d.bans.Health().Ledger != nil || d.cramped() != nil {
		return
	}
	if _, yes := d.db.Quarantined(); !yes {
		return
	}
	if err := d.db.Settled(ctx); err != nil {
		d.log.Warn("the next start takes over bans from pf's tables once more", "error", err)
	}
}

// recovered says so where the ledger was replaced while it was used. What is in force is written into the new one by the warden itself.
func (d *Daemon) recovered(ctx context.Context) {
	h := d.bans.Health()
	if d.db == nil || h.Recovered == d.replaced || h.Ledger != nil {
		return
	}
	d.replaced = h.Recovered
	q, yes := d.db.Quarantined()
	if !yes {
		return
	}
	d.log.Error("the ledger was damaged: it was replaced by what can be read of it and what is in force",
		"file", d.o.Apart.outside(q.Path), "kept", q.Kept.String(), "error", q.Cause)
	d.fault("ledger_replaced",
		fmt.Sprintf("the ledger was damaged (%v) and is kept as %s; the new one has of it: %s; all bans in force were written into it",
			q.Cause, d.o.Apart.outside(q.Path), q.Kept))
	d.settled(ctx)
}

// cramped says why the ledger can only be read, if that is so since the start; nil else.
func (d *Daemon) cramped() error {
	if d.db == nil {
		return nil
	}
	return d.db.Cramped()
}

// widen goes over to ordinary use of a ledger that was opened on a full disk, when there is room, and has everything saved then. One that is damaged is
// replaced then, which may take minutes; the engine goes on meanwhile.
func (d *Daemon) widen(ctx context.Context) {
	if d.widening == nil {
		if d.cramped() == nil {
			return
		}
		d.widening = make(chan error, 1)
		go func(done chan<- error) { done <- d.db.Widen(ctx) }(d.widening)
	}
	select {
	case err := <-d.widening:
		d.widened(ctx, err)
	default: // the next tick asks again
	}
}

// widened takes note of what came of it.
func (d *Daemon) widened(ctx context.Context, err error) {
	d.widening = nil
	if err != nil {
		d.log.Debug("the ledger still waits for room", "error", err)
		return
	}
	d.log.Info("there is room for the ledger again")
	if _, replaced := d.db.Quarantined(); replaced {
		adopt := d.adopt
		d.quarantined()
		d.adopt = adopt  // done at the start, or yet to be done
		d.bans.Rewrite() // the one that took its place was read anew
		d.commit(ctx)
		d.settled(ctx)
	}
	d.saved = time.Time{}
}

// widenAtLast waits for an attempt to widen the ledger that is under way, or makes the last one.
func (d *Daemon) widenAtLast(ctx context.Context) {
	if d.widening == nil {
		d.widen(ctx)
	}
	if d.widening != nil {
		d.widened(ctx, <-d.widening)
	}
}

// newWarden lets the warden read the ledger. One that turns out damaged only now is replaced as one that could not be opened. What the warden knows of the
// clock is of now: steps are counted from here, or one before would be counted twice.
func (d *Daemon) newWarden(ctx context.Context, c warden.Config) (*warden.Warden, error) {
	if snap, ok, err := d.store.LoadSnapshot(ctx); ok && err == nil {
		c.Last = snap.Time
	}
	w, err := warden.New(ctx, c, d.store, d.pf, d.never, d.clock.begin())
	if !errors.Is(err, ledger.ErrCorrupt) || d.db == nil {
		return w, err
	}
	if e := d.db.Replace(err); e != nil {
		return nil, errors.Join(err, e)
	}
	d.quarantined()
	return warden.New(ctx, c, d.store, d.pf, d.never, d.clock.begin())
}

// restore brings the detector to the last snapshot and tells it what the ledger knows beyond.
func (d *Daemon) restore(ctx context.Context) error {
	snap, ok, err := d.store.LoadSnapshot(ctx)
	damaged := errors.Is(err, ledger.ErrCorrupt)
	if err != nil && !damaged {
		return fmt.Errorf("reading the last snapshot: %w", err)
	}
	anew := true // the detector knows of no ban, however old
	forgets := d.bans.Clock().Behind > detectorStep
	switch {
	case damaged:
		d.lost(err)
	case forgets: // its newest time is ahead of the clock
	case !ok:
	case len(snap.Detector) == 0:
		d.log.Debug("the last snapshot holds positions only, as those of fail2ban's that were taken over")
	default:
		if err := d.detector.Restore(bytes.NewReader(snap.Detector), d.o.Now()); err != nil {
			d.lost(err)
		} else {
			anew = false
		}
	}
	now := d.o.Now()
	ahead := snap.Time.After(now) // the clock was set back since: what follows from its time cannot be known
	if ahead {
		snap.Time = now
	}
	if anew {
		for _, n := range d.bans.InForce() {
			if !ok && !damaged || forgets || !n.Time.After(snap.Time) { // else it comes below
				d.detector.Notice(n)
			}
		}
	}
	if !ok && !damaged {
		return nil
	}
	d.backlog, d.saved, d.gapFrom = true, snap.Time, snap.Time
	for _, p := range snap.Positions {
		switch p.Path {
		case d.config.Pflog.File:
			d.pflogAt = p
		case livePath:
			if d.gapFrom = time.Unix(0, p.Offset); ahead && d.gapFrom.After(now) {
				d.gapFrom = now
			}
		default:
			d.positions[p.Path] = p
		}
	}
	if waiting, err := screen.DecodeWaiting(snap.Waiting); err != nil {
		d.log.Warn("failures that waited for a name or an ignore command are lost", "error", err)
		d.metrics.Rejected.With("snapshot", "damaged").Inc()
	} else {
		d.screen.Again(waiting)
	}
	if forgets || ahead && anew { // it was told of all bans, dated by this clock; the ledger's rows are not yet
		return nil
	}
	notices, err := d.bans.Since(ctx, snap.Time)
	if err != nil {
		return err
	}
	for _, n := range notices {
		d.detector.Notice(n)
	}
	return nil
}

// snapshotIfDue saves the detector's state with the positions that belong to it, and what of the lines before these is still being screened.
func (d *Daemon) snapshotIfDue(ctx context.Context, now time.Time) {
	if d.saved.IsZero() {
		d.saved = now.Add(-snapshotEvery)
	}
	// A clock that was set back must not stop the snapshots.
	if since := now.Sub(d.saved); since >= 0 && since < snapshotEvery {
		return
	}
	d.snapshot(ctx, now)
}

// snapshot saves the detector's state, unless bans that it has led to are not in the ledger: after a crash the older snapshot leads to them
// once more.
func (d *Daemon) snapshot(ctx context.Context, now time.Time) {
	d.engine.Flush(now)
	d.commit(ctx)
	if h := d.bans.Health(); h.Ledger != nil {
		d.fault("snapshot", h.Ledger.Error())
		return
	}
	d.saved = now
	d.flushJournal()
	var b bytes.Buffer
	if err := d.detector.Snapshot(&b); err != nil {
		d.log.Error("taking a snapshot of the detector", "error", err)
		return
	}
	s := ledger.Snapshot{Time: now, Detector: b.Bytes()}
	var err error
	if s.Waiting, err = screen.EncodeWaiting(d.screen.Waiting()); err != nil {
		d.log.Error("taking a snapshot", "error", err)
		d.fault("snapshot", err.Error())
		return
	}
	d.notePositions()
	d.forgetLogs()
	for _, p := range d.positions {
		s.Positions = append(s.Positions, p)
	}
	if at := d.pflogPosition(ctx); at != (capture.Position{}) {
		at.Path = d.config.Pflog.File
		s.Positions = append(s.Positions, at)
	}
	if !d.liveAt.IsZero() {
		s.Positions = append(s.Positions, capture.Position{Path: livePath, Offset: d.liveAt.UnixNano()})
	}
	if err := d.store.SaveSnapshot(ctx, s); err != nil {
		d.metrics.LedgerErrors.With("snapshot").Inc()
		d.log.Error("saving a snapshot", "error", err)
		d.fault("snapshot", err.Error())
		return
	}
	d.fault("snapshot", "")
	d.mu.Lock()
	d.state.LastSnapshot = now
	d.mu.Unlock()
	if err := d.purge(ctx, now.Add(-d.config.Store.History)); err != nil {
		d.metrics.LedgerErrors.With("purge").Inc()
	}
}

// notePositions notes where the logs begin of which no line was dealt with yet.
func (d *Daemon) notePositions() {
	for _, p := range d.startsOfLogs() {
		if _, read := d.positions[p.Path]; !read {
			d.positions[p.Path] = p
		}
	}
}

// flushJournal hands what was recorded to the operating system.
func (d *Daemon) flushJournal() {
	if d.journal == nil {
		return
	}
	if err := d.journal.Flush(); err != nil {
		d.log.Error("the journal ends here", "error", err)
		d.journal = nil
	}
}

// finish deals with what the sources had handed over when they stopped, and saves everything.
func (d *Daemon) finish(ctx context.Context) {
	d.drainSources()
	d.screened()
	d.widenAtLast(ctx)
	d.commit(ctx)
	d.bans.Wait() // a ledger that is just being replaced has to take all that it lacks
	d.snapshot(ctx, d.now())
	// What a flood has left to write makes the next start quicker.
	before := math.MaxInt
	for _, states := d.bans.Staged(); states > 0 && states < before; _, states = d.bans.Staged() {
		before = states
		d.commit(ctx)
	}
}

// catchUp notices when the logs' backlog has been read, from when on time stamps far from the present are taken for wrong.
func (d *Daemon) catchUp() {
	if !d.backlog || d.caughtUp || len(d.lines) > 0 {
		return
	}
	for _, s := range d.logStats() {
		if s.Behind > 0 {
			return
		}
	}
	d.caughtUp = true
	d.engine.SetPhase(filter.Operation)
}

// lost says that the detector's state is lost. That it was damaged is a fault; that it is of another version, or too old, is not.
func (d *Daemon) lost(err error) {
	cause := snapshotCause(err)
	d.log.Warn("the detector begins anew: its last snapshot cannot be used", "error", err)
	d.metrics.Rejected.With("snapshot", cause).Inc()
	if cause == "damaged" {
		d.fault("snapshot_lost", fmt.Sprintf("the detector's last snapshot was damaged (%v): what it suspected then is forgotten, bans are not", err))
	}
}

func snapshotCause(err error) string {
	switch {
	case errors.Is(err, detect.ErrSnapshotDamaged), errors.Is(err, ledger.ErrCorrupt):
		return "damaged"
	case errors.Is(err, detect.ErrSnapshotVersion):
		return "version"
	case errors.Is(err, detect.ErrSnapshotStale):
		return "stale"
	}
	return "other"
}
