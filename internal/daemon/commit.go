package daemon

import (
	"context"
	"errors"
	"sync"

	"pfwarden/internal/warden"
)

// How many decisions, and how many bytes of their evidence, may wait for the ledger before the engine's goroutine waits for them. Beyond twice
// the bytes evidence would be left out.
const (
	maxStaged  = 32768
	maxWaiting = warden.DefaultMaxUnwritten / 2
)

// committer carries out what the engine's goroutine has decided, on a goroutine of its own: while the ledger writes, the next records are
// dealt with, and what they lead to goes out together in the next transaction.
type committer struct {
	wake  chan struct{}
	stop  func()
	ended sync.WaitGroup
}

// startCommits lets decisions be carried out until stopCommits.
func (d *Daemon) startCommits(ctx context.Context) {
	c := &d.commits
	c.wake = make(chan struct{}, 1)
	done := make(chan struct{})
	c.stop = sync.OnceFunc(func() { close(done) })
	c.ended.Go(func() {
		for {
			select {
			case <-c.wake:
				d.commit(ctx)
			case <-done:
				return
			}
		}
	})
}

// stopCommits waits for what is being carried out. What is staged then is left to commit.
func (d *Daemon) stopCommits() {
	d.commits.stop()
	d.commits.ended.Wait()
}

// commitSoon has carried out what was decided, and waits where too much of it is waiting already.
func (d *Daemon) commitSoon(ctx context.Context) {
	switch n, states := d.bans.Staged(); {
	case n+states == 0:
	case d.crowded(n):
		d.commit(ctx)
	default:
		select {
		case d.commits.wake <- struct{}{}:
		default:
		}
	}
}

// crowded tells whether so much of the n decisions that wait can be carried out that the engine's goroutine has to wait for it. What waits because the
// ledger cannot be written, or PF cannot be told, does not count: a commit would take nothing of it away, and detection would stand still for each
// record's attempt. The warden bounds it.
func (d *Daemon) crowded(n int) bool {
	h := d.bans.Health()
	switch {
	case h.Ledger != nil && h.PF != nil:
		return false
	case h.Ledger != nil:
		return h.Untold > maxStaged
	case h.PF != nil:
		n -= h.Untold
	}
	return n > maxStaged || d.bans.Unwritten() > maxWaiting
}

// commit carries out at once what was decided, after what is being carried out already. It may be called by any goroutine.
func (d *Daemon) commit(ctx context.Context) {
	if err := d.bans.Commit(ctx); err != nil {
		if errors.Is(err, warden.ErrLedger) {
			d.metrics.LedgerErrors.With("commit").Inc()
		}
		d.log.Debug("decisions wait to be carried out", "error", err)
	}
}
