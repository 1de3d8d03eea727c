package logtail

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pfwarden/capture"
)

// Ten thousand files, with few descriptors: each is read, rotated and read on.
func TestTenThousandFiles(t *testing.T) {
	n := 10000
	if testing.Short() {
		n = 500
	}
	w := newWorld(t, func(o *Options) { o.Paths, o.MaxOpen = []string{"*.log"}, 64 })
	name := func(i int) string { return fmt.Sprintf("%05d.log", i) }
	for i := range n {
		w.Append(name(i), entry(fmt.Sprintf("a %d\n", i)))
	}
	w.start()
	if got := len(w.texts()); got != n {
		t.Fatalf("%d lines, want %d", got, n)
	}
	if fds := descriptors(t); fds > 64+100 {
		t.Errorf("%d descriptors are open", fds)
	}
	for i := range n {
		w.Append(name(i), entry(fmt.Sprintf("b %d\n", i)))
		if i%100 == 0 {
			w.Rename(name(i), name(i)+".0")
			w.Append(name(i), entry(fmt.Sprintf("c %d\n", i)))
		}
	}
	w.Look()
	if got, want := len(w.texts()), 2*n+n/100; got != want {
		t.Errorf("%d lines, want %d", got, want)
	}
	if fds := descriptors(t); fds > 2*64+100 {
		t.Errorf("%d descriptors are open", fds)
	}
	for _, s := range w.tailer.Stats() {
		if s.Lost != 0 || s.Behind != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// descriptors counts the open descriptors of this process where the system shows them.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Logf("not counted: %v", err)
		return 0
	}
	return len(entries)
}

// The system's own waker: a line is read long before the poll is due.
func TestWokenBySystem(t *testing.T) {
	dir := t.TempDir()
	log, link := filepath.Join(dir, "log"), filepath.Join(dir, "links", "log")
	for _, d := range []string{"links", "globbed"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "target"), link); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{log, filepath.Join(dir, "target")} {
		if err := os.WriteFile(f, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tailer, err := New(Options{Paths: []string{log, link, filepath.Join(dir, "globbed", "*.log")}, Poll: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	got, done := make(chan capture.Line, 10), make(chan error, 1)
	go func() {
		done <- tailer.Run(ctx, func(lines []capture.Line) error {
			for _, l := range lines {
				got <- l
			}
			return nil
		})
	}()
	for len(tailer.Starts()) < 2 { // both files are watched once reading has begun
		select {
		case err := <-done:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	steps := []struct {
		name  string
		write string
		do    func() error
	}{
		{"append", log, nil},
		{"append again", log, nil},
		{"through a link", filepath.Join(dir, "target"), nil},
		{"rename and create", log, func() error { return os.Rename(log, log+".0") }},
		{"new file of a glob", filepath.Join(dir, "globbed", "new.log"), nil},
	}
	for _, s := range steps {
		if s.do != nil {
			if err := s.do(); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		f, err := os.OpenFile(s.write, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(entry(s.name + "\n")); err != nil {
			t.Fatal(err)
		}
		f.Close()
		select {
		case l := <-got:
			if l.Text != entry(s.name) {
				t.Errorf("%s: read %q", s.name, l.Text)
			}
			t.Logf("%s: read after %v", s.name, time.Since(began))
		case <-time.After(2 * time.Minute):
			t.Fatalf("%s: not woken; poll is an hour away", s.name)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func BenchmarkTail(b *testing.B) {
	file := filepath.Join(b.TempDir(), "log")
	f, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	out := bufio.NewWriter(f)
	const lines = 200_000
	for i := range lines {
		fmt.Fprintf(out, "Nov 22 10:00:00 gw sshd[%d]: Failed password for root from 192.0.2.7 port 40000 ssh2\n", i)
	}
	if err := out.Flush(); err != nil {
		b.Fatal(err)
	}
	st, err := f.Stat()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(st.Size())
	for b.Loop() {
		tailer, err := New(Options{Paths: []string{file}, FromStart: true})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		n := 0
		if err := tailer.Run(ctx, func(l []capture.Line) error {
			if n += len(l); n == lines {
				cancel()
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		cancel()
	}
}
