package logtail

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestTruncationCopytruncate(t *testing.T) {
	w := newWorld(t)
	w.Append("log", entry("a1\n"))
	w.start()
	w.Append("log", entry("a2\n")) // written, copied and truncated between two looks
	w.copyAndTruncate("log", "log.1")
	w.Append("log", entry("b1\n"))
	w.Look()
	w.want(entry("a1"), entry("a2"), entry("b1"))
	if s := w.stats("log"); s.Truncations != 1 || s.Rotations != 0 {
		t.Errorf("statistics: %+v", s)
	}
}

func TestTruncationCopytruncateWithinLine(t *testing.T) {
	w := newWorld(t)
	w.Append("log", entry("a1\n")+entry("a"))
	w.start()
	w.Append("log", "2\n")
	w.copyAndTruncate("log", "log.1")
	w.Append("log", entry("b1\n"))
	w.Look()
	w.want(entry("a1"), entry("a2"), entry("b1"))
}

func TestTruncationWithoutCopy(t *testing.T) {
	w := newWorld(t)
	w.Append("log", "a1\na2\n")
	w.start()
	w.Must(os.Truncate(w.Path("log"), 0))
	w.Look()
	w.Append("log", "b1\n")
	w.Look()
	w.want("a1", "a2", "b1")
}

func TestTruncationGrownBeyondOldSize(t *testing.T) {
	w := newWorld(t)
	w.Append("log", "a1\n")
	w.start()
	w.Must(os.Truncate(w.Path("log"), 0))
	w.Append("log", "b1\nb2\nb3\n")
	w.Look()
	w.want("a1", "b1", "b2", "b3")
}

func TestTruncationRewrittenToSameSize(t *testing.T) {
	w := newWorld(t)
	w.Append("log", "a1\n")
	w.start()
	w.Must(os.Truncate(w.Path("log"), 0))
	w.Append("log", "b1\n")
	w.Must(os.Chtimes(w.Path("log"), time.Time{}, time.Now().Add(time.Second))) // a coarse clock may not show it
	w.Look()
	w.want("a1", "b1")
}

func TestTruncationIncompleteLine(t *testing.T) {
	w := newWorld(t)
	w.Append("log", "a1\nhalf")
	w.start()
	w.Must(os.Truncate(w.Path("log"), 0))
	w.Append("log", "b1\n")
	w.Look()
	w.want("a1", "half", "b1")
}

// A writer that does not append goes on at its old offset: the file has a hole of NUL bytes, longer than any line limit.
func TestTruncationLeavesHole(t *testing.T) {
	w := newWorld(t)
	f, err := os.Create(w.Path("log"))
	w.Must(err)
	defer f.Close()
	long := strings.Repeat(entry("a\n"), 10000)
	_, err = f.WriteString(long)
	w.Must(err)
	w.start()
	for range 5 {
		w.Look()
	}
	w.Must(os.Truncate(w.Path("log"), 0))
	_, err = f.WriteString("after the hole\n")
	w.Must(err)
	for range 5 {
		w.Look()
	}
	if got := len(w.texts()); got != 10001 || w.last().Text != "after the hole" || w.last().Cut {
		t.Errorf("%d lines, the last is %.60q", got, w.last().Text)
	}
	if s := w.stats("log"); s.NULs != uint64(len(long)) {
		t.Errorf("NULs = %d, want %d", s.NULs, len(long))
	}
}

func TestTruncationWhileStopped(t *testing.T) {
	for name, later := range map[string]string{"shorter": "b1\n", "longer": strings.Repeat("b\n", 100)} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Append("log", entry("a1\n"))
			w.start()
			w.halt()
			w.Must(os.Truncate(w.Path("log"), 0))
			w.Append("log", later)
			w.start()
			want := append([]string{entry("a1")}, strings.Split(strings.TrimSuffix(later, "\n"), "\n")...)
			w.want(want...)
		})
	}
}
