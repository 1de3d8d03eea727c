package follow

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pfwarden/capture"
	files "pfwarden/capture/internal/follow"
	"pfwarden/capture/internal/follow/followtest"
	"pfwarden/capture/pflog"
	"pfwarden/capture/pflog/pflogwrite"
)

func TestRecordIncompleteWaits(t *testing.T) {
	w := newWorld(t)
	whole := w.file(1, 2)
	w.start()
	for i := range whole { // byte by byte, from an empty file on
		w.append("pflog", whole[i:i+1])
		w.Look()
		want := 0
		if i+1 >= len(w.file(1)) {
			want = 1
		}
		if i+1 >= len(whole) {
			want = 2
		}
		if len(w.got) != want {
			t.Fatalf("%d packets after %d bytes, want %d", len(w.got), i+1, want)
		}
	}
	if s := w.follower.Stats(); s.Packets != 2 || s.Behind != 0 || s.Unreadable != 0 {
		t.Errorf("statistics: %+v", s)
	}
}

func TestEmptyAndHeaderOnly(t *testing.T) {
	w := newWorld(t)
	w.append("pflog")
	w.start()
	w.append("pflog", w.format.Header())
	w.Look()
	w.restart()
	w.append("pflog", w.record(100, 1))
	w.Look()
	w.want(1)
}

func TestRotationByNewsyslog(t *testing.T) {
	w := newWorld(t)
	w.append("pflog", w.file(1, 2))
	w.start()
	w.append("pflog", w.record(100, 3))
	w.Must(os.Rename(w.Path("pflog"), w.Path("pflog.0")))
	w.append("pflog") // newsyslog makes an empty file, pflogd still has the old one
	w.Look()
	w.append("pflog.0", w.record(100, 4))
	w.Look()
	w.append("pflog", w.file(5)) // after SIGHUP
	w.Look()
	w.want(1, 2, 3, 4, 5)
	if s := w.follower.Stats(); s.Rotations != 1 || s.Lost != 0 {
		t.Errorf("statistics: %+v", s)
	}
}

func TestRotationWithOtherByteOrder(t *testing.T) {
	w := newWorld(t)
	w.append("pflog", w.file(1))
	w.start()
	w.Must(os.Rename(w.Path("pflog"), w.Path("pflog.0")))
	w.format = pflogwrite.Format{BigEndian: true, Nanoseconds: true}
	w.append("pflog", w.file(2, 3))
	w.Look()
	w.want(1, 2, 3)
}

func TestRotationWhileStopped(t *testing.T) {
	for _, packed := range []bool{false, true} {
		w := newWorld(t)
		w.append("pflog", w.file(1, 2))
		w.start()
		w.Stop()
		w.opts.Position = w.last
		w.append("pflog", w.record(100, 3))
		w.Must(os.Rename(w.Path("pflog"), w.Path("pflog.0")))
		if packed {
			data, err := os.ReadFile(w.Path("pflog.0"))
			w.Must(err)
			var out bytes.Buffer
			z := gzip.NewWriter(&out)
			_, err = z.Write(data)
			w.Must(errors.Join(err, z.Close()))
			w.append("pflog.0.gz", out.Bytes())
			w.Must(os.Remove(w.Path("pflog.0")))
		}
		w.append("pflog", w.file(4))
		w.start()
		w.want(1, 2, 3, 4)
		w.restart()
		w.want(1, 2, 3, 4)
	}
}

// The positions given with each packet resume exactly after it.
func TestResumeBehindEveryPacket(t *testing.T) {
	w := newWorld(t)
	w.append("pflog", w.file(1, 2, 3))
	w.start()
	for i := range 3 {
		w.Stop()
		w.got = nil
		w.opts.Position = capture.Position{Path: w.opts.Path, Identity: w.last.Identity, Offset: w.pkts[i].Offset}
		w.start()
		w.want([]uint16{1, 2, 3}[i+1:]...)
	}
}

// Incomplete for good: the record is counted, the next file is read.
func TestRotationCutsRecord(t *testing.T) {
	w := newWorld(t)
	w.append("pflog", w.file(1), w.record(100, 2)[:30])
	w.start()
	w.Must(os.Rename(w.Path("pflog"), w.Path("pflog.0")))
	w.append("pflog", w.file(3))
	w.Pass(time.Second)
	w.Pass(10 * time.Second)
	w.want(1, 3)
	if s := w.follower.Stats(); s.Rejects[pflog.CutFile] != 1 {
		t.Errorf("statistics: %+v", s)
	}
}

func TestTruncation(t *testing.T) {
	w := newWorld(t)
	w.append("pflog", w.file(1, 2))
	w.start()
	w.Must(os.Truncate(w.Path("pflog"), 0))
	w.append("pflog", w.file(3)) // pflogd was restarted
	w.Look()
	w.want(1, 2, 3)
	w.Must(os.Truncate(w.Path("pflog"), 0))
	w.append("pflog", w.record(100, 4)[:50]) // it was not: it goes on without a header
	w.Look()
	w.append("pflog", w.record(100, 4)[50:], w.record(100, 5))
	w.Look()
	w.want(1, 2, 3, 4, 5)
	if s := w.follower.Stats(); s.Truncations != 2 || s.Unreadable != 0 {
		t.Errorf("statistics: %+v", s)
	}
}

// After an upgrade pflogd appends records of another dialect to the file it finds.
func TestDialectChangesWithinFile(t *testing.T) {
	w := newWorld(t)
	w.append("pflog", w.format.Header(), w.record(61, 1))
	w.start()
	w.append("pflog", w.record(69, 2), w.record(100, 3))
	w.Look()
	w.want(1, 2, 3)
	if d := w.pkts[2].Dialect; d != 100 {
		t.Errorf("dialect %d, want 100", d)
	}
}

func TestBadRecordsCostThemselves(t *testing.T) {
	w := newWorld(t)
	bad := w.record(100, 2)
	bad[pflog.RecordHeaderLen] = 3 // length byte
	w.append("pflog", w.file(1), bad, w.record(100, 3))
	w.start()
	w.want(1, 3)
	if s := w.follower.Stats(); s.Rejects[pflog.BadLength] != 1 || s.Packets != 2 {
		t.Errorf("statistics: %+v", s)
	}
}

func TestUnreadableFileIsLeftUntilTheNext(t *testing.T) {
	for name, data := range map[string][]byte{
		"text":   []byte("Nov 22 10:00:00 gw newsyslog[1]: logfile turned over\n"),
		"damage": append((&world{World: &followtest.World{T: t}}).file(1), bytes.Repeat([]byte{0xff}, 100)...),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.append("pflog", data)
			w.start()
			if s := w.follower.Stats(); s.Unreadable != 1 || !s.Broken {
				t.Errorf("statistics: %+v", s)
			}
			w.got = nil
			w.Must(os.Rename(w.Path("pflog"), w.Path("pflog.bad")))
			w.append("pflog", w.file(2))
			w.Look()
			w.want(2)
			if w.follower.Stats().Broken {
				t.Error("still broken with the next file")
			}
		})
	}
}

func TestFromEnd(t *testing.T) {
	w := newWorld(t)
	w.opts.FromEnd = true
	w.append("pflog", w.file(1, 2), w.record(100, 3)[:40]) // the end of the file is not the end of a record
	w.start()
	w.append("pflog", w.record(100, 3)[40:], w.record(100, 4))
	w.Look()
	w.Must(os.Rename(w.Path("pflog"), w.Path("pflog.0")))
	w.append("pflog", w.file(5))
	w.Look()
	w.want(3, 4, 5)
	if s := w.follower.Stats(); s.Passed != 2 {
		t.Errorf("statistics: %+v", s)
	}
}

// Once fills the gap since the stored position, rotated files included, and returns.
// TestFromEndOfEmptyFile: pflogd had not begun its file when following began, so that nothing of it is old.
func TestFromEndOfEmptyFile(t *testing.T) {
	w := newWorld(t)
	w.opts.FromEnd = true
	w.append("pflog")
	w.start()
	w.append("pflog", w.file(1, 2))
	w.Look()
	w.want(1, 2)
}

func TestOnce(t *testing.T) {
	w := newWorld(t)
	w.append("pflog", w.file(1))
	w.start()
	w.Stop()
	w.append("pflog", w.record(100, 2))
	w.Must(os.Rename(w.Path("pflog"), w.Path("pflog.0")))
	w.append("pflog", w.file(3))
	f, err := New(Options{Path: w.opts.Path, Position: w.last, Once: true})
	w.Must(err)
	w.Must(f.Run(context.Background(), func(p *capture.Packet) error {
		w.got = append(w.got, p.DestinationPort)
		return nil
	}))
	w.want(1, 2, 3)
	if f.Position().Offset == 0 {
		t.Error("no position after the run")
	}
}

func TestEmitErrorEndsRun(t *testing.T) {
	w := newWorld(t)
	w.append("pflog", w.file(1))
	f, err := New(Options{Path: w.opts.Path})
	w.Must(err)
	full := errors.New("full")
	if err := f.Run(context.Background(), func(*capture.Packet) error { return full }); !errors.Is(err, full) {
		t.Errorf("Run: %v", err)
	}
	if p := f.Position(); p.Offset > pflog.FileHeaderLen {
		t.Errorf("position %+v: the packet was not dealt with", p)
	}
}

func TestNoAllocationPerPacket(t *testing.T) {
	w := newWorld(t)
	for range 10 {
		w.append("pflog", bytes.Repeat(w.record(100, 1), 2000))
	}
	data, err := os.ReadFile(w.Path("pflog"))
	w.Must(err)
	w.Must(os.WriteFile(w.Path("pflog"), append(w.format.Header(), data...), 0o600))
	n := 0
	per := testing.AllocsPerRun(5, func() {
		f, err := New(Options{Path: w.opts.Path, Once: true, Watcher: files.NoWatcher()})
		w.Must(err)
		w.Must(f.Run(context.Background(), func(*capture.Packet) error { n++; return nil }))
	})
	if n != 6*20000 {
		t.Fatalf("%d packets, want %d", n, 6*20000)
	}
	if per > 2000 { // per run of 20,000 packets: setting up, and each chunk
		t.Errorf("%.0f allocations for 20,000 packets", per)
	}
}

func FuzzFollow(f *testing.F) {
	w := &world{World: &followtest.World{T: &testing.T{}}}
	f.Add(w.file(1, 2), uint16(24))
	f.Add(append(w.file(1), 0xff, 0xff), uint16(100))
	f.Add([]byte{0xd4, 0xc3, 0xb2, 0xa1}, uint16(2))
	f.Fuzz(func(t *testing.T, data []byte, cut uint16) {
		name := filepath.Join(t.TempDir(), "pflog")
		read := func(at capture.Position) (n int, end capture.Position) {
			x, err := New(Options{Path: name, Position: at, Once: true, Watcher: files.NoWatcher()})
			if err != nil {
				t.Fatal(err)
			}
			if err := x.Run(context.Background(), func(p *capture.Packet) error { n++; return nil }); err != nil {
				t.Fatal(err)
			}
			return n, x.Position()
		}
		// In two parts, with a restart between them, as in one.
		if err := os.WriteFile(name, data[:min(int(cut), len(data))], 0o600); err != nil {
			t.Fatal(err)
		}
		first, at := read(capture.Position{})
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		second, _ := read(at)
		if whole, _ := read(capture.Position{}); first+second != whole {
			t.Errorf("%d and %d packets in two parts, %d in one", first, second, whole)
		}
	})
}
