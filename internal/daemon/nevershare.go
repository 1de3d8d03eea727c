package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"pfwarden/internal/warden"
)

// tellAll is how often all of the never-list is told again: what names came to lapses there after a day without.
const tellAll = time.Hour

// neverShare tells the privileged process what comes to the never-list: what an administrator adds, which stays there until the configuration is read
// again, so that a worker that is taken over later can neither ban it nor take it off, and what names and this machine's addresses have come to,
// which stays as long as workers tell it, and a day beyond: it may be a stranger's then.
type neverShare struct {
	list  *warden.NeverList
	guard func(list []netip.Prefix, awhile bool) (untold []netip.Prefix, err error)
	log   *slog.Logger
	now   func() time.Time
	wake  chan struct{}

	mu   sync.Mutex // guards what follows, and one telling at a time
	told map[netip.Prefix]told
	full time.Time // when all was told
	last string    // what went wrong, to say it once
}

// told is how an entry was told.
type told struct{ kept bool }

// shareNever begins to tell. It returns nil where there is nobody to tell.
func (d *Daemon) shareNever() *neverShare {
	if d.o.Apart == nil || d.o.Apart.GuardNever == nil {
		return nil
	}
	s := &neverShare{list: d.never, guard: d.o.Apart.GuardNever, log: d.log, now: d.o.Now, wake: make(chan struct{}, 1)}
	d.never.Changed(func() {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	})
	return s
}

// run tells of every change until ctx is done, now and then what could not be told, and all of it each hour.
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

// tell tells what was not told yet, or all once its time has come. It may be called by any goroutine; where nobody is to be told, it does nothing.
func (s *neverShare) tell() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	since := now.Sub(s.full)
	all := s.full.IsZero() || since < 0 || since >= tellAll
	next := make(map[netip.Prefix]told) // what went is told again should it come back
	var kept, awhile []netip.Prefix
	for _, e := range s.list.Entries() {
		k := told{slices.ContainsFunc(e.Origins, explicit)}
		if was, known := s.told[e.Prefix]; all || !known || k != was {
			if k.kept {
				kept = append(kept, e.Prefix)
			} else {
				awhile = append(awhile, e.Prefix)
			}
		}
		next[e.Prefix] = k
	}
	s.told = next
	var errs []error
	tell := func(list []netip.Prefix, awhile bool) {
		untold, err := s.guard(list, awhile)
		for _, p := range untold {
			delete(next, p)
		}
		errs = append(errs, err)
	}
	if len(kept) > 0 {
		tell(kept, false)
	}
	if len(awhile) > 0 || all { // none is worth telling, too: others lapse by it
		tell(awhile, true)
	}
	if all {
		s.full = now
	}
	text := ""
	if err := errors.Join(errs...); err != nil {
		text = err.Error()
	}
	if text != s.last && text != "" {
		s.log.Warn("parts of the never-list are guarded by the worker alone", "error", text)
	}
	if all || text != "" {
		s.last = text
	}
}

// explicit tells whether an origin's entries were written by an administrator as they are, and so stay until he takes them back.
func explicit(origin string) bool {
	return origin == warden.OriginRuntime || origin == "config" || strings.HasPrefix(origin, "file ")
}
