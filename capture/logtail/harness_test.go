package logtail

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/capture"
	"pfwarden/capture/internal/follow/followtest"
)

// world is a directory with logs and a Tailer that reads them when the test says so. Time is the test's, too.
type world struct {
	t     *testing.T
	dir   string
	opts  Options
	steps *followtest.Steps

	mu    sync.Mutex
	lines []capture.Line

	tailer *Tailer
	stop   func()
}

func newWorld(t *testing.T, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), steps: followtest.New(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))}
	w.opts = Options{
		Paths: []string{w.path("log")}, FromStart: true, Tick: w.steps.Tick(), Watcher: w.steps.Watcher(), Now: w.steps.Now, Linger: 5 * time.Second,
	}
	for _, f := range change {
		f(&w.opts)
	}
	for i, p := range w.opts.Paths {
		if !filepath.IsAbs(p) && p != Stdin {
			w.opts.Paths[i] = w.path(p)
		}
	}
	t.Cleanup(func() {
		if w.stop != nil {
			w.stop()
		}
	})
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// start runs a Tailer and waits for its first look.
func (w *world) start() {
	w.t.Helper()
	tailer, err := New(w.opts)
	if err != nil {
		w.t.Fatal(err)
	}
	w.tailer = tailer
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- tailer.Run(ctx, func(lines []capture.Line) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.lines = append(w.lines, lines...)
			return nil
		})
	}()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
		w.stop = nil
	}
	w.steps.Settle()
}

// look lets the Tailer look at everything and waits until it has.
func (w *world) look() { w.steps.Look() }

// pass lets time pass between looks.
func (w *world) pass(d time.Duration) { w.steps.Pass(d) }

// restart stops and starts again from the positions; what was read stays.
func (w *world) restart() {
	w.t.Helper()
	w.halt()
	w.start()
}

// halt stops and keeps the positions for the next start.
func (w *world) halt() {
	w.stop()
	w.opts.Positions = w.tailer.Positions()
}

func (w *world) write(name, text string) {
	w.t.Helper()
	f, err := os.OpenFile(w.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	w.must(err)
	_, err = f.WriteString(text)
	w.must(errors.Join(err, f.Close()))
}

func (w *world) rename(from, to string) {
	w.t.Helper()
	w.must(os.Rename(w.path(from), w.path(to)))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// want compares all lines read so far.
func (w *world) want(texts ...string) {
	w.t.Helper()
	if diff := cmp.Diff(texts, w.texts()); diff != "" {
		w.t.Errorf("lines (-want +got):\n%s", diff)
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
		w.t.Fatal("no line was read")
	}
	return w.lines[len(w.lines)-1]
}

func (w *world) stats(name string) Stats {
	w.t.Helper()
	all := w.tailer.Stats()
	i := slices.IndexFunc(all, func(s Stats) bool { return s.Path == w.path(name) })
	if i < 0 {
		w.t.Fatalf("no statistics of %s in %v", name, all)
	}
	return all[i]
}

// A line long enough to tell files apart by it.
func entry(text string) string { return "Nov 22 10:00:00 gw sshd[4711]: " + text }
