package warden

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pfwarden/detect"
	"pfwarden/internal/ledger"
	"pfwarden/pfctl"
)

// faultyStore fails to record on demand.
type faultyStore struct {
	ledger.Store
	fail      error
	tries     int
	recovered int
	during    func() // called while the store is replaced
}

func (s *faultyStore) Record(ctx context.Context, b ledger.Batch) error {
	s.tries++
	if s.fail != nil {
		return fmt.Errorf("test: %w", s.fail)
	}
	return s.Store.Record(ctx, b)
}

func (s *faultyStore) Recover(context.Context) error {
	s.recovered++
	if s.during != nil {
		s.during()
	}
	s.fail, s.Store = nil, &ledger.Memory{}
	return nil
}

// newFaultyHarness gives a harness and its store, which can be made to fail.
func newFaultyHarness(t *testing.T, cfg Config) (*harness, *faultyStore) {
	t.Helper()
	h, store := newHarness(t, cfg), &faultyStore{Store: &ledger.Memory{}}
	h.store = store
	h.restart(t0)
	return h, store
}

// In a flood the ledger gets bans first; their states follow, a bounded number at a time, and a restart in between loses none.
func TestStatesFollowAFlood(t *testing.T) {
	h := newHarness(t, Config{})
	const bans = movedOnce + 2*flood
	judge := func(from, to int) {
		for i := from; i < to; i++ {
			v := proven(t0, "192.0.2.7")
			v.Source = host(i)
			h.Judge(t0, v)
		}
		h.commit()
	}
	in := func(s ledger.State) (n int) {
		list, err := h.store.History(t.Context(), ledger.Query{Limit: 2 * bans})
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range list {
			if b.State == s {
				n++
			}
		}
		return n
	}
	judge(0, bans/2)
	judge(bans/2, bans)
	if n, states := h.Staged(); n != 0 || states != bans || in(ledger.Intended) != bans || len(h.pf.list()) != bans {
		t.Fatalf("%d and %d staged, %d intended, %d in PF: want 0, %d of each", n, states, in(ledger.Intended), len(h.pf.list()), bans)
	}
	h.commit()
	if _, states := h.Staged(); states != 2*flood || in(ledger.Active) != movedOnce {
		t.Errorf("%d states wait, %d are active: want %d, %d", states, in(ledger.Active), 2*flood, movedOnce)
	}
	h.restart(t0)
	if n := len(h.Desired()); n != bans {
		t.Errorf("%d desired after a restart, want %d", n, bans)
	}
	h.commit() // takes note that PF has them all
	h.commit()
	if n := in(ledger.Active); n != bans {
		t.Errorf("%d are active in the end, want %d", n, bans)
	}
}

// A ledger that cannot be written costs no ban: PF has it, and the ledger gets it as soon as it can be written again.
func TestLedgerFails(t *testing.T) {
	for _, cause := range []error{ledger.ErrFull, ledger.ErrLocked} {
		t.Run(cause.Error(), func(t *testing.T) {
			h, store := newFaultyHarness(t, Config{})
			store.fail = cause
			h.Judge(t0, proven(t0, "192.0.2.7"))
			h.AddNever(t0, pfx("198.51.100.1"), "root", "")
			if err := h.Commit(t.Context()); !errors.Is(err, cause) {
				t.Fatalf("%v, want %v", err, cause)
			}
			if got := h.pf.list(); len(got) != 1 {
				t.Errorf("PF: %v, want the ban all the same", got)
			}
			if len(h.events) != 1 {
				t.Errorf("events %v", h.events)
			}
			if health := h.Health(); !errors.Is(health.Ledger, cause) || health.Unwritten != 1 || !health.LedgerSince.Equal(t0) {
				t.Errorf("health %+v", health)
			}
			// The next commits do not wait for the ledger every time.
			for i := range 100 {
				h.Tick(t0.Add(time.Duration(i) * time.Millisecond))
				h.Commit(t.Context())
			}
			if store.tries != 1 {
				t.Errorf("%d tries within 100 ms, want 1", store.tries)
			}
			h.Judge(t0.Add(time.Second), spoofable(t0.Add(time.Second), "192.0.2.8"))
			h.Commit(t.Context())
			if store.tries != 2 {
				t.Errorf("%d tries after a second, want 2", store.tries)
			}
			store.fail = nil
			h.Tick(t0.Add(time.Minute))
			h.commit()
			if health := h.Health(); health.Ledger != nil || health.Unwritten != 0 {
				t.Errorf("health %+v", health)
			}
			h.never = &NeverList{}
			h.restart(t0.Add(time.Minute))
			h.table("banned 192.0.2.7", "suspects 192.0.2.8")
			if !h.never.Contains(netip.MustParseAddr("198.51.100.1")) {
				t.Error("the never-list entry is lost")
			}
		})
	}
}

func TestLedgerCorruptWhileRunning(t *testing.T) {
	h, store := newFaultyHarness(t, Config{})
	h.Judge(t0, proven(t0, "192.0.2.7"))
	h.AddNever(t0, pfx("198.51.100.1"), "root", "")
	h.Pause(t0, false, "root")
	h.Resume(t0, "root")
	h.commit()
	store.fail = ledger.ErrCorrupt
	h.Judge(t0, proven(t0, "192.0.2.8"))
	if err := h.Commit(t.Context()); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("%v, want to be told", err)
	}
	h.Wait()
	h.commit()
	if store.recovered != 1 || h.Health().Recovered != 1 || h.Health().Ledger != nil {
		t.Errorf("recovered %d, health %+v", store.recovered, h.Health())
	}
	h.never = &NeverList{}
	h.restart(t0)
	h.table("banned 192.0.2.7", "banned 192.0.2.8")
	if !h.never.Contains(netip.MustParseAddr("198.51.100.1")) {
		t.Error("the never-list entry is lost")
	}
}

// PF hears of bans while a corrupt ledger is replaced, which may take minutes, and the new ledger has them in the end.
func TestPFDoesNotWaitForRecovery(t *testing.T) {
	release := make(chan struct{})
	h, store := newFaultyHarness(t, Config{})
	store.during = func() { <-release }
	store.fail = ledger.ErrCorrupt
	for _, address := range []string{"192.0.2.7", "192.0.2.8"} {
		h.Judge(t0, proven(t0, address))
		if err := h.Commit(t.Context()); err == nil {
			t.Error("the ledger cannot have been written")
		}
		if list := h.pf.list(); !strings.Contains(strings.Join(list, "\n"), address) {
			t.Errorf("PF holds %q, and waits for the ledger", list)
		}
	}
	if health := h.Health(); !errors.Is(health.Ledger, ledger.ErrCorrupt) || health.Recovered != 0 {
		t.Errorf("health %+v", health)
	}
	close(release)
	h.Wait()
	h.commit()
	if health := h.Health(); health.Ledger != nil || health.Recovered != 1 || store.recovered != 1 {
		t.Errorf("health %+v, recovered %d times", health, store.recovered)
	}
	h.restart(t0)
	h.table("banned 192.0.2.7", "banned 192.0.2.8")
}

// A ledger that is corrupt while it is used is replaced with stories, comments and history; of the never-list only what still holds is in it.
func TestRecoveredIsComplete(t *testing.T) {
	h := newHarness(t, Config{})
	path := filepath.Join(t.TempDir(), "l.db")
	db, err := ledger.Open(path, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	store := &corruptStore{DB: db}
	h.store = store
	h.restart(t0)
	h.Judge(t0, proven(t0, "192.0.2.7"))
	h.AddNever(t0, pfx("198.51.100.1"), "root", "ours")
	h.AddNever(t0, pfx("198.51.100.2"), "root", "no more")
	h.commit()
	store.fail = true
	if err := h.RemoveNever(t0, pfx("198.51.100.2")); err != nil {
		t.Fatal(err)
	}
	if err := h.Commit(t.Context()); !errors.Is(err, ledger.ErrCorrupt) {
		t.Fatalf("%v, want to be told", err)
	}
	h.Wait()
	h.commit()
	s, err := db.Start(t.Context())
	if err != nil || len(s.Never) != 1 || s.Never[0].Prefix != pfx("198.51.100.1") || s.Never[0].Comment != "ours" {
		t.Errorf("never-list %+v, %v", s.Never, err)
	}
	bans, err := db.History(t.Context(), ledger.Query{})
	if err != nil || len(bans) != 1 || bans[0].Story.Failures != 5 || bans[0].State != ledger.Active {
		t.Errorf("bans %+v, %v", bans, err)
	}
}

// corruptStore is a database that is found corrupt, once.
type corruptStore struct {
	*ledger.DB
	fail bool
}

func (s *corruptStore) Record(ctx context.Context, b ledger.Batch) error {
	if s.fail {
		s.fail = false
		return ledger.ErrCorrupt
	}
	return s.DB.Record(ctx, b)
}

// The ledger was lost while we were down: PF's table teaches the bans again.
func TestAdopt(t *testing.T) {
	h := newHarness(t, Config{})
	h.Judge(t0, proven(t0, "192.0.2.7"))
	h.Judge(t0, spoofable(t0, "192.0.2.8"))
	h.commit()
	h.store = &ledger.Memory{}
	h.restart(t0)
	h.SetNever(t0, "config", []netip.Prefix{pfx("192.0.2.9")})
	h.pf.entries[Entry{Table: "banned", Prefix: pfx("192.0.2.9")}] = true
	n := h.Adopt(t0, "banned", []netip.Prefix{pfx("192.0.2.7"), pfx("192.0.2.9")})
	n = append(n, h.Adopt(t0, "suspects", []netip.Prefix{pfx("192.0.2.8")})...)
	if len(n) != 2 {
		t.Errorf("notices %+v", n)
	}
	h.table("banned 192.0.2.7", "suspects 192.0.2.8")
	h.Tick(t0.Add(10 * time.Minute))
	h.table()
}

func TestPFFails(t *testing.T) {
	h := newHarness(t, Config{})
	h.pf.fail = errors.New("pfctl is stuck")
	h.Judge(t0, proven(t0, "192.0.2.7"))
	if err := h.Commit(t.Context()); !errors.Is(err, h.pf.fail) {
		t.Errorf("%v", err)
	}
	if health := h.Health(); health.PF == nil || health.Untold != 1 {
		t.Errorf("health %+v", health)
	}
	h.pf.fail = nil
	h.table("banned 192.0.2.7")
	if h.Health().PF != nil {
		t.Error("health must be well again")
	}
	h.pf.fail = errors.New("pfctl is stuck")
	h.Unban(t0, pfx("192.0.2.7"), "root")
	h.Commit(t.Context())
	h.restart(t0) // killed between the two: the entry is still known to be ours, and goes
	if l := h.Leaving(); len(l) != 1 {
		t.Errorf("leaving %v", l)
	}
	h.pf.fail = nil
	h.table()
}

func TestDriverRefuses(t *testing.T) {
	h := newHarness(t, Config{})
	tables := &fakeTables{refuse: pfx("192.0.2.8")}
	w, err := New(t.Context(), h.cfg, h.store, Driver{Tables: tables, Banned: "banned", Suspects: "suspects"}, h.never, t0)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"192.0.2.7", "192.0.2.8"} {
		w.Judge(t0, proven(t0, a))
	}
	w.Judge(t0, spoofable(t0, "192.0.2.9"))
	if err := w.Commit(t.Context()); err == nil || !strings.Contains(err.Error(), "192.0.2.8 into banned: not that one") {
		t.Errorf("%v", err)
	}
	if err := w.Commit(t.Context()); err != nil {
		t.Errorf("a refused entry must not be tried for ever: %v", err)
	}
	if got := fmt.Sprint(tables.entries); got != "map[{banned 192.0.2.7/32 false}:true {suspects 192.0.2.9/32 false}:true]" {
		t.Error(got)
	}
	if len(w.Live()) != 2 || w.Stats().Unbans["refused"] != 1 {
		t.Errorf("live %v, stats %+v", w.Live(), w.Stats())
	}
}

type fakeTables struct {
	entries map[pfctl.Entry]bool
	refuse  netip.Prefix
}

func (f *fakeTables) Add(entries ...pfctl.Entry) error {
	if f.entries == nil {
		f.entries = make(map[pfctl.Entry]bool)
	}
	var err error
	for _, e := range entries {
		if e.Prefix == f.refuse {
			err = errors.New("not that one")
			continue
		}
		f.entries[e] = true
	}
	return err
}

func (f *fakeTables) Delete(entries ...pfctl.Entry) error {
	for _, e := range entries {
		delete(f.entries, e)
	}
	return nil
}

// The same life over the real store, with restarts.
func TestOverSQLite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l.db")
	open := func() *ledger.DB {
		db, err := ledger.Open(path, ledger.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	h := newHarness(t, Config{})
	db := open()
	h.store = db
	h.restart(t0)
	h.Judge(t0, proven(t0, "192.0.2.7"))
	h.Judge(t0, spoofable(t0, "2001:db8::/64"))
	h.table("banned 192.0.2.7", "suspects 2001:db8::/64")
	db.Close()
	h.store = open()
	h.restart(t0.Add(time.Minute))
	h.table("banned 192.0.2.7", "suspects 2001:db8::/64")
	h.commit() // the states that PF was told of go with the next batch
	bans, err := h.store.History(t.Context(), ledger.Query{Prefix: pfx("192.0.2.7")})
	if err != nil || len(bans) != 1 || len(bans[0].Story.Evidence) != 1 || bans[0].State != ledger.Active {
		t.Errorf("history %+v, %v", bans, err)
	}
	n, err := h.Since(t.Context(), t0.Add(-time.Second))
	if err != nil || len(n) != 2 || !n[0].Until.Equal(t0.Add(10*time.Minute)) {
		t.Errorf("notices since: %+v, %v", n, err)
	}
	h.Tick(t0.Add(time.Hour))
	h.table()
	n, err = h.Since(t.Context(), t0.Add(5*time.Minute))
	if err != nil || len(n) != 2 || n[0].Kind != detect.Unbanned || !n[0].Time.Equal(t0.Add(10*time.Minute)) {
		t.Errorf("ends since: %+v, %v", n, err)
	}
}
