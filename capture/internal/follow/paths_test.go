package follow

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTooManyPaths: what a glob finds beyond the limit is left out, and said once, however often it is looked at.
func TestTooManyPaths(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	w := &teller{Watcher: NoWatcher(), idle: make(chan struct{}), wake: make(chan struct{})}
	tick := make(chan time.Time)
	f, err := New(Options{Patterns: []string{filepath.Join(dir, "*")}, MaxPaths: 2, FromStart: true, Watcher: w, Tick: tick, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var sink text
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, &sink) }()
	<-w.idle
	for range 2 * expandEvery {
		tick <- time.Time{}
		<-w.idle
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if sink.got != "a\nb\n" {
		t.Errorf("read %q", sink.got)
	}
	if n := strings.Count(log.String(), "too many paths"); n != 1 {
		t.Errorf("said %d times:\n%s", n, &log)
	}
}
