package ledger

import (
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzFile damages a real ledger of three bans, bytes overwritten at one place and the file cut off at another, and its journal likewise, and
// opens it as a daemon does: it is read, or put aside unchanged and a new one begun, and whichever it is holds what is written into it from then
// on.
func FuzzFile(f *testing.F) {
	made, err := Open(filepath.Join(f.TempDir(), "sound.db"), Options{Now: func() time.Time { return t0 }})
	if err != nil {
		f.Fatal(err)
	}
	bans := []Ban{full(1), full(2), full(3)}
	for i := range bans {
		bans[i].State, bans[i].Prefix = Active, netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 32)
	}
	if err := errors.Join(made.Record(f.Context(), Batch{Bans: bans}), made.SaveSnapshot(f.Context(), Snapshot{Time: t0, Detector: []byte("state")}), made.Close()); err != nil {
		f.Fatal(err)
	}
	sound, err := os.ReadFile(made.path)
	if err != nil {
		f.Fatal(err)
	}
	size := uint32(len(sound)) //nolint:gosec // small
	for _, c := range []struct {
		at, cut uint32
		put     string
		wal     string
	}{
		{0, size, "", ""}, {0, 0, "", ""}, {0, 99, "", ""}, {0, size, "SQLite format 4", ""}, {16, size, "\x00\x00", ""}, {18, size, "\x03\x03", ""}, {18, size, "0", ""}, {20, size, "\xff", ""}, {24, size, "\xff\xff\xff\xff", ""}, {28, size, "\x7f\xff\xff\xff", ""},
		{32, size, "\x00\x00\x00\x01\x00\x00\x00\x01", ""}, {44, size, "\x00\x00\x00\x09", ""}, {52, size, "\x00\x00\x00\x07", ""}, {56, size, "\x00\x00\x00\x03", ""}, {60, size, "\x7f\xff\xff\xff", ""}, {68, size, "\x00\x00\x00\x07", ""},
		{100, size, "\x05", ""}, {103, size, "\xff\xff", ""}, {4096, size, "\x00", ""}, {4099, size, "\xff\xff\xff\xff", ""}, {8192, size, "\x0d\x00\x00\x7f\xff", ""}, {size / 2, size, "\xa5\xa5\xa5\xa5\xa5\xa5\xa5\xa5\xa5\xa5\xa5\xa5", ""},
		{size - 40, size, "\xff\x00\xff\x00", ""}, {0, size / 2, "", ""}, {0, size - 4096, "", ""}, {0, size, "", "\x37\x7f\x06\x82\x00\x2d\xe2\x18\x00\x00\x10\x00"}, {0, size, "", "garbage"}, {0, 10, "", "\x37\x7f\x06\x82\x00\x2d\xe2\x18"},
	} {
		f.Add(c.at, c.cut, []byte(c.put), []byte(c.wal))
	}
	f.Fuzz(func(t *testing.T, at, cut uint32, put, wal []byte) {
		path := filepath.Join(t.TempDir(), "pfwarden.db")
		data := append([]byte(nil), sound...)
		if int(at) < len(data) {
			copy(data[at:], put)
		}
		data = data[:min(int(cut), len(data))]
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if len(wal) > 0 {
			if err := os.WriteFile(path+"-wal", wal, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		o := Options{Now: func() time.Time { return t0 }, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), salvage: time.Second}
		db, err := Open(path, o)
		if err != nil {
			if !errors.Is(err, ErrForeign) && !errors.Is(err, ErrNewer) {
				t.Fatalf("neither read nor replaced: %v", err)
			}
			if left, err := os.ReadFile(path); err != nil || string(left) != string(data) {
				t.Fatalf("the file of another was changed: %v", err)
			}
			return
		}
		defer db.Close()
		start, err := db.Start(t.Context())
		if errors.Is(err, ErrCorrupt) { // it shows only now
			if err := db.Replace(err); err != nil {
				t.Fatalf("not replaced: %v", err)
			}
			start, err = db.Start(t.Context())
		}
		if err != nil {
			t.Fatalf("not read: %v", err)
		}
		if len(start.Unsettled) > len(bans) {
			t.Errorf("%d bans out of %d", len(start.Unsettled), len(bans))
		}
		next := full(start.LastID + 1)
		next.State, next.Prefix = Active, netip.MustParsePrefix("198.51.100.9/32")
		if err := db.Record(t.Context(), Batch{Bans: []Ban{next}}); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("not written to: %v", err)
		} else if err != nil {
			if err := errors.Join(db.Replace(err), db.Record(t.Context(), Batch{Bans: []Ban{next}})); err != nil {
				t.Fatalf("not written to when replaced: %v", err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := Open(path, o)
		if err != nil {
			t.Fatalf("not opened again: %v", err)
		}
		defer again.Close()
		list, err := again.History(t.Context(), Query{Prefix: next.Prefix, WithoutStory: true})
		if err != nil || len(list) != 1 {
			t.Errorf("what was written is not there: %d, %v", len(list), err)
		}
	})
}
