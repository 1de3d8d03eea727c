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

// TestNoSpaceToReplace: on a disk that is really full a damaged ledger is not replaced, says so, and stays as it is; at whatever point of the replacement
// the room runs out, nothing is missing when there is some.
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
			if !errors.Is(err, ErrFull) && !errors.Is(err, unix.ENOSPC) {
				t.Errorf("with %d KiB: %v", room, err)
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
