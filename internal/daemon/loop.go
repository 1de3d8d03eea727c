package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"pfwarden/capture"
)

// loop is the engine's goroutine.
func (d *Daemon) loop(ctx, work context.Context) {
	ticker := time.NewTicker(d.o.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-d.packets:
			d.morePackets(p)
		case batch := <-d.lines:
			d.batch(batch)
			d.moreLines()
		case <-d.screen.Ready():
			d.screened()
		case f := <-d.asks:
			f(d.now())
		case f := <-d.nevers:
			f(d.now())
		case <-d.hup:
			d.reloadNow(work)
		case <-ticker.C:
			d.tick(work)
		}
		d.commitSoon(work)
	}
}

// moreLines deals with batches that wait already, so that in a flood one transaction takes more bans.
func (d *Daemon) moreLines() {
	for range moreBatches {
		select {
		case batch := <-d.lines:
			d.batch(batch)
		default:
			return
		}
	}
}

// readAt is when the record was read that the engine's goroutine deals with.
func (d *Daemon) readAt() time.Time { return d.read }

func (d *Daemon) batch(lines []capture.Line) {
	for i := range lines {
		l := &lines[i]
		d.read = l.Read
		now := d.now() // before the engine: it may be another one after it
		d.engine.Line(now, l)
		d.positions[l.Next.Path] = l.Next
		select {
		case <-d.screen.Ready(): // so that its queue does not fill while a long batch is dealt with
			d.screened()
		default:
		}
	}
	d.watcher.dealt(len(lines))
}

// screened deals with what the screening stage has found out.
func (d *Daemon) screened() {
	for _, obs := range d.screen.Take() {
		d.read = obs[0].Read
		now := d.now()
		d.engine.Observed(now, obs...)
	}
}

func (d *Daemon) tick(ctx context.Context) {
	now := d.now()
	d.engine.Tick(now)
	d.clockForgotten()
	d.catchUp()
	stats, guesses, suspected := d.detector.Stats(), d.detector.Guesses(24*time.Hour), d.suspected
	if now.Sub(d.suspectedAt) >= time.Minute {
		suspected, d.suspectedAt = d.detector.Suspected(), now
	}
	d.mu.Lock()
	d.stats, d.guesses, d.suspected = stats, guesses, suspected
	d.mu.Unlock()
	d.recovered(ctx)
	d.widen(ctx)
	d.flushJournal() // so that a crash costs a second of it
	d.snapshotIfDue(ctx, now)
}

// ask runs f on the engine's goroutine and waits for it.
func (d *Daemon) ask(ctx context.Context, f func(now time.Time)) error {
	return d.through(ctx, d.asks, f)
}

// through is ask by one of the engine's channels.
func (d *Daemon) through(ctx context.Context, asks chan<- func(now time.Time), f func(now time.Time)) error {
	done := make(chan struct{})
	select {
	case asks <- func(now time.Time) { defer close(done); f(now) }:
	case <-d.stopping:
		return errors.New("the daemon is stopping")
	case <-ctx.Done():
		return fmt.Errorf("the daemon is busy: %w", ctx.Err())
	}
	<-done
	return nil
}
