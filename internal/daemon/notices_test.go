package daemon

import (
	"log/slog"
	"testing"
	"time"

	"pfwarden/internal/warden"
)

// slowNotices takes its time to close.
type slowNotices struct{ closing, release chan struct{} }

func (slowNotices) Event(warden.Event, time.Time) error { return nil }

func (s slowNotices) Close() error {
	close(s.closing)
	<-s.release
	return nil
}

// TestNoticesCloseBeside: whoever commits, and the engine at a reload, do not wait while lines of fail2ban's log that another process is slow to take
// are given up.
func TestNoticesCloseBeside(t *testing.T) {
	t.Parallel()
	s := slowNotices{make(chan struct{}), make(chan struct{})}
	d := &Daemon{notices: s, log: slog.New(slog.DiscardHandler)}
	d.openNotices(nil) // a configuration in which nobody reads them
	<-s.closing
	if d.currentNotices() != nil {
		t.Error("the old one still takes lines")
	}
	done := make(chan struct{})
	go func() { d.farewells.Wait(); close(done) }()
	select {
	case <-done:
		t.Error("a stop does not wait for it")
	default:
	}
	close(s.release)
	<-done
}
