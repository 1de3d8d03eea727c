package ledger

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pfwarden/capture"
)

// filled makes a ledger with bans 1 to 300, of which every third has ended, an entry of the never-list, a pause and a snapshot.
func filled(t *testing.T) (path string) {
	t.Helper()
	db, path := openTest(t)
	var b Batch
	for i := range int64(300) {
		ban := full(i + 1)
		ban.Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100 + byte(i/250), byte(i % 250)}), 32)
		if ban.State = Active; i%3 == 0 {
			ban.State, ban.Ended, ban.EndWhy = Ended, ban.Since.Add(time.Hour), "expired"
		}
		b.Bans = append(b.Bans, ban)
	}
	b.NeverAdd = []Never{{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Since: b.Bans[0].Since, By: "root", Comment: "friends"}}
	b.Pause = &Pause{Paused: true, By: "root"}
	if err := errors.Join(db.Record(t.Context(), b), db.SaveSnapshot(t.Context(), Snapshot{
		Time: b.Bans[0].Since, Detector: bytes.Repeat([]byte("state "), 5000), Positions: []capture.Position{{Path: "/var/log/authlog", Identity: "i", Offset: 9}},
	}), db.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSalvage damages ledgers: each is put aside, unchanged, and the new one has all that can still be read.
func TestSalvage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		damage    string // SQL
		bytes     func(data []byte) []byte
		late      bool // it shows only when the warden reads
		bans      [2]int
		never     bool
		snapshot  bool
		unchanged bool // not put aside
	}{
		{name: "sound", bans: [2]int{300, 300}, never: true, snapshot: true, unchanged: true},
		{name: "an address makes no sense", damage: "UPDATE bans SET prefix = '198.51.100.' WHERE id = 5", late: true, bans: [2]int{299, 299}, never: true, snapshot: true},
		{name: "reasons make no sense", damage: "UPDATE bans SET reasons = '[' WHERE id = 5", late: true, bans: [2]int{299, 299}, never: true, snapshot: true},
		{name: "a state makes no sense", damage: "UPDATE bans SET state = -1 WHERE id = 5", late: true, bans: [2]int{299, 299}, never: true, snapshot: true},
		{name: "an entry of the never-list makes no sense", damage: "INSERT INTO never VALUES ('nonsense', 0, '', '')", late: true, bans: [2]int{300, 300}, never: true, snapshot: true},
		{name: "the pause makes no sense", damage: "UPDATE state SET value = '{'", late: true, bans: [2]int{300, 300}, never: true, snapshot: true},
		{name: "no table of bans", damage: "DROP TABLE bans", never: true, snapshot: true},
		{name: "no table of snapshots", damage: "DROP TABLE snapshot", bans: [2]int{300, 300}, never: true},
		{name: "no index", damage: "DROP INDEX bans_unsettled", bans: [2]int{300, 300}, never: true, snapshot: true},
		{name: "no version", damage: "PRAGMA user_version = 0", bans: [2]int{300, 300}, never: true, snapshot: true},
		{name: "a negative version", damage: "PRAGMA user_version = -1", bans: [2]int{300, 300}, never: true, snapshot: true},
		{name: "another application", damage: "PRAGMA application_id = 7", bans: [2]int{300, 300}, never: true, snapshot: true},
		{name: "an older version without its tables", damage: "DROP TABLE snapshot; PRAGMA user_version = 3", bans: [2]int{300, 300}, never: true},
		{name: "the last page is cut off", bytes: func(data []byte) []byte { return data[:len(data)-4096] }, bans: [2]int{150, 300}, never: true},
		{name: "half is cut off", bytes: func(data []byte) []byte { return data[:len(data)/2] }, bans: [2]int{50, 300}, never: true},
		{name: "a page in the middle is overwritten", bytes: func(data []byte) []byte {
			copy(data[len(data)/2/4096*4096:], bytes.Repeat([]byte{0xa5}, 4096))
			return data
		}, bans: [2]int{100, 300}, never: true},
		{name: "nothing is left", bytes: func([]byte) []byte { return nil }},
		{name: "one byte is left", bytes: func(data []byte) []byte { return data[:1] }},
		{name: "all zeros", bytes: func(data []byte) []byte { clear(data); return data }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filled(t)
			if c.damage != "" {
				d, err := sql.Open(driver, "file:"+path)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := d.Exec(c.damage); err != nil {
					t.Fatal(err)
				}
				if _, err := d.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
					t.Fatal(err)
				}
				d.Close()
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if c.bytes != nil {
				data = c.bytes(data)
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			db := reopen(t, path)
			if c.late {
				_, err := db.Start(t.Context())
				if !errors.Is(err, ErrCorrupt) {
					t.Fatalf("the damage does not show: %v", err)
				}
				if err := db.Replace(err); err != nil {
					t.Fatal(err)
				}
			}
			q, ok := db.Quarantined()
			if ok == c.unchanged {
				t.Fatalf("put aside: %v, %+v", ok, q)
			}
			if kept, err := os.ReadFile(q.Path); ok && (err != nil || !bytes.Equal(kept, data)) {
				t.Errorf("what is put aside was changed: %v", err)
			}
			history, err := db.History(t.Context(), Query{Limit: 1000})
			if err != nil || len(history) < c.bans[0] || len(history) > c.bans[1] {
				t.Errorf("%d bans are left, want %v: %v", len(history), c.bans, err)
			}
			if ok && q.Kept.Bans != len(history) {
				t.Errorf("%d bans are left, and %d said to be", len(history), q.Kept.Bans)
			}
			for i := range history {
				if history[i].Story.Empty() || history[i].Prefix.Bits() != 32 || (history[i].State == Ended) != (history[i].ID%3 == 1) {
					t.Errorf("ban %+v", history[i])
				}
			}
			s, err := db.Start(t.Context())
			if err != nil || (len(s.Never) == 1) != c.never || c.never && s.Never[0].Comment != "friends" {
				t.Errorf("never-list %+v, %v", s.Never, err)
			}
			if c.never && c.name != "the pause makes no sense" && !s.Pause.Paused {
				t.Error("the pause is lost")
			}
			if snap, ok, err := db.LoadSnapshot(t.Context()); err != nil || c.snapshot && (!ok || len(snap.Detector) != 30000 || len(snap.Positions) != 1) {
				t.Errorf("snapshot %v, %d bytes, %v, %v", ok, len(snap.Detector), snap.Positions, err)
			}
			if list, _ := filepath.Glob(path + "*.read-*"); len(list) > 0 {
				t.Errorf("left behind: %q", list)
			}
			if err := db.Record(t.Context(), Batch{Bans: []Ban{full(1000)}}); err != nil {
				t.Errorf("the new ledger cannot be written: %v", err)
			}
		})
	}
}

// TestForeign: a database of another program is refused, and not a byte of it is changed.
func TestForeign(t *testing.T) {
	t.Parallel()
	for name, statements := range map[string]string{
		"fail2ban's":           "CREATE TABLE bans (jail TEXT, ip TEXT); CREATE TABLE jails (name TEXT)",
		"of a known version":   "CREATE TABLE moz_places (a); PRAGMA user_version = 3",
		"of an application":    "CREATE TABLE t (a); PRAGMA application_id = 9; PRAGMA user_version = 99",
		"without tables of it": "PRAGMA application_id = 9",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "other.db")
			d, err := sql.Open(driver, "file:"+path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Exec(statements); err != nil {
				t.Fatal(err)
			}
			d.Close()
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			db, err := Open(path, Options{})
			if !errors.Is(err, ErrForeign) {
				t.Errorf("opened: %v", err)
			}
			if db != nil {
				db.Close()
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
				t.Errorf("it was changed: %v", err)
			}
			if list, _ := filepath.Glob(path + "*"); len(list) != 1 {
				t.Errorf("beside it: %q", list)
			}
		})
	}
}

// TestFlippedBytes changes bytes anywhere: whatever comes of it, there is a ledger afterwards that can be read and written, and what is put
// aside is the file as it was found.
func TestFlippedBytes(t *testing.T) {
	t.Parallel()
	path := filled(t)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(6, 6)) //nolint:gosec // to be the same again
	dir, aside, times := t.TempDir(), 0, 150
	if testing.Short() {
		times = 30
	}
	for i := range times {
		data := bytes.Clone(sound)
		for range 1 + i%8 {
			data[random.IntN(len(data))] ^= byte(1 + random.IntN(255))
		}
		if i%3 == 0 { // the headers of file and schema are the most delicate
			data[random.IntN(4096)] ^= 0xff
		}
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := Open(path, Options{})
		if errors.Is(err, ErrNewer) || errors.Is(err, ErrForeign) {
			continue // it says so in so many words
		}
		if err != nil {
			t.Errorf("%d: %v", i, err)
			continue
		}
		if _, err := db.Start(t.Context()); errors.Is(err, ErrCorrupt) {
			err = db.Replace(err)
			if err != nil {
				t.Errorf("%d: %v", i, err)
			}
		} else if err != nil {
			t.Errorf("%d: an error that nobody acts on: %v", i, err)
		}
		if _, err := db.Start(t.Context()); err != nil {
			t.Errorf("%d: the new one: %v", i, err)
		}
		if q, ok := db.Quarantined(); ok {
			aside++
			if q.Kept.Bans == 0 && !q.Kept.Snapshot && q.Kept.Never == 0 {
				t.Logf("%d: nothing could be read: %v", i, q.Cause)
			}
		}
		if err := db.Record(t.Context(), Batch{Bans: []Ban{full(1000)}}); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d: it cannot be written: %v", i, err)
		}
		db.Close()
	}
	t.Logf("%d of %d were put aside", aside, times)
	if aside < times/8 {
		t.Errorf("only %d were found damaged", aside)
	}
}
