package logtail

import (
	"bytes"
	"compress/gzip"
	"os"
	"regexp"
	"testing"
	"time"
)

func TestRotationRenameAndCreate(t *testing.T) {
	w := newWorld(t)
	w.write("log", "a1\na2\n")
	w.start()
	w.write("log", "a3\n")
	w.rename("log", "log.0")
	w.write("log", "b1\n")
	w.look()
	w.want("a1", "a2", "a3", "b1")
	if s := w.stats("log"); s.Rotations != 1 || s.Lost != 0 || s.Behind != 0 {
		t.Errorf("statistics: %+v", s)
	}
}

func TestRotationWriterKeepsOldFile(t *testing.T) {
	w := newWorld(t)
	w.write("log", "a1\n")
	w.start()
	w.rename("log", "log.0")
	w.write("log", "b1\n")
	w.pass(4 * time.Second)
	w.write("log.0", "a2 of an old child\n") // Apache's children after a graceful restart
	w.pass(4 * time.Second)
	w.write("log.0", "a3\n")
	w.write("log", "b2\n")
	w.pass(4 * time.Second)
	w.want("a1", "b1", "a2 of an old child", "a3", "b2")
	w.pass(6 * time.Second)
	w.pass(6 * time.Second)
	w.write("log.0", "after the end\n")
	w.pass(time.Second)
	if got := len(w.texts()); got != 5 {
		t.Errorf("%d lines: the idle old file was not given up", got)
	}
}

func TestRotationRenamedBeforeNewFileExists(t *testing.T) {
	w := newWorld(t)
	w.write("log", "a1\n")
	w.start()
	w.rename("log", "log.0")
	w.pass(time.Minute)
	w.write("log.0", "a2\n")
	w.pass(time.Minute)
	w.write("log", "b1\n")
	w.pass(time.Second)
	w.want("a1", "a2", "b1")
}

func TestRotationTwiceBetweenTwoLooks(t *testing.T) {
	w := newWorld(t)
	w.write("log", entry("a1\n"))
	w.start()
	w.write("log", entry("a2\n"))
	w.rename("log", "log.0")
	w.write("log", entry("b1\n"))
	w.rename("log.0", "log.1")
	w.rename("log", "log.0")
	w.write("log", entry("c1\n"))
	w.look()
	w.want(entry("a1"), entry("a2"), entry("b1"), entry("c1"))
}

func TestRotationIncompleteLastLineOfOldFile(t *testing.T) {
	w := newWorld(t)
	w.write("log", "a1\nhal")
	w.start()
	w.rename("log", "log.0")
	w.write("log", "b1\n")
	w.look()
	w.want("a1", "b1") // the old file may still be written to
	w.write("log.0", "f\n")
	w.pass(time.Second)
	w.want("a1", "b1", "half")
	w.write("log.0", "rest")
	w.pass(time.Second)
	w.pass(10 * time.Second)
	w.want("a1", "b1", "half", "rest")
}

func TestRotationWhileStopped(t *testing.T) {
	for name, rotate := range map[string]func(w *world){
		"rename": func(w *world) { w.rename("log", "log.0") },
		"dated":  func(w *world) { w.rename("log", "log-20261122") },
		"twice": func(w *world) {
			w.rename("log", "log.1")
			w.write("log.0", entry("between\n"))
		},
		"gzip":  func(w *world) { w.compress("log", "log.0.gz") },
		"copy":  func(w *world) { w.copyAndTruncate("log", "log.1") },
		"named": func(w *world) { w.rename("log", "log.old") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.write("log.5", entry("ancient\n")) // rotated long ago, not to be read
			w.write("log", entry("a1\n")+entry("a2\n"))
			w.start()
			w.halt()
			w.write("log", entry("a3\n"))
			rotate(w)
			w.write("log", entry("b1\n"))
			w.start()
			w.pass(time.Second)
			want := []string{entry("a1"), entry("a2"), entry("a3")}
			if name == "twice" {
				want = append(want, entry("between"))
			}
			w.want(append(want, entry("b1"))...)
			if s := w.stats("log"); s.Lost != 0 {
				t.Errorf("lost: %+v", s)
			}
			w.restart()
			w.pass(time.Minute)
			w.restart()
			w.want(append(want, entry("b1"))...)
		})
	}
}

// Begun anew between the old file's rename and the making of the next, which is rotated before the second look; a file before them still lingers.
func TestRotationTwiceBehindRestart(t *testing.T) {
	w := newWorld(t)
	w.write("log", entry("a1\n"))
	w.start()
	w.rename("log", "log.0")
	w.write("log", entry("b1\n"))
	w.look()
	w.halt()
	w.rename("log.0", "log.1")
	w.rename("log", "log.0")
	w.start()
	w.write("log", entry("c1\n"))
	w.rename("log.1", "log.2")
	w.rename("log.0", "log.1")
	w.rename("log", "log.0")
	w.write("log", entry("d1\n"))
	w.look()
	w.want(entry("a1"), entry("b1"), entry("c1"), entry("d1"))
	w.restart()
	w.pass(time.Minute)
	w.want(entry("a1"), entry("b1"), entry("c1"), entry("d1"))
}

// A position that was stored while an old file was still read brings both back.
func TestRotationRestartWhileOldFileLingers(t *testing.T) {
	w := newWorld(t)
	w.write("log", entry("a1\n"))
	w.start()
	w.rename("log", "log.0")
	w.write("log", entry("b1\n"))
	w.look()
	w.halt()
	w.write("log.0", entry("a2\n"))
	w.write("log", entry("b2\n"))
	w.start()
	w.want(entry("a1"), entry("b1"), entry("a2"), entry("b2"))
	w.restart()
	w.want(entry("a1"), entry("b1"), entry("a2"), entry("b2"))
}

// Every line's own position must do: the last one dealt with is all that is stored.
func TestRestartFromAnyLine(t *testing.T) {
	w := newWorld(t)
	w.write("log", entry("a1\n")+entry("a2\n"))
	w.start()
	w.write("log", entry("a3\n"))
	w.rename("log", "log.0")
	w.write("log", entry("b1\n")+entry("b2\n"))
	w.look()
	all := w.lines
	w.stop()
	for i := range all {
		w.lines = all[: i+1 : i+1]
		w.opts.Positions = append(w.opts.Positions[:0], all[i].Next)
		w.start()
		w.want(entry("a1"), entry("a2"), entry("a3"), entry("b1"), entry("b2"))
		w.stop()
	}
}

func TestRestartOldFileGone(t *testing.T) {
	w := newWorld(t)
	w.write("log", entry("a1\n"))
	w.start()
	w.halt()
	w.must(os.Remove(w.path("log")))
	w.write("other", "x\n") // takes the inode
	w.write("log", entry("b1\n"))
	w.start()
	w.want(entry("a1"), entry("b1"))
	if s := w.stats("log"); s.Lost != 1 {
		t.Errorf("lost = %d, want 1", s.Lost)
	}
}

func TestRotationSymlinkChange(t *testing.T) {
	w := newWorld(t)
	w.write("monday", "m1\n")
	w.must(os.Symlink("monday", w.path("log")))
	w.start()
	w.write("tuesday", "t1\n")
	w.must(os.Remove(w.path("log")))
	w.must(os.Symlink("tuesday", w.path("log")))
	w.write("monday", "m2\n")
	w.look()
	w.want("m1", "m2", "t1")
	w.pass(10 * time.Second)
	w.must(os.Remove(w.path("log")))
	w.must(os.Symlink("monday", w.path("log"))) // back: it was read before
	w.write("monday", "m3\n")
	w.pass(time.Second)
	w.want("m1", "m2", "t1", "m3")
}

// A glob that matches the rotated names, too, reads nothing twice.
func TestRotationWithinGlob(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Paths = []string{"log*"} })
	w.write("log", entry("a1\n"))
	w.start()
	w.rename("log", "log.0")
	w.write("log", entry("b1\n"))
	for range 20 {
		w.pass(time.Second)
	}
	w.rename("log.0", "log.1")
	w.rename("log", "log.0")
	w.write("log.0", entry("b2\n"))
	w.write("log", entry("c1\n"))
	for range 20 {
		w.pass(time.Second)
	}
	w.compress("log.1", "log.1.gz")
	for range 20 {
		w.pass(time.Second)
	}
	w.want(entry("a1"), entry("b1"), entry("b2"), entry("c1"))
}

func (w *world) compress(from, to string) {
	w.t.Helper()
	data, err := os.ReadFile(w.path(from))
	w.must(err)
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err = z.Write(data)
	w.must(err)
	w.must(z.Close())
	w.must(os.WriteFile(w.path(to), out.Bytes(), 0o644))
	w.must(os.Remove(w.path(from)))
}

func (w *world) copyAndTruncate(from, to string) {
	w.t.Helper()
	data, err := os.ReadFile(w.path(from))
	w.must(err)
	w.must(os.WriteFile(w.path(to), data, 0o644))
	w.must(os.Truncate(w.path(from), 0))
}

// TestEmptyWhenNoted: a file that was empty when its position was stored, and renamed while nobody looked, is named by what it holds as soon
// as that was read. By its device and inode alone another file, which got them later, would be taken for it.
func TestEmptyWhenNoted(t *testing.T) {
	w := newWorld(t)
	w.write("log", "")
	w.start()
	w.look()
	w.halt()
	w.rename("log", "log.0")
	w.write("log.0", "a\nb\n")
	w.write("log", "c\n")
	w.start()
	w.look()
	w.want("a", "b", "c")
	for _, l := range w.lines {
		if nameless := regexp.MustCompile(`:0:[0-9a-f]+(@[1-9]|$)`); nameless.MatchString(l.Next.Identity) && l.Next.Offset > 0 {
			t.Errorf("%q: identity %s at offset %d", l.Text, l.Next.Identity, l.Next.Offset)
		}
	}
}
