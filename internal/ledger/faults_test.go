package ledger

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCorruptIsPutAside(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(data []byte) []byte
	}{
		{"no database at all", func([]byte) []byte { return bytes.Repeat([]byte("not a database\n"), 100) }},
		{"pages overwritten", func(data []byte) []byte {
			for i := 4096; i < len(data); i++ {
				data[i] = 0xa5
			}
			return data
		}},
		{"schema page overwritten", func(data []byte) []byte { copy(data[100:], bytes.Repeat([]byte{0xff}, 3000)); return data }},
		{"cut in the middle", func(data []byte) []byte { return data[:len(data)/2] }},
	} {
		t.Run(c.name, func(t *testing.T) {
			db, path := openTest(t)
			var batch Batch
			for i := range 200 {
				batch.Bans = append(batch.Bans, full(int64(i+1)))
			}
			if err := db.Record(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			damaged := c.damage(data)
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			db = reopen(t, path)
			q, ok := db.Quarantined()
			if !ok || !errors.Is(q.Cause, ErrCorrupt) || !strings.HasPrefix(q.Path, path+".corrupt-20261122T120000") {
				t.Fatalf("quarantine %+v, %v", q, ok)
			}
			if kept, err := os.ReadFile(q.Path); err != nil || !bytes.Equal(kept, damaged) {
				t.Errorf("the corrupt file must be kept as it was: %v", err)
			}
			if err := db.Record(t.Context(), Batch{Bans: []Ban{full(1)}}); err != nil {
				t.Errorf("the new ledger: %v", err)
			}
		})
	}
}

func TestSoundIsNotPutAside(t *testing.T) {
	db, path := openTest(t)
	if err := db.Record(t.Context(), Batch{Bans: []Ban{full(1)}}); err != nil {
		t.Fatal(err)
	}
	db.Close()
	db = reopen(t, path)
	if q, ok := db.Quarantined(); ok {
		t.Errorf("quarantined: %+v", q)
	}
	if s, _ := db.Start(t.Context()); len(s.Unsettled) != 1 {
		t.Error("the ban is gone")
	}
	if list, _ := filepath.Glob(path + ".corrupt*"); len(list) != 0 {
		t.Error(list)
	}
}

func TestLocked(t *testing.T) {
	db, path := openTest(t)
	other := reopen(t, path)
	tx, err := other.write.Begin() // immediate: takes the lock
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Record(t.Context(), Batch{Bans: []Ban{full(1)}}); !errors.Is(err, ErrLocked) {
		t.Errorf("%v, want ErrLocked", err)
	}
	tx.Rollback()
	if err := db.Record(t.Context(), Batch{Bans: []Ban{full(1)}}); err != nil {
		t.Errorf("after the lock is gone: %v", err)
	}
}

func TestFull(t *testing.T) {
	db, _ := openTest(t)
	if _, err := db.write.Exec("PRAGMA max_page_count = 40"); err != nil {
		t.Fatal(err)
	}
	var batch Batch
	for i := range 1000 {
		batch.Bans = append(batch.Bans, full(int64(i+1)))
	}
	if err := db.Record(t.Context(), batch); !errors.Is(err, ErrFull) {
		t.Fatalf("%v, want ErrFull", err)
	}
	if s, err := db.Start(t.Context()); err != nil || len(s.Unsettled) != 0 {
		t.Errorf("%d bans of a batch that failed, %v: want none", len(s.Unsettled), err)
	}
	if _, err := db.write.Exec("PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	if err := db.Record(t.Context(), batch); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestNewer(t *testing.T) {
	db, path := openTest(t)
	if _, err := db.write.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if _, err := Open(path, Options{}); !errors.Is(err, ErrNewer) {
		t.Errorf("%v, want ErrNewer", err)
	}
	if list, _ := filepath.Glob(path + ".corrupt*"); len(list) != 0 {
		t.Error("a newer ledger is not corrupt")
	}
}

func TestClosed(t *testing.T) {
	db, _ := openTest(t)
	db.Close()
	if err := db.Record(t.Context(), Batch{Bans: []Ban{full(1)}}); err == nil {
		t.Error("recorded into a closed ledger")
	}
	if _, err := db.History(t.Context(), Query{}); err == nil {
		t.Error("read from a closed ledger")
	}
	if _, _, err := db.LoadSnapshot(t.Context()); err == nil {
		t.Error("read a snapshot from a closed ledger")
	}
}

// Questions that are asked often must not read the whole table.
func TestPlans(t *testing.T) {
	db, _ := openTest(t)
	byPrefix := Query{Prefix: netip.MustParsePrefix("2001:db8::/32")}
	where, args := byPrefix.where()
	for _, c := range []struct {
		query string
		args  []any
	}{
		{"SELECT id FROM bans WHERE " + where, args},
		{"SELECT jail FROM bans INDEXED BY bans_unsettled WHERE state < 3 AND id BETWEEN ? AND ? ORDER BY id", []any{1, 9}},
		{walkEnded, []any{1}},
		{walkChanged[0], []any{1}},
		{walkChanged[1], []any{1}},
		{walkChanged[2], []any{1}},
	} {
		rows, err := db.read.Query("EXPLAIN QUERY PLAN "+c.query, c.args...)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var a, b, n int
			var step string
			if err := rows.Scan(&a, &b, &n, &step); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(step, "SCAN bans") && !strings.Contains(step, "bans_leaving") {
				t.Errorf("%.80s…: %s", c.query, step)
			}
		}
		rows.Close()
	}
}

func BenchmarkRecord1000(b *testing.B) {
	db, err := Open(filepath.Join(b.TempDir(), "l.db"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	id := int64(0)
	for b.Loop() {
		var batch Batch
		for range 1000 {
			id++
			batch.Bans = append(batch.Bans, full(id))
		}
		if err := db.Record(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStart150000(b *testing.B) {
	db, err := Open(filepath.Join(b.TempDir(), "l.db"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	var batch Batch
	for i := range 150_000 {
		batch.Bans = append(batch.Bans, full(int64(i+1)))
	}
	if err := db.Record(b.Context(), batch); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if s, err := db.Start(b.Context()); err != nil || len(s.Unsettled) != 150_000 {
			b.Fatal(err)
		}
		if err := db.WalkEnded(b.Context(), time.Time{}, func(Past) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
