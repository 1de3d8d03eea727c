package logtail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

func TestPresenceLateFile(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.FromStart = false })
	w.start()
	w.Look()
	if s := w.stats("log"); s.Present || s.Errors["missing"] == 0 {
		t.Errorf("statistics: %+v", s)
	}
	w.Append("log", "a1\n") // everything in it is new, though reading starts at the end otherwise
	w.Look()
	w.want("a1")
}

func TestPresenceLateDirectory(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Paths = []string{"www/log"} })
	w.start()
	w.Must(os.Mkdir(w.Path("www"), 0o755))
	w.Append("www/log", "a1\n")
	w.Look()
	w.want("a1")
}

func TestPresenceDeletedAndMadeAgain(t *testing.T) {
	w := newWorld(t)
	w.Append("log", "a1\n")
	w.start()
	w.Append("log", "a2\n")
	w.Must(os.Remove(w.Path("log")))
	w.Look()
	w.Pass(time.Hour)
	w.Append("log", "b1\n")
	w.Pass(time.Second)
	w.want("a1", "a2", "b1")
}

// Permission is refused by a fake, since root may read everything.
func TestPresencePermissionDeniedForAWhile(t *testing.T) {
	for _, fromStart := range []bool{true, false} {
		t.Run(fmt.Sprintf("fromStart=%v", fromStart), func(t *testing.T) {
			var denied atomic.Bool
			w := newWorld(t, func(o *Options) {
				o.FromStart = fromStart
				o.Open = func(name string) (*os.File, error) {
					if denied.Load() {
						return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
					}
					return os.Open(name)
				}
			})
			denied.Store(true)
			w.Append("log", "old\n")
			w.start()
			w.Append("log", "a1\n")
			w.Look()
			w.want()
			if s := w.stats("log"); s.Errors["permission"] < 2 || s.Present {
				t.Errorf("statistics: %+v", s)
			}
			denied.Store(false)
			w.Look()
			want := []string{"a1"}
			if fromStart {
				want = []string{"old", "a1"}
			}
			w.want(want...)

			denied.Store(true) // an open file stays readable; the next one waits
			w.Append("log", "a2\n")
			w.Look()
			w.Rename("log", "log.0")
			w.Append("log.0", "a3\n")
			w.Append("log", "b1\n")
			w.Pass(time.Minute)
			w.want(append(want, "a2", "a3")...)
			denied.Store(false)
			w.Look()
			w.want(append(want, "a2", "a3", "b1")...)
		})
	}
}

func TestPresenceNotARegularFile(t *testing.T) {
	w := newWorld(t)
	w.Must(os.Mkdir(w.Path("log"), 0o755))
	w.start()
	if s := w.stats("log"); s.Errors["not_regular"] == 0 {
		t.Errorf("statistics: %+v", s)
	}
	w.Must(os.Remove(w.Path("log")))
	w.Append("log", "a1\n")
	w.Look()
	w.want("a1")
}

func TestPresenceReadErrorIsCured(t *testing.T) {
	var fail atomic.Bool
	w := newWorld(t, func(o *Options) {
		o.Open = func(name string) (*os.File, error) {
			if fail.Load() {
				return nil, errors.New("stale handle")
			}
			return os.Open(name)
		}
		o.MaxOpen = 1
		o.Paths = []string{"log", "log2"}
	})
	w.Append("log", "a1\n")
	w.Append("log2", "b1\n") // closes log
	w.start()
	fail.Store(true)
	w.Append("log", "a2\n")
	w.Look()
	if s := w.stats("log"); s.Errors["io"] == 0 || s.Behind != 3 {
		t.Errorf("statistics: %+v", s)
	}
	fail.Store(false)
	w.Look()
	w.want("a1", "b1", "a2")
}

func TestGlobFindsNewFiles(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Paths = []string{"*/access_log"}; o.FromStart = false })
	w.Must(os.Mkdir(w.Path("a"), 0o755))
	w.Append("a/access_log", "before\n")
	w.start()
	w.Must(os.Mkdir(w.Path("b"), 0o755))
	w.Append("b/access_log", "b1\n")
	w.Append("a/access_log", "a1\n")
	for range 5 {
		w.Look()
	}
	w.want("a1", "b1")
	w.Must(os.RemoveAll(w.Path("b")))
	for range 20 {
		w.Pass(10 * time.Second)
	}
	if got := len(w.tailer.Stats()); got != 1 {
		t.Errorf("%d paths are known; the deleted one should be forgotten", got)
	}
}

func TestGlobRestartFileRotatedAway(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Paths = []string{"*.log"} })
	w.Append("a.log", entry("a1\n"))
	w.start()
	w.halt()
	w.Append("a.log", entry("a2\n"))
	w.Rename("a.log", "a.log.0")
	w.start()
	w.want(entry("a1"), entry("a2"))
}

func TestStartAtEndWithinLine(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.FromStart = false })
	w.Append("log", "old\nhalf of a li")
	w.start()
	w.Append("log", "ne by an attacker\na1\n")
	w.Look()
	w.want("a1")
}

// What is written between two runs is read though nothing was read before.
func TestStartAtEndIsRemembered(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.FromStart = false })
	w.Append("log", entry("old\n"))
	w.start()
	starts := w.tailer.Starts()
	w.Stop()
	w.opts.Positions = starts
	w.Append("log", entry("a1\n"))
	w.start()
	w.want(entry("a1"))
}
