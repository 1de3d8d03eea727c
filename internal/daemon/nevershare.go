package daemon

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"pfwarden/internal/warden"
)

// neverShare tells the privileged process what comes to the never-list: what names have come to, and what an administrator adds. There it stays
// until the configuration is read again, so that a worker that is taken over later can neither ban it nor take it off.
type neverShare struct {
	list  *warden.NeverList
	guard func([]netip.Prefix) error
	log   *slog.Logger
	wake  chan struct{}

	mu   sync.Mutex // guards what follows, and one telling at a time
	told map[netip.Prefix]bool
	last string // what went wrong, to say it once
}

// shareNever begins to tell. It returns nil where there is nobody to tell.
func (d *Daemon) shareNever() *neverShare {
	if d.o.Apart == nil || d.o.Apart.GuardNever == nil {
		return nil
	}
	s := &neverShare{list: d.never, guard: d.o.Apart.GuardNever, log: d.log, wake: make(chan struct{}, 1), told: make(map[netip.Prefix]bool)}
	d.never.Changed(func() {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	})
	return s
}

// run tells of every change until ctx is done, and now and then what could not be told.
func (s *neverShare) run(ctx context.Context) {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		s.tell()
		select {
		case <-s.wake:
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// tell tells what was not told yet. It may be called by any goroutine; where nobody is to be told, it does nothing.
func (s *neverShare) tell() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var fresh []netip.Prefix
	now := make(map[netip.Prefix]bool)
	for _, e := range s.list.Entries() {
		now[e.Prefix] = s.told[e.Prefix]
		if !s.told[e.Prefix] {
			fresh = append(fresh, e.Prefix)
		}
	}
	s.told = now // what went is told again should it come back: it is kept there all the same
	if len(fresh) == 0 {
		return
	}
	text := ""
	if err := s.guard(fresh); err != nil {
		text = err.Error()
	} else {
		for _, p := range fresh {
			now[p] = true
		}
	}
	if text != s.last && text != "" {
		s.log.Warn("parts of the never-list are guarded by the worker alone", "error", text)
	}
	s.last = text
}
