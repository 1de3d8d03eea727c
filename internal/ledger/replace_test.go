package ledger

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// same looks whether a ledger holds what filled has put into it.
func same(t *testing.T, db *DB, bans int) {
	t.Helper()
	history, err := db.History(t.Context(), Query{Limit: 1000})
	if err != nil || len(history) != bans {
		t.Errorf("%d bans, %v; want %d", len(history), err, bans)
	}
	for i := range history {
		if history[i].Story.Empty() {
			t.Errorf("the story of ban %d is lost", history[i].ID)
		}
	}
	s, err := db.Start(t.Context())
	if err != nil || len(s.Unsettled) != 200 || len(s.Never) != 1 || !s.Pause.Paused {
		t.Errorf("%d in force, never-list %v, pause %v, %v", len(s.Unsettled), s.Never, s.Pause, err)
	}
	if snap, ok, err := db.LoadSnapshot(t.Context()); err != nil || !ok || len(snap.Positions) != 1 {
		t.Errorf("snapshot %v, %v, %v", ok, snap.Positions, err)
	}
	for _, rest := range []string{".new*", "*.read-*"} {
		if list, _ := filepath.Glob(db.path + rest); len(list) > 0 {
			t.Errorf("left behind: %q", list)
		}
	}
}

// damaged is filled, with a damage that shows at once, and costs nothing.
func damaged(t *testing.T) (path string) {
	t.Helper()
	path = filled(t)
	db := reopen(t, path)
	if _, err := db.write.Exec("DROP INDEX bans_unsettled"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRecover: a database that turns out corrupt while it is used is replaced by one with all that can be read of it.
func TestRecover(t *testing.T) {
	t.Parallel()
	db := reopen(t, filled(t))
	if err := db.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	q, ok := db.Quarantined()
	if !ok || q.Kept.Bans != 300 {
		t.Errorf("%+v, %v", q, ok)
	}
	if _, err := os.Lstat(q.Path); err != nil {
		t.Errorf("the old file must be kept: %v", err)
	}
	same(t, db, 300)
}

// TestKilledWhileReplaced ends a replacement after each of its steps: the next Open comes to the same as one that was not disturbed, tells of it, and
// goes on telling until somebody has acted on it.
func TestKilledWhileReplaced(t *testing.T) {
	t.Parallel()
	rename := func(t *testing.T, from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	fill := func(t *testing.T, path, aside string, whole bool) {
		t.Helper()
		next := &DB{path: path + newSuffix, options: Options{Wait: time.Second, salvage: time.Minute, Log: reopen(t, filepath.Join(t.TempDir(), "x")).options.Log}}
		if err := next.open(); err != nil {
			t.Fatal(err)
		}
		if whole {
			if err := next.fill(path, &replacement{Path: aside, Cause: ErrCorrupt.Error() + ": test", Kept: Salvaged{Bans: 300}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := next.close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		stop func(t *testing.T, path, aside string)
	}{
		{"before anything", func(*testing.T, string, string) {}},
		{"the new file is empty", func(t *testing.T, path, _ string) {
			if err := os.WriteFile(path+newSuffix, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"the new file is half full, with a journal of another one", func(t *testing.T, path, aside string) {
			fill(t, path, aside, false)
			if err := os.WriteFile(path+newSuffix+"-wal", []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"the new file is complete", func(t *testing.T, path, aside string) { fill(t, path, aside, true) }},
		{"the old file is put aside", func(t *testing.T, path, aside string) {
			fill(t, path, aside, true)
			rename(t, path, aside)
			if err := os.WriteFile(path+"-wal", []byte("of the old one"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"the new file is in its place", func(t *testing.T, path, aside string) {
			fill(t, path, aside, true)
			rename(t, path, aside)
			rename(t, path+newSuffix, path)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := damaged(t)
			old, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c.stop(t, path, path+".corrupt-20261122T120000.000000Z")
			for range 2 {
				db := reopen(t, path)
				q, ok := db.Quarantined()
				if !ok || !errors.Is(q.Cause, ErrCorrupt) || q.Kept.Bans != 300 {
					t.Errorf("%+v, %v", q, ok)
				}
				if kept, err := os.ReadFile(q.Path); err != nil || !bytes.Equal(kept, old) {
					t.Errorf("the corrupt file must be kept: %v", err)
				}
				same(t, db, 300)
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
			db := reopen(t, path)
			if err := db.Settled(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = reopen(t, path)
			if q, ok := db.Quarantined(); ok {
				t.Errorf("told once more: %+v", q)
			}
			same(t, db, 300)
		})
	}
}

// TestReplacingFails: where the new ledger cannot be made, the old one stays, everything says that the database is corrupt, so that Recover is tried
// again, and when it can be made nothing is missing.
func TestReplacingFails(t *testing.T) {
	t.Parallel()
	db := reopen(t, filled(t))
	obstacle := filepath.Join(db.path+newSuffix, "x")
	if err := os.MkdirAll(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := db.Recover(t.Context()); err == nil {
			t.Fatal("it could be replaced")
		}
		if _, err := os.Lstat(db.path); err != nil {
			t.Fatalf("the old one is gone: %v", err)
		}
		if err := db.Record(t.Context(), Batch{Bans: []Ban{full(1000)}}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%v, want ErrCorrupt", err)
		}
		if _, err := db.History(t.Context(), Query{}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%v, want ErrCorrupt", err)
		}
	}
	if err := os.RemoveAll(db.path + newSuffix); err != nil {
		t.Fatal(err)
	}
	if err := db.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if q, ok := db.Quarantined(); !ok || q.Kept.Bans != 300 {
		t.Errorf("%+v, %v", q, ok)
	}
	same(t, db, 300)
	if err := db.Record(t.Context(), Batch{Bans: []Ban{full(1000)}}); err != nil {
		t.Error(err)
	}
}

// TestReopeningFails: the new ledger is in its place and cannot be opened. It is not taken for the corrupt one later.
func TestReopeningFails(t *testing.T) {
	t.Parallel()
	db := reopen(t, filled(t))
	if err := db.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	before, _ := db.Quarantined()
	_ = db.close()
	db.broken = ErrCorrupt // as after a failure to open it
	if err := db.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, _ := db.Quarantined(); after.Path != before.Path {
		t.Errorf("put aside once more, as %s", after.Path)
	}
	if list, _ := filepath.Glob(db.path + ".corrupt-*"); len(list) != 1 {
		t.Errorf("put aside: %q", list)
	}
	same(t, db, 300)
}

// TestSalvageRunsOutOfTime: what is in force comes first, and only old history is left, which is told.
func TestSalvageRunsOutOfTime(t *testing.T) {
	t.Parallel()
	db, err := Open(damaged(t), Options{Now: func() time.Time { return t0 }, salvage: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	same(t, db, 200)
	if q, _ := db.Quarantined(); q.Kept.Bans != 200 || q.Kept.Left != 100 {
		t.Errorf("%+v", q.Kept)
	}
}

// TestSalvageReadsTheJournal: of a file that was cut off, what its journal holds is read, too, and no copy stays behind.
func TestSalvageReadsTheJournal(t *testing.T) {
	t.Parallel()
	live := reopen(t, filled(t))
	var late Batch
	for id := int64(301); id <= 310; id++ {
		late.Bans = append(late.Bans, full(id))
	}
	if err := live.Record(t.Context(), late); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cut.db")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(live.path + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			t.Skip("there is no write-ahead log here")
		}
		if suffix == "" && err == nil {
			data = data[:len(data)-4096]
		}
		if err = errors.Join(err, os.WriteFile(path+suffix, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	d, remove, err := live.inspect(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := d.QueryRow("SELECT count(*) FROM bans NOT INDEXED WHERE id > 300").Scan(&n); err != nil || n != 10 {
		t.Errorf("%d of 10 bans of the journal are read, %v", n, err)
	}
	d.Close()
	remove()
	if list, _ := filepath.Glob(path + "*.read-*"); len(list) > 0 {
		t.Errorf("left behind: %q", list)
	}
}

// TestSweep: copies that a killed process left go, and nothing else does.
func TestSweep(t *testing.T) {
	t.Parallel()
	path := filled(t)
	gone := []string{path + ".read-1", path + ".read-1-wal", path + ".corrupt-20261122T120000.000000Z.read-2"}
	kept := []string{path + ".corrupt-20261122T120000.000000Z", filepath.Join(filepath.Dir(path), "other.db.read-1")}
	for _, name := range append(gone, kept...) {
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reopen(t, path)
	for _, name := range gone {
		if _, err := os.Lstat(name); err == nil {
			t.Errorf("%s is left", name)
		}
	}
	for _, name := range kept {
		if _, err := os.Lstat(name); err != nil {
			t.Error(err)
		}
	}
}

// TestPositionsOutliveTheSnapshot: where the detector's state cannot be read, the positions of the logs are kept.
func TestPositionsOutliveTheSnapshot(t *testing.T) {
	t.Parallel()
	path := filled(t)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damage := 0
	for at := 4096; at < len(data); at += 4096 {
		if bytes.Count(data[at:at+4096], []byte("state ")) > 600 { // a page of the detector's state, which names the next one first
			copy(data[at:], []byte{0x7f, 0xff, 0xff, 0xff})
			damage++
		}
	}
	if err := os.WriteFile(path, data, 0o600); err != nil || damage == 0 {
		t.Fatal(damage, err)
	}
	db := reopen(t, path)
	q, ok := db.Quarantined()
	if !ok || q.Kept.Snapshot || q.Kept.Bans != 300 {
		t.Errorf("%+v, %v", q, ok)
	}
	snap, ok, err := db.LoadSnapshot(t.Context())
	if err != nil || !ok || len(snap.Detector) != 0 || len(snap.Positions) != 1 || snap.Time.IsZero() {
		t.Errorf("%+v, %v, %v", snap, ok, err)
	}
}
