package followtest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// World is a folder of files and what follows them, which looks at them when the test says so. Time is the test's, too.
type World struct {
	*Steps
	T   testing.TB
	Dir string

	stop func()
}

// NewWorld makes an empty folder, at a time. What follows it is stopped when the test ends.
func NewWorld(t testing.TB, now time.Time) *World {
	t.Helper()
	w := &World{Steps: New(now), T: t, Dir: t.TempDir()}
	t.Cleanup(w.Stop)
	return w
}

// Run starts what follows the files, and waits for its first look.
func (w *World) Run(run func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.T.Errorf("Run: %v", err)
		}
	}
	w.Settle()
}

// Stop ends what follows the files, if it runs.
func (w *World) Stop() {
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

// Path is where a file of the folder lies.
func (w *World) Path(name string) string { return filepath.Join(w.Dir, name) }

// Append adds to the end of a file, which is made if it is not there.
func (w *World) Append(name, text string) {
	w.T.Helper()
	f, err := os.OpenFile(w.Path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	w.Must(err)
	_, err = f.WriteString(text)
	w.Must(errors.Join(err, f.Close()))
}

// Rename renames a file.
func (w *World) Rename(from, to string) {
	w.T.Helper()
	w.Must(os.Rename(w.Path(from), w.Path(to)))
}

// Must fails the test at once if err is one.
func (w *World) Must(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}
