// Package followtest lets tests of what is built on the follower say when it looks at its files, and what time it is.
package followtest

import (
	"sync"
	"time"

	"pfwarden/capture/internal/follow"
)

// Steps stands for the clock, the ticker and the watcher of one follower.
type Steps struct {
	tick chan time.Time
	idle chan struct{}

	mu  sync.Mutex
	now time.Time
}

// New gives steps that begin at now.
func New(now time.Time) *Steps {
	return &Steps{tick: make(chan time.Time), idle: make(chan struct{}), now: now}
}

// Tick is for follow.Options.
func (s *Steps) Tick() <-chan time.Time { return s.tick }

// Now is for follow.Options.
func (s *Steps) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Watcher sees nothing, and tells when the follower has nothing left to do.
func (s *Steps) Watcher() follow.Watcher { return idler{follow.NoWatcher(), s.idle} }

// Settle waits until the follower has nothing left to do. One that was just started looks once by itself.
func (s *Steps) Settle() { <-s.idle }

// Look has the follower look at everything, and waits until it has.
func (s *Steps) Look() {
	s.tick <- time.Time{}
	s.Settle()
}

// Pass lets time pass before the next look.
func (s *Steps) Pass(d time.Duration) {
	s.mu.Lock()
	s.now = s.now.Add(d)
	s.mu.Unlock()
	s.Look()
}

// idler is asked for its waker whenever the follower has nothing left to do.
type idler struct {
	follow.Watcher
	idle chan<- struct{}
}

func (i idler) Wake() <-chan struct{} {
	i.idle <- struct{}{}
	return nil
}
