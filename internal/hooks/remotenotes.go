package hooks

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"pfwarden/internal/warden"
)

// RemoteNotices has the lines of fail2ban's log written by the process that runs commands. Nobody waits for it.
type RemoteNotices struct {
	r      *Remote
	queue  chan note
	failed atomic.Pointer[error]
	end    context.CancelFunc
	done   sync.WaitGroup
}

// notesQueue bounds the lines that wait to be written.
const notesQueue = 10000

// Notices begins to take lines; Close ends it.
func (r *Remote) Notices() *RemoteNotices {
	ctx, cancel := context.WithCancel(context.Background())
	n := &RemoteNotices{r: r, queue: make(chan note, notesQueue), end: cancel}
	n.done.Go(func() {
		for x := range n.queue {
			err := n.write(ctx, x)
			n.failed.Store(&err)
		}
	})
	return n
}

func (n *RemoteNotices) write(ctx context.Context, x note) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	answer, err := n.r.do(ctx, askNote, x.encode())
	if err != nil {
		return err
	}
	_, err = outcome(answer)
	return err
}

// Event queues a line for a ban that was made or ended; at is when. The error is that of an earlier line, or that there is no room.
func (n *RemoteNotices) Event(e warden.Event, at time.Time) error {
	x := note{at: at, unban: e.Kind == warden.EventUnban, jail: e.Ban.Jail, address: cut(addressOf(&e.Ban), maxNoteText)}
	if e.Kind != warden.EventBan && !x.unban || len(x.jail) > 255 {
		return nil
	}
	select {
	case n.queue <- x:
	default:
		return errors.New("too many lines wait to be written: some are left out")
	}
	if err := n.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// closeLimit is how long lines may still be written at the end.
const closeLimit = 5 * time.Second

// Close lets what waits be written, for a short while. Event must not be called any more.
func (n *RemoteNotices) Close() error {
	close(n.queue)
	timer := time.AfterFunc(closeLimit, n.end)
	defer timer.Stop()
	n.done.Wait()
	n.end()
	return nil
}
