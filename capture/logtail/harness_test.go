package logtail

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/capture"
	"pfwarden/capture/internal/follow/followtest"
)

// world is a folder of logs and a Tailer that reads them when the test says so.
type world struct {
	*followtest.World
	opts Options

	mu    sync.Mutex
	lines []capture.Line

	tailer *Tailer
}

func newWorld(t *testing.T, change ...func(*Options)) *world {
	t.Helper()
	w := &world{World: followtest.NewWorld(t, time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))}
	w.opts = Options{
		Paths: []string{w.Path("log")}, FromStart: true, Tick: w.Tick(), Watcher: w.Watcher(), Now: w.Now, Linger: 5 * time.Second,
	}
	for _, f := range change {
		f(&w.opts)
	}
	for i, p := range w.opts.Paths {
		if !filepath.IsAbs(p) && p != Stdin {
			w.opts.Paths[i] = w.Path(p)
		}
	}
	return w
}

// start runs a Tailer and waits for its first look.
func (w *world) start() {
	w.T.Helper()
	var err error
	w.tailer, err = New(w.opts)
	w.Must(err)
	w.Run(func(ctx context.Context) error {
		return w.tailer.Run(ctx, func(lines []capture.Line) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.lines = append(w.lines, lines...)
			return nil
		})
	})
}

// restart stops and starts again from the positions; what was read stays.
func (w *world) restart() {
	w.T.Helper()
	w.halt()
	w.start()
}

// halt stops and keeps the positions for the next start.
func (w *world) halt() {
	w.Stop()
	w.opts.Positions = w.tailer.Positions()
}

// want compares all lines read so far.
func (w *world) want(texts ...string) {
	w.T.Helper()
	if diff := cmp.Diff(texts, w.texts()); diff != "" {
		w.T.Errorf("lines (-want +got):\n%s", diff)
	}
}

func (w *world) texts() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := []string(nil)
	for _, l := range w.lines {
		out = append(out, l.Text)
	}
	return out
}

func (w *world) last() capture.Line {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lines) == 0 {
		w.T.Fatal("no line was read")
	}
	return w.lines[len(w.lines)-1]
}

func (w *world) stats(name string) Stats {
	w.T.Helper()
	all := w.tailer.Stats()
	i := slices.IndexFunc(all, func(s Stats) bool { return s.Path == w.Path(name) })
	if i < 0 {
		w.T.Fatalf("no statistics of %s in %v", name, all)
	}
	return all[i]
}

// A line long enough to tell files apart by it.
func entry(text string) string { return "Nov 22 10:00:00 gw sshd[4711]: " + text }
