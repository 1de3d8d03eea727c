package follow

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// teller is a Watcher that says what a test tells it. The follower asks for its waker whenever it has nothing left to do.
type teller struct {
	Watcher
	idle chan struct{}
	wake chan struct{}
	say  []Change
}

func (s *teller) Wake() <-chan struct{} {
	s.idle <- struct{}{}
	return s.wake
}

func (s *teller) Take() (changed []Change, names bool) {
	changed, s.say = s.say, nil
	return changed, false
}

// text is a Sink that keeps all it gets.
type text struct{ got string }

func (s *text) Data(_ *File, data []byte) error {
	s.got += string(data)
	return nil
}

func (s *text) End(*File) error { return nil }

// TestGrown: where nothing but the content of a file has changed, the path is not looked at, which may be a question to another process; whatever
// else has happened is found all the same.
func TestGrown(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	add := func(s string) error {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = f.WriteString(s)
		return errors.Join(err, f.Close())
	}
	if err := add("a\n"); err != nil {
		t.Fatal(err)
	}
	looks := 0
	w := &teller{Watcher: NoWatcher(), idle: make(chan struct{}), wake: make(chan struct{})}
	tick := make(chan time.Time)
	f, err := New(Options{Patterns: []string{path}, FromStart: true, Watcher: w, Tick: tick, Stat: func(path string) (os.FileInfo, error) {
		looks++
		return os.Stat(path)
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var sink text
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, &sink) }()
	<-w.idle
	for _, step := range []struct {
		name   string
		change func() error
		data   bool
		want   string
		looks  int // 0, or 1 for any number
	}{
		{"a line more", func() error { return add("b\n") }, true, "b\n", 0},
		{"a line more, and perhaps something else", func() error { return add("c\n") }, false, "c\n", 1},
		{"begun anew", func() error { return errors.Join(os.Truncate(path, 0), add("d\n")) }, true, "d\n", 1},
		{"a line more after that", func() error { return add("e\n") }, true, "e\n", 0},
		{"rotated, of which only the write was told", func() error { return errors.Join(add("f\n"), os.Rename(path, path+".1"), add("g\n")) }, true, "f\n", 0},
		{"rotated", func() error { return nil }, false, "g\n", 1},
		{"a line more while the file before is still read", func() error { return add("h\n") }, true, "h\n", 1},
	} {
		sink.got, looks = "", 0
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		w.say = []Change{{path, step.data}}
		w.wake <- struct{}{}
		<-w.idle
		if sink.got != step.want || min(looks, 1) != step.looks {
			t.Errorf("%s: read %q with %d looks at the path, want %q with %d", step.name, sink.got, looks, step.want, step.looks)
		}
	}
	if err := add("i\n"); err != nil {
		t.Fatal(err)
	}
	sink.got, looks = "", 0
	w.say = []Change{{path, true}}
	tick <- time.Time{} // a poll looks, whatever was told
	<-w.idle
	if sink.got != "i\n" || looks == 0 {
		t.Errorf("a poll: read %q with %d looks", sink.got, looks)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
