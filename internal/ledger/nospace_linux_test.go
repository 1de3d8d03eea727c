package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of some KiB; resize gives it another size.
func smallDisk(t *testing.T, kib int) (dir string, resize func(kib int)) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk", kib)); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir, func(kib int) {
		t.Helper()
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%dk", kib)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoSpaceToReplace: on a disk that is really full a damaged ledger is not replaced, says so, and stays as it is, while what can be read of
// it is read; at whatever point of the replacement the room runs out, nothing is missing when there is some.
func TestNoSpaceToReplace(t *testing.T) {
	template, err := os.ReadFile(damaged(t))
	if err != nil {
		t.Fatal(err)
	}
	size := len(template)>>10 + 1
	dir, resize := smallDisk(t, size+8)
	path := filepath.Join(dir, "l.db")
	if err := os.WriteFile(path, template, 0o600); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for room := size + 8; ; room += 40 {
		resize(room)
		db, err := Open(path, Options{})
		if err != nil {
			t.Fatalf("with %d KiB: %v", room, err)
		}
		if err := db.Cramped(); err != nil {
			if !errors.Is(err, ErrFull) {
				t.Errorf("with %d KiB: %v", room, err)
			}
			if s, err := db.Start(t.Context()); err != nil || len(s.Unsettled) != 200 {
				t.Errorf("with %d KiB: %d in force, %v", room, len(s.Unsettled), err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
			if _, gone := os.Lstat(path); gone != nil {
				t.Fatalf("the damaged one has left its place: %v", gone)
			}
			if failed++; room > 10*size {
				t.Fatalf("%d KiB are not enough for a ledger of %d: %v", room, size, err)
			}
			continue
		}
		q, told := db.Quarantined()
		if !told {
			t.Error("nobody is told that it was replaced")
		}
		history, err := db.History(t.Context(), Query{Limit: 1000, WithoutStory: true})
		if err != nil {
			t.Error(err)
		}
		s, err := db.Start(t.Context())
		if err != nil || len(s.Unsettled) != 200 || len(s.Never) != 1 || !s.Pause.Paused {
			t.Errorf("%d in force, never-list %v, pause %v, %v", len(s.Unsettled), s.Never, s.Pause, err)
		}
		if len(history) < 300 && q.Kept.String() == (Salvaged{Bans: 300}).String() {
			t.Errorf("%d of 300 bans, and it is said: %s", len(history), q.Kept)
		}
		t.Logf("of a ledger of %d KiB, after %d attempts with less, %d KiB took over %d bans: %s", size, failed, room, len(history), q.Kept)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		break
	}
	if failed == 0 {
		t.Error("there was room from the beginning")
	}
}

// TestNoSpaceToWrite: what was promised before the disk was really full is kept, what could not be written is refused as a whole with ErrFull, and goes
// on being written by the same process when there is room.
func TestNoSpaceToWrite(t *testing.T) {
	dir, resize := smallDisk(t, 400)
	db, err := Open(filepath.Join(dir, "l.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	batch := func(n int) (b Batch) {
		for i := range 20 {
			b.Bans = append(b.Bans, full(int64(20*n+i+1)))
		}
		return b
	}
	promised := 0
	for ; promised < 1000; promised++ {
		if err = db.Record(t.Context(), batch(promised)); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrFull) || promised == 0 {
		t.Fatalf("after %d batches: %v, want ErrFull", promised, err)
	}
	check := func(batches int) {
		t.Helper()
		s, err := db.Start(t.Context())
		if err != nil || len(s.Unsettled) != 20*batches {
			t.Errorf("%d bans, %v; want %d", len(s.Unsettled), err, 20*batches)
		}
	}
	check(promised)
	resize(8000)
	if err := db.Record(t.Context(), batch(promised)); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	check(promised + 1)
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	db = reopen(t, filepath.Join(dir, "l.db"))
	if q, bad := db.Quarantined(); bad {
		t.Errorf("it is corrupt: %v", q.Cause)
	}
	check(promised + 1)
}

// fill takes all room of a file system until free is called.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	return func() {
		t.Helper()
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}
}

// crashed makes a ledger of 40 bans, with 20 more in its journal if it ended by a crash, and without the file that SQLite's connections share, which a
// restart of the machine does not leave in every case.
func crashed(t *testing.T, path string, crash bool) (bans int) {
	t.Helper()
	first := filepath.Join(t.TempDir(), "l.db")
	db, err := Open(first, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if i == 2 && !crash {
			break
		}
		if i == 2 { // what was written so far is moved to the file
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if db, err = Open(first, Options{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Record(t.Context(), twenty(i)); err != nil {
			t.Fatal(err)
		}
		bans += 20
	}
	if err := db.SaveSnapshot(t.Context(), Snapshot{Time: t0, Detector: []byte("state")}); err != nil {
		t.Fatal(err)
	}
	if !crash {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyFile(first, path); err != nil {
		t.Fatal(err)
	}
	if crash {
		if err := copyFile(first+"-wal", path+"-wal"); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return bans
}

func twenty(n int) (b Batch) {
	for i := range 20 {
		b.Bans = append(b.Bans, full(int64(20*n+i+1)))
	}
	return b
}

// TestOpensOnFullDisk: where there is no room for anything beside it, or not even for a name, all of the ledger is read, writing is refused with
// ErrFull, and when there is room everything is written, and others can read the file again.
func TestOpensOnFullDisk(t *testing.T) {
	for _, c := range []struct {
		name           string
		crash, noNames bool
		writes         bool // there is room in the journal that is there
	}{
		{"closed in order", false, false, false},
		{"crashed", true, false, false},
		{"closed in order, no names left", false, true, false},
		{"crashed, no names left", true, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, _ := smallDisk(t, 1200)
			path := filepath.Join(dir, "l.db")
			bans := crashed(t, path, c.crash)
			var free func()
			if c.noNames {
				free = noNames(t, dir)
			} else {
				free = fill(t, dir)
			}
			db, err := Open(path, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Cramped(); !errors.Is(err, ErrFull) {
				t.Errorf("cramped: %v", err)
			}
			holds := func(want int) {
				t.Helper()
				s, err := db.Start(t.Context())
				if err != nil || len(s.Unsettled) != want {
					t.Errorf("%d bans, %v; want %d", len(s.Unsettled), err, want)
				}
				if h, err := db.History(t.Context(), Query{}); err != nil || len(h) != want {
					t.Errorf("history: %d bans, %v; want %d", len(h), err, want)
				}
				if s, ok, err := db.LoadSnapshot(t.Context()); !ok || err != nil || string(s.Detector) != "state" {
					t.Errorf("snapshot %q, %v, %v", s.Detector, ok, err)
				}
			}
			holds(bans)
			for range 2 {
				if err := db.Widen(t.Context()); !errors.Is(err, ErrFull) {
					t.Errorf("widening: %v, want ErrFull", err)
				}
				switch err := db.Record(t.Context(), twenty(3)); {
				case c.writes && err == nil:
					bans = 80
				case c.writes || !errors.Is(err, ErrFull):
					t.Errorf("writing: %v", err)
				}
				holds(bans)
			}
			free()
			if err := db.Widen(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := db.Cramped(); err != nil {
				t.Errorf("there is room: %v", err)
			}
			if err := db.Record(t.Context(), twenty(3)); err != nil {
				t.Fatalf("with room: %v", err)
			}
			if !c.writes {
				bans += 20
			}
			holds(bans)
			other := reopen(t, path) // nobody is locked out
			if s, err := other.Start(t.Context()); err != nil || len(s.Unsettled) != bans {
				t.Errorf("beside it: %d bans, %v", len(s.Unsettled), err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// noNames takes all names that a file system has room for, until free is called.
func noNames(t *testing.T, dir string) (free func()) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "nr_inodes=40"); err != nil {
		t.Skip(err)
	}
	var made []string
	for i := 0; ; i++ {
		name := filepath.Join(dir, fmt.Sprint("n", i))
		err := os.WriteFile(name, nil, 0o600)
		if errors.Is(err, unix.ENOSPC) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, name)
	}
	return func() {
		for _, name := range made {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}
