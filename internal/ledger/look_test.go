package ledger

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// TestLook: a ledger is read whether it was closed in order or not, and neither it nor anything beside it changes.
func TestLook(t *testing.T) {
	for _, crashed := range []bool{false, true} {
		t.Run(map[bool]string{false: "closed in order", true: "after a crash"}[crashed], func(t *testing.T) {
			db, path := openTest(t)
			testkit.Must(t, db.Record(t.Context(), Batch{Bans: []Ban{full(7)}}))
			testkit.Must(t, db.SaveSnapshot(t.Context(), Snapshot{Time: t0, Detector: []byte("suspicion")}))
			if crashed { // what a crash leaves is what lies there while it is open
				dir := t.TempDir()
				for _, end := range []string{"", "-wal"} {
					b, err := os.ReadFile(path + end)
					testkit.Must(t, err)
					testkit.Must(t, os.WriteFile(filepath.Join(dir, "crashed.db"+end), b, 0o600))
				}
				path = filepath.Join(dir, "crashed.db")
			} else {
				testkit.Must(t, db.Close())
			}
			before := contents(t, filepath.Dir(path))
			t.Setenv("TMPDIR", t.TempDir())

			look, err := Look(path)
			if err != nil {
				t.Fatal(err)
			}
			bans, err := look.History(t.Context(), Query{})
			if err != nil || len(bans) != 1 || bans[0].ID != 7 || bans[0].Story.Empty() {
				t.Errorf("history %+v, %v", bans, err)
			}
			if s, ok, err := look.LoadSnapshot(t.Context()); !ok || err != nil || string(s.Detector) != "suspicion" {
				t.Errorf("snapshot %+v, %v, %v", s, ok, err)
			}
			testkit.Must(t, look.Close())
			after := contents(t, filepath.Dir(path))
			if len(after) != len(before) {
				t.Errorf("files were %d, are %d", len(before), len(after))
			}
			for name, b := range before {
				if !bytes.Equal(after[name], b) {
					t.Errorf("%s has changed", name)
				}
			}
			if left := contents(t, os.TempDir()); len(left) != 0 {
				t.Errorf("left behind: %d files", len(left))
			}
		})
	}
}

// TestLookFaults: what is no ledger is left as it is, and said.
func TestLookFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Look(filepath.Join(dir, "none.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	junk := filepath.Join(dir, "junk.db")
	testkit.Must(t, os.WriteFile(junk, bytes.Repeat([]byte("junk"), 100), 0o600))
	if _, err := Look(junk); !errors.Is(err, ErrCorrupt) {
		t.Errorf("junk: %v", err)
	}
	short := filepath.Join(dir, "short.db")
	testkit.Must(t, os.WriteFile(short, []byte("SQLite"), 0o600))
	if _, err := Look(short); !errors.Is(err, ErrCorrupt) {
		t.Errorf("cut off: %v", err)
	}
	link := filepath.Join(dir, "link.db")
	testkit.Must(t, os.Symlink(junk, link))
	if _, err := Look(link); err == nil {
		t.Error("a link was followed")
	}
	if got := len(contents(t, dir)); got != 2 {
		t.Errorf("%d files, expected the two that were there", got)
	}
}

// TestLookOnly: nothing can be written to what is only looked at.
func TestLookOnly(t *testing.T) {
	db, path := openTest(t)
	testkit.Must(t, db.Record(t.Context(), Batch{Bans: []Ban{full(7)}}))
	testkit.Must(t, db.Close())
	look, err := Look(path)
	testkit.Must(t, err)
	defer look.Close()
	if err := look.SaveSnapshot(t.Context(), Snapshot{Time: t0.Add(time.Hour)}); err == nil {
		t.Error("a snapshot was saved")
	}
}

// contents reads all regular files of a folder; of links it has the name.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	testkit.Must(t, err)
	m := map[string][]byte{}
	for _, e := range entries {
		if e.Type().IsRegular() {
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			testkit.Must(t, err)
			m[e.Name()] = b
		}
	}
	return m
}
