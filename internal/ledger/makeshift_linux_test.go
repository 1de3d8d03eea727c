package ledger

import (
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ofVersion makes a ledger of an earlier version with 40 bans in force and 10 that have ended.
func ofVersion(t *testing.T, path string, version int) {
	t.Helper()
	d, err := sql.Open(driver, "file:"+path+"?_journal_mode="+journalMode)
	if err != nil {
		t.Fatal(err)
	}
	d.SetMaxOpenConns(1)
	statements := append([]string{}, migrations[:version]...)
	statements = append(statements, fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d", version, application))
	for i := 1; i <= 50; i++ {
		state := Active
		if i > 40 {
			state = Ended
		}
		statements = append(statements, fmt.Sprintf(`INSERT INTO bans (id, prefix, first, ident, scope, tablename, jail, proven, observed, state, since, until, step, count, longer, by, reasons, story, ended, end_why, end_by, packets, bytes, last_hit)
			VALUES (%d, '198.51.100.%d/32', x'00000000000000000000ffffc63364%02x', x'', '', 'banned', 'sshd', 1, 0, %d, %d, %d, 1, 1, 0, 'pfwarden', '["why"]', '{"failures":5}', %d, '', '', 1, 2, 0)`,
			i, i, i, state, t0.UnixMicro(), t0.UnixMicro()+1e9, t0.UnixMicro()*int64(state/Ended)))
	}
	statements = append(statements, "INSERT INTO never VALUES ('203.0.113.0/24', 1, 'root', '')", "INSERT INTO snapshot (id, time, detector) VALUES (1, 5, x'7374617465')", `INSERT INTO state VALUES ('pause', '{"Paused":true}')`)
	for _, s := range statements {
		if _, err := d.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestStandsInOnFullDisk: where a ledger would have to be begun, migrated or replaced on a disk that is full, all that can be read of it is read, writing is
// refused with ErrFull, the file stays as it is, and when there is room everything is there and is written.
func TestStandsInOnFullDisk(t *testing.T) {
	for _, c := range []struct {
		name    string
		make    func(t *testing.T, path string)
		live    int
		all     int
		noNames bool
		corrupt bool
	}{
		{"to be begun", func(*testing.T, string) {}, 0, 0, false, false},
		{"to be begun, no names left", func(*testing.T, string) {}, 0, 0, true, false},
		{"to be begun in a folder that is not there", func(t *testing.T, path string) { must(t, os.Remove(filepath.Dir(path))) }, 0, 0, false, false},
		{"of the first version", func(t *testing.T, path string) { ofVersion(t, path, 1) }, 40, 50, false, false},
		{"of the third version, no names left", func(t *testing.T, path string) { ofVersion(t, path, 3) }, 40, 50, true, false},
		{"damaged", func(t *testing.T, path string) { must(t, copyFile(damaged(t), path)) }, 200, 300, false, true},
		{"damaged, no names left", func(t *testing.T, path string) { must(t, copyFile(damaged(t), path)) }, 200, 300, true, true},
		{"nothing but a begin", func(t *testing.T, path string) { must(t, os.WriteFile(path, []byte("SQLite"), 0o600)) }, 0, 0, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk, _ := smallDisk(t, 4000)
			dir := filepath.Join(disk, "ledger")
			must(t, os.Mkdir(dir, 0o750))
			path := filepath.Join(dir, "l.db")
			c.make(t, path)
			before, _ := os.ReadFile(path)
			var free func()
			if c.noNames {
				free = noNames(t, disk)
			} else {
				free = fill(t, disk)
			}
			db, err := Open(path, Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := db.Cramped(); !errors.Is(err, ErrFull) {
				t.Errorf("cramped: %v", err)
			}
			if _, told := db.Quarantined(); told != c.corrupt {
				t.Errorf("told that it is corrupt: %v", told)
			}
			holds := func(live, all int) {
				t.Helper()
				s, err := db.Start(t.Context())
				if err != nil || len(s.Unsettled) != live {
					t.Errorf("%d bans in force, %v; want %d", len(s.Unsettled), err, live)
				}
				if h, err := db.History(t.Context(), Query{}); err != nil || len(h) != all {
					t.Errorf("history: %d bans, %v; want %d", len(h), err, all)
				}
				if c.live == 0 {
					return
				}
				if len(s.Never) != 1 || !s.Pause.Paused {
					t.Errorf("never-list %v, pause %v", s.Never, s.Pause)
				}
				if _, ok, err := db.LoadSnapshot(t.Context()); !ok || err != nil {
					t.Errorf("snapshot: %v, %v", ok, err)
				}
			}
			holds(c.live, c.all)
			start, err := db.Start(t.Context())
			must(t, err)
			if c.corrupt != (start.LastID >= unknownIDs) {
				t.Errorf("the next ban would be %d", start.LastID+1)
			}
			fresh := full(start.LastID + 1)
			for range 20 {
				if err := db.Widen(t.Context()); !errors.Is(err, ErrFull) && !errors.Is(err, unix.ENOSPC) {
					t.Errorf("widening: %v, want ErrFull", err)
				}
				if err := db.Record(t.Context(), Batch{Bans: []Ban{fresh}}); !errors.Is(err, ErrFull) {
					t.Errorf("writing: %v, want ErrFull", err)
				}
				if err := db.SaveSnapshot(t.Context(), Snapshot{Time: t0}); !errors.Is(err, ErrFull) {
					t.Errorf("saving: %v, want ErrFull", err)
				}
			}
			holds(c.live, c.all)
			if now, _ := os.ReadFile(path); string(now) != string(before) {
				t.Error("the file was changed")
			}
			free()
			for i := 0; db.Cramped() != nil; i++ {
				if err := db.Widen(t.Context()); err != nil && i > mostSkipped {
					t.Fatal(err)
				}
			}
			if q, told := db.Quarantined(); told != c.corrupt || told && !strings.HasPrefix(q.Path, path+".corrupt-") {
				t.Errorf("quarantine %v, %+v", told, q)
			}
			holds(c.live, c.all)
			must(t, db.Record(t.Context(), Batch{Bans: []Ban{fresh}}))
			holds(c.live+1, c.all+1)
			must(t, db.Close())
			db = reopen(t, path)
			if err := db.Cramped(); err != nil {
				t.Error(err)
			}
			holds(c.live+1, c.all+1)
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
