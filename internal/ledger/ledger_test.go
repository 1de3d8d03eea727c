package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/capture"
	"pfwarden/detect"
)

var t0 = time.Date(2026, 11, 22, 12, 0, 0, 123456000, time.UTC)

var equal = cmp.Options{
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
}

func openTest(t *testing.T) (*DB, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db", "pfwarden.db")
	return reopen(t, path), path
}

func reopen(t *testing.T, path string) *DB {
	t.Helper()
	db, err := Open(path, Options{Now: func() time.Time { return t0 }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// stores runs a test on every Store.
func stores(t *testing.T, f func(t *testing.T, s Store)) {
	t.Run("memory", func(t *testing.T) { f(t, &Memory{}) })
	t.Run("sqlite", func(t *testing.T) { db, _ := openTest(t); f(t, db) })
}

// full is a ban with every field set, and hostile text where text comes from outside.
func full(id int64) Ban {
	return Ban{
		ID: id, Prefix: netip.MustParsePrefix("192.0.2.7/32"), Ident: "a'b\x00\"; DROP TABLE bans; --\xff", Scope: "jail/x", Table: "banned",
		Jail: "sshd", Proven: true, State: Active, Since: t0, Until: t0.Add(time.Hour), Step: 2, Count: 3, Longer: 1, By: "pfwarden",
		Reasons: []string{"5 failures', 'x", "ü\u2028<script>"}, Packets: math.MaxUint64, Bytes: 1 << 63, LastHit: t0.Add(time.Minute),
		Story: Story{
			Score: 1.25, Failures: 5, Shares: []detect.Share{{Jail: "sshd", Fraction: 1.25, Proven: true}},
			Gates: []detect.GateAnswer{{Gate: "never", Text: "not on the list"}},
			Evidence: []detect.Evidence{{
				Time: t0, Jail: "sshd", Kind: detect.Failure, Proven: true, Text: "Failed password", User: "root", Fields: detect.Fields{"user": "root"},
				Target: detect.Target{Address: netip.MustParseAddr("2001:db8::1"), Port: 22, Protocol: 6},
			}},
		},
	}
}

func TestRoundTrip(t *testing.T) {
	stores(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		want := full(7)
		if err := s.Record(ctx, Batch{Bans: []Ban{want}}); err != nil {
			t.Fatal(err)
		}
		got, err := s.History(ctx, Query{})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]Ban{want}, got, equal); d != "" {
			t.Errorf("history (-want +got):\n%s", d)
		}
		start, err := s.Start(ctx)
		if err != nil || start.LastID != 7 {
			t.Fatalf("start %+v, %v", start, err)
		}
		bare := want
		bare.Story = Story{}
		if d := cmp.Diff([]Ban{bare}, start.Unsettled, equal); d != "" {
			t.Errorf("start (-want +got):\n%s", d)
		}
		// Recording the bare ban again, ended, keeps the story.
		bare.State, bare.Ended, bare.EndWhy, bare.EndedBy, bare.Packets = Ended, t0.Add(time.Hour), "expired", "pfwarden", 5
		if err := s.Record(ctx, Batch{Bans: []Ban{bare}}); err != nil {
			t.Fatal(err)
		}
		want, bare.Story = bare, want.Story
		got, err = s.History(ctx, Query{ID: 7})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]Ban{bare}, got, equal); d != "" {
			t.Errorf("after its end (-want +got):\n%s", d)
		}
		if start, _ := s.Start(ctx); len(start.Unsettled) != 0 || start.LastID != 7 {
			t.Errorf("an ended ban is still unsettled: %+v", start)
		}
	})
}

func TestTransitionsCountersNeverPause(t *testing.T) {
	stores(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		b := full(1)
		b.State = Intended
		p, q := netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8::/32")
		for _, batch := range []Batch{
			{Bans: []Ban{b}, NeverAdd: []Never{{p, t0, "root", "office"}, {q, t0, "root", ""}}, Pause: &Pause{Paused: true, Since: t0, By: "root"}},
			{Transitions: []Transition{{1, Active}, {99, Active}}, Counters: []Counters{{1, 5, 300, t0, 3, 180}, {99, 1, 1, t0, 0, 0}}, NeverRemove: []netip.Prefix{q}},
		} {
			if err := s.Record(ctx, batch); err != nil {
				t.Fatal(err)
			}
		}
		b.State, b.Packets, b.Bytes, b.LastHit, b.BasePackets, b.BaseBytes, b.Story = Active, 5, 300, t0, 3, 180, Story{}
		got, err := s.Start(ctx)
		if err != nil {
			t.Fatal(err)
		}
		want := Start{Unsettled: []Ban{b}, Never: []Never{{p, t0, "root", "office"}}, Pause: Pause{Paused: true, Since: t0, By: "root"}, LastID: 1}
		if d := cmp.Diff(want, got, equal); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
}

func TestHistorySelects(t *testing.T) {
	prefixes := []string{"192.0.2.7/32", "192.0.2.0/24", "192.0.2.8/32", "2001:db8:1:2::/64", "2001:db8::/32", ""}
	stores(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		var batch Batch
		for i, p := range prefixes {
			b := Ban{ID: int64(i + 1), Table: "banned", Jail: "sshd", Since: t0.Add(time.Duration(i) * time.Minute), State: Active, By: "pfwarden"}
			if p == "" {
				b.Ident, b.Table, b.State, b.By = "eve", "", Ended, "root"
			} else {
				b.Prefix = netip.MustParsePrefix(p)
			}
			batch.Bans = append(batch.Bans, b)
		}
		if err := s.Record(ctx, batch); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name string
			q    Query
			want string
		}{
			{"all, newest first", Query{}, "6 5 4 3 2 1"},
			{"oldest first, two", Query{OldestFirst: true, Limit: 2}, "1 2"},
			{"an address and what holds it", Query{Prefix: netip.MustParsePrefix("192.0.2.7/32")}, "2 1"},
			{"a prefix and what lies inside", Query{Prefix: netip.MustParsePrefix("192.0.0.0/16")}, "3 2 1"},
			{"host bits set", Query{Prefix: netip.MustParsePrefix("192.0.2.99/25")}, "3 2 1"},
			{"a v6 address", Query{Prefix: netip.MustParsePrefix("2001:db8:1:2::5/128")}, "5 4"},
			{"everything v6", Query{Prefix: netip.MustParsePrefix("::/0")}, "5 4"},
			{"everything v4", Query{Prefix: netip.MustParsePrefix("0.0.0.0/0")}, "3 2 1"},
			{"identifier", Query{Ident: "eve"}, "6"},
			{"identifier that is SQL", Query{Ident: "' OR 1 --"}, ""},
			{"live", Query{LiveOnly: true, OldestFirst: true}, "1 2 3 4 5"},
			{"time", Query{From: t0.Add(time.Minute), To: t0.Add(3 * time.Minute)}, "3 2"},
			{"table", Query{Table: "suspects"}, ""},
			{"jail", Query{Jail: "sshd", Limit: 1}, "6"},
			{"whose", Query{By: "root"}, "6"},
		} {
			got, err := s.History(ctx, c.q)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			var ids []string
			for _, b := range got {
				ids = append(ids, fmt.Sprint(b.ID))
			}
			if strings.Join(ids, " ") != c.want {
				t.Errorf("%s: %v, want %s", c.name, ids, c.want)
			}
		}
	})
}

func TestWalkAndPurge(t *testing.T) {
	stores(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		var batch Batch
		for i := range 10 {
			at := t0.Add(time.Duration(i) * time.Hour)
			b := Ban{ID: int64(i + 1), Prefix: netip.MustParsePrefix("192.0.2.7/32"), Since: at, Until: at.Add(time.Hour), State: Ended, Ended: at.Add(time.Hour), EndWhy: "expired", Step: i}
			if i == 0 {
				b.State, b.Ended, b.EndWhy = Active, time.Time{}, ""
			}
			batch.Bans = append(batch.Bans, b)
		}
		batch.Forgiven = []Forgiven{{netip.MustParsePrefix("192.0.2.0/24"), t0.Add(4 * time.Hour)}, {netip.MustParsePrefix("198.51.100.0/24"), t0.Add(100 * time.Hour)}}
		if err := s.Record(ctx, batch); err != nil {
			t.Fatal(err)
		}
		forgiven := 0
		if err := s.Walk(ctx, time.Time{}, func(p Past) error {
			if p.Forgiven {
				forgiven++
			}
			return nil
		}); err != nil || forgiven != 4 {
			t.Errorf("%d forgiven, %v, want 4: begun at 1 to 4 h (the live one is not)", forgiven, err)
		}
		var steps []int
		err := s.Walk(ctx, t0.Add(7*time.Hour), func(p Past) error { steps = append(steps, p.Step); return nil })
		if d := cmp.Diff([]int{7, 8, 9}, steps); d != "" || err != nil {
			t.Errorf("walk: %v %s", err, d)
		}
		ids := func(walk func(func(Past) error) error) (ids []int64) {
			if err := walk(func(p Past) error { ids = append(ids, p.ID); return nil }); err != nil {
				t.Error(err)
			}
			return ids
		}
		if d := cmp.Diff([]int64{2, 3, 4, 5, 6, 7, 8, 9, 10}, ids(func(f func(Past) error) error { return s.WalkEnded(ctx, time.Time{}, f) })); d != "" {
			t.Errorf("walk of the ended: %s", d)
		}
		if d := cmp.Diff([]int64{10}, ids(func(f func(Past) error) error { return s.WalkEnded(ctx, t0.Add(9*time.Hour), f) })); d != "" {
			t.Errorf("walk of the recent that ended: %s", d)
		}
		// One begun before and ended after, one leaving so, those begun after; none that did both before.
		leaving := Ban{ID: 11, Prefix: netip.MustParsePrefix("192.0.2.8/32"), Since: t0, Until: t0.Add(time.Hour), State: Leaving, Ended: t0.Add(8 * time.Hour), EndWhy: "manual"}
		if err := s.Record(ctx, Batch{Bans: []Ban{leaving}}); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]int64{11, 8, 9, 10}, ids(func(f func(Past) error) error { return s.WalkChanged(ctx, t0.Add(7*time.Hour+time.Minute), f) })); d != "" {
			t.Errorf("walk of the changed: %s", d)
		}
		if err := s.Record(ctx, Batch{Transitions: []Transition{{11, Ended}}}); err != nil {
			t.Fatal(err)
		}
		enough := errors.New("enough")
		if err := s.Walk(ctx, time.Time{}, func(Past) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("walk stopped by %v", err)
		}
		n, err := s.Purge(ctx, t0.Add(5*time.Hour))
		if err != nil || n != 3 {
			t.Errorf("purged %d, %v, want 3 (ended at 2, 3, 4 h; the live one stays)", n, err)
		}
		if left, _ := s.History(ctx, Query{}); len(left) != 8 {
			t.Errorf("%d left, want 8", len(left))
		}
	})
}

func TestSnapshot(t *testing.T) {
	stores(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		if _, ok, err := s.LoadSnapshot(ctx); ok || err != nil {
			t.Errorf("empty ledger: %v, %v", ok, err)
		}
		for i := range 2 {
			want := Snapshot{Time: t0, Detector: []byte{0, 1, byte(i)}, Waiting: []byte{2, byte(i)}, Positions: []capture.Position{{Path: "/var/log/a\xff", Identity: "1:2", Offset: 1 << 40}}}
			if i == 0 {
				want.Positions = append(want.Positions, capture.Position{Path: "/gone", Identity: "x", Offset: 1})
				want.Positions[0], want.Positions[1] = want.Positions[1], want.Positions[0]
			}
			if err := s.SaveSnapshot(ctx, want); err != nil {
				t.Fatal(err)
			}
			got, ok, err := s.LoadSnapshot(ctx)
			if d := cmp.Diff(want, got); d != "" || !ok || err != nil {
				t.Errorf("%v %v %s", ok, err, d)
			}
		}
	})
}

func TestStoryThatJSONCannotHold(t *testing.T) {
	db, _ := openTest(t)
	b := full(1)
	b.Story.Score, b.Story.Shares[0].Fraction = math.NaN(), math.Inf(1)
	c := full(2)
	c.Story.Evidence[0].Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	c.Story.Evidence[0].Text = "\xff\x00"
	if err := db.Record(t.Context(), Batch{Bans: []Ban{b, c}}); err != nil {
		t.Fatal(err)
	}
	got, err := db.History(t.Context(), Query{OldestFirst: true})
	if err != nil || len(got) != 2 || got[0].Story.Failures != 5 || len(got[0].Story.Evidence) != 1 || got[1].Story.Lost == "" || got[1].Story.Failures != 5 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestModes(t *testing.T) {
	db, path := openTest(t)
	if err := db.Record(t.Context(), Batch{Bans: []Ban{full(1)}}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, filepath.Dir(path): 0o750} {
		info, err := os.Stat(name)
		if errors.Is(err, os.ErrNotExist) && name != path {
			continue
		}
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode().Perm(), err, want)
		}
	}
	db.Close()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	reopen(t, path)
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("a readable ledger must be closed again: %v", info.Mode())
	}
	link := filepath.Join(filepath.Dir(path), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(link, Options{}); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("opened through a link: %v", err)
	}
}

func TestDurability(t *testing.T) {
	db, _ := openTest(t)
	for pragma, want := range map[string]string{"journal_mode": strings.ToLower(journalMode), "synchronous": "2"} {
		var got string
		if err := db.write.QueryRowContext(context.Background(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %s, %v, want %s", pragma, got, err, want)
		}
	}
}

// TestNeverOnly: of the never-list there is what it says and what is added beside it; an entry that is there stays as it is.
func TestNeverOnly(t *testing.T) {
	stores(t, func(t *testing.T, s Store) {
		entry := func(p, comment string) Never {
			return Never{Prefix: netip.MustParsePrefix(p), Since: t0, By: "root", Comment: comment}
		}
		for _, b := range []Batch{
			{NeverAdd: []Never{entry("203.0.113.0/25", "stays"), entry("203.0.113.128/25", "goes")}},
			{NeverOnly: []Never{entry("203.0.113.0/25", "kept"), entry("2001:db8::/32", "kept")}, NeverAdd: []Never{entry("198.51.100.0/24", "added")}},
		} {
			if err := s.Record(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		got := map[string]string{}
		start, err := s.Start(t.Context())
		for _, n := range start.Never {
			got[n.Prefix.String()] = n.Comment
		}
		if want := map[string]string{"203.0.113.0/25": "stays", "2001:db8::/32": "kept", "198.51.100.0/24": "added"}; err != nil || !maps.Equal(got, want) {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
		if err := s.Record(t.Context(), Batch{NeverOnly: []Never{}}); err != nil {
			t.Fatal(err)
		}
		if start, err := s.Start(t.Context()); err != nil || len(start.Never) != 0 {
			t.Errorf("%v, %v; want none", start.Never, err)
		}
	})
}
