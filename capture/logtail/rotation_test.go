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
	w.Append("log", "a1\na2\n")
	w.start()
	w.Append("log", "a3\n")
	w.Rename("log", "log.0")
	w.Append("log", "b1\n")
	w.Look()
	w.want("a1", "a2", "a3", "b1")
	if s := w.stats("log"); s.Rotations != 1 || s.Lost != 0 || s.Behind != 0 {
		t.Errorf("statistics: %+v", s)
	}
}

func TestRotationWriterKeepsOldFile(t *testing.T) {
	w := newWorld(t)
	w.Append("log", "a1\n")
	w.start()
	w.Rename("log", "log.0")
	w.Append("log", "b1\n")
	w.Pass(4 * time.Second)
	w.Append("log.0", "a2 of an old child\n") // Apache's children after a graceful restart
	w.Pass(4 * time.Second)
	w.Append("log.0", "a3\n")
	w.Append("log", "b2\n")
	w.Pass(4 * time.Second)
	w.want("a1", "b1", "a2 of an old child", "a3", "b2")
	w.Pass(6 * time.Second)
	w.Pass(6 * time.Second)
	w.Append("log.0", "after the end\n")
	w.Pass(time.Second)
	if got := len(w.texts()); got != 5 {
		t.Errorf("%d lines: the idle old file was not given up", got)
	}
}

func TestRotationRenamedBeforeNewFileExists(t *testing.T) {
	w := newWorld(t)
	w.Append("log", "a1\n")
	w.start()
	w.Rename("log", "log.0")
	w.Pass(time.Minute)
	w.Append("log.0", "a2\n")
	w.Pass(time.Minute)
	w.Append("log", "b1\n")
	w.Pass(time.Second)
	w.want("a1", "a2", "b1")
}

func TestRotationTwiceBetweenTwoLooks(t *testing.T) {
	w := newWorld(t)
	w.Append("log", entry("a1\n"))
	w.start()
	w.Append("log", entry("a2\n"))
	w.Rename("log", "log.0")
	w.Append("log", entry("b1\n"))
	w.Rename("log.0", "log.1")
	w.Rename("log", "log.0")
	w.Append("log", entry("c1\n"))
	w.Look()
	w.want(entry("a1"), entry("a2"), entry("b1"), entry("c1"))
}

func TestRotationIncompleteLastLineOfOldFile(t *testing.T) {
	w := newWorld(t)
	w.Append("log", "a1\nhal")
	w.start()
	w.Rename("log", "log.0")
	w.Append("log", "b1\n")
	w.Look()
	w.want("a1", "b1") // the old file may still be written to
	w.Append("log.0", "f\n")
	w.Pass(time.Second)
	w.want("a1", "b1", "half")
	w.Append("log.0", "rest")
	w.Pass(time.Second)
	w.Pass(10 * time.Second)
	w.want("a1", "b1", "half", "rest")
}

func TestRotationWhileStopped(t *testing.T) {
	for name, rotate := range map[string]func(w *world){
		"rename": func(w *world) { w.Rename("log", "log.0") },
		"dated":  func(w *world) { w.Rename("log", "log-20261122") },
		"twice": func(w *world) {
			w.Rename("log", "log.1")
			w.Append("log.0", entry("between\n"))
		},
		"gzip":  func(w *world) { w.compress("log", "log.0.gz") },
		"copy":  func(w *world) { w.copyAndTruncate("log", "log.1") },
		"named": func(w *world) { w.Rename("log", "log.old") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Append("log.5", entry("ancient\n")) // rotated long ago, not to be read
			w.Append("log", entry("a1\n")+entry("a2\n"))
			w.start()
			w.halt()
			w.Append("log", entry("a3\n"))
			rotate(w)
			w.Append("log", entry("b1\n"))
			w.start()
			w.Pass(time.Second)
			want := []string{entry("a1"), entry("a2"), entry("a3")}
			if name == "twice" {
				want = append(want, entry("between"))
			}
			w.want(append(want, entry("b1"))...)
			if s := w.stats("log"); s.Lost != 0 {
				t.Errorf("lost: %+v", s)
			}
			w.restart()
			w.Pass(time.Minute)
			w.restart()
			w.want(append(want, entry("b1"))...)
		})
	}
}

// Begun anew between the old file's rename and the making of the next, which is rotated before the second look; a file before them still lingers.
func TestRotationTwiceBehindRestart(t *testing.T) {
	w := newWorld(t)
	w.Append("log", entry("a1\n"))
	w.start()
	w.Rename("log", "log.0")
	w.Append("log", entry("b1\n"))
	w.Look()
	w.halt()
	w.Rename("log.0", "log.1")
	w.Rename("log", "log.0")
	w.start()
	w.Append("log", entry("c1\n"))
	w.Rename("log.1", "log.2")
	w.Rename("log.0", "log.1")
	w.Rename("log", "log.0")
	w.Append("log", entry("d1\n"))
	w.Look()
	w.want(entry("a1"), entry("b1"), entry("c1"), entry("d1"))
	w.restart()
	w.Pass(time.Minute)
	w.want(entry("a1"), entry("b1"), entry("c1"), entry("d1"))
}

// A position that was stored while an old file was still read brings both back.
func TestRotationRestartWhileOldFileLingers(t *testing.T) {
	w := newWorld(t)
	w.Append("log", entry("a1\n"))
	w.start()
	w.Rename("log", "log.0")
	w.Append("log", entry("b1\n"))
	w.Look()
	w.halt()
	w.Append("log.0", entry("a2\n"))
	w.Append("log", entry("b2\n"))
	w.start()
	w.want(entry("a1"), entry("b1"), entry("a2"), entry("b2"))
	w.restart()
	w.want(entry("a1"), entry("b1"), entry("a2"), entry("b2"))
}

// Every line's own position must do: the last one dealt with is all that is stored.
func TestRestartFromAnyLine(t *testing.T) {
	w := newWorld(t)
	w.Append("log", entry("a1\n")+entry("a2\n"))
	w.start()
	w.Append("log", entry("a3\n"))
	w.Rename("log", "log.0")
	w.Append("log", entry("b1\n")+entry("b2\n"))
	w.Look()
	all := w.lines
	w.Stop()
	for i := range all {
		w.lines = all[: i+1 : i+1]
		w.opts.Positions = append(w.opts.Positions[:0], all[i].Next)
		w.start()
		w.want(entry("a1"), entry("a2"), entry("a3"), entry("b1"), entry("b2"))
		w.Stop()
	}
}

func TestRestartOldFileGone(t *testing.T) {
	w := newWorld(t)
	w.Append("log", entry("a1\n"))
	w.start()
	w.halt()
	w.Must(os.Remove(w.Path("log")))
	w.Append("other", "x\n") // takes the inode
	w.Append("log", entry("b1\n"))
	w.start()
	w.want(entry("a1"), entry("b1"))
	if s := w.stats("log"); s.Lost != 1 {
		t.Errorf("lost = %d, want 1", s.Lost)
	}
}

func TestRotationSymlinkChange(t *testing.T) {
	w := newWorld(t)
	w.Append("monday", "m1\n")
	w.Must(os.Symlink("monday", w.Path("log")))
	w.start()
	w.Append("tuesday", "t1\n")
	w.Must(os.Remove(w.Path("log")))
	w.Must(os.Symlink("tuesday", w.Path("log")))
	w.Append("monday", "m2\n")
	w.Look()
	w.want("m1", "m2", "t1")
	w.Pass(10 * time.Second)
	w.Must(os.Remove(w.Path("log")))
	w.Must(os.Symlink("monday", w.Path("log"))) // back: it was read before
	w.Append("monday", "m3\n")
	w.Pass(time.Second)
	w.want("m1", "m2", "t1", "m3")
}

// A glob that matches the rotated names, too, reads nothing twice.
func TestRotationWithinGlob(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Paths = []string{"log*"} })
	w.Append("log", entry("a1\n"))
	w.start()
	w.Rename("log", "log.0")
	w.Append("log", entry("b1\n"))
	for range 20 {
		w.Pass(time.Second)
	}
	w.Rename("log.0", "log.1")
	w.Rename("log", "log.0")
	w.Append("log.0", entry("b2\n"))
	w.Append("log", entry("c1\n"))
	for range 20 {
		w.Pass(time.Second)
	}
	w.compress("log.1", "log.1.gz")
	for range 20 {
		w.Pass(time.Second)
	}
	w.want(entry("a1"), entry("b1"), entry("b2"), entry("c1"))
}

func (w *world) compress(from, to string) {
	w.T.Helper()
	data, err := os.ReadFile(w.Path(from))
	w.Must(err)
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err = z.Write(data)
	w.Must(err)
	w.Must(z.Close())
	w.Must(os.WriteFile(w.Path(to), out.Bytes(), 0o644))
	w.Must(os.Remove(w.Path(from)))
}

func (w *world) copyAndTruncate(from, to string) {
	w.T.Helper()
	data, err := os.ReadFile(w.Path(from))
	w.Must(err)
	w.Must(os.WriteFile(w.Path(to), data, 0o644))
	w.Must(os.Truncate(w.Path(from), 0))
}

// TestEmptyWhenNoted: a file that was empty when its position was stored, and renamed while nobody looked, is named by what it holds as soon
// as that was read. By its device and inode alone another file, which got them later, would be taken for it.
func TestEmptyWhenNoted(t *testing.T) {
	w := newWorld(t)
	w.Append("log", "")
	w.start()
	w.Look()
	w.halt()
	w.Rename("log", "log.0")
	w.Append("log.0", "a\nb\n")
	w.Append("log", "c\n")
	w.start()
	w.Look()
	w.want("a", "b", "c")
	for _, l := range w.lines {
		if nameless := regexp.MustCompile(`:0:[0-9a-f]+(@[1-9]|$)`); nameless.MatchString(l.Next.Identity) && l.Next.Offset > 0 {
			t.Errorf("%q: identity %s at offset %d", l.Text, l.Next.Identity, l.Next.Offset)
		}
	}
}
