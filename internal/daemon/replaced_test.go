package daemon

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/internal/config"
	"pfwarden/internal/ledger"
	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/home"
	"pfwarden/internal/warden"
)

// damagedStore is a ledger that is found corrupt at its first write.
type damagedStore struct {
	*ledger.DB
	found bool
}

func (s *damagedStore) Record(ctx context.Context, b ledger.Batch) error {
	if !s.found {
		s.found = true
		return ledger.ErrCorrupt
	}
	return s.DB.Record(ctx, b)
}

// unreadable is a ledger whose snapshot is damaged.
type unreadable struct {
	ledger.Store
	rest ledger.Snapshot
	ok   bool
	err  error
}

func (s unreadable) LoadSnapshot(context.Context) (ledger.Snapshot, bool, error) {
	return s.rest, s.ok, s.err
}

// TestBansOutliveTheSnapshot: where the detector's state is lost, it is told all the same of the bans in force, those made before the snapshot too, and
// the logs are read from their positions.
func TestBansOutliveTheSnapshot(t *testing.T) {
	c, err := config.Parse("t.toml", []byte("never_defaults = false\n[pf]\nbackend = \"memory\"\n"+home.Home{Dir: t.TempDir(), Store: ":memory:"}.TOML()), config.Options{})
	testkit.Must(t, err)
	now := time.Now()
	at := []capture.Position{{Path: "/var/log/authlog", Offset: 7}}
	for name, x := range map[string]struct {
		unreadable
		positions int
	}{
		"its time and positions can be read": {unreadable{rest: ledger.Snapshot{Time: now.Add(-time.Minute), Positions: at}, err: ledger.ErrCorrupt}, 1},
		"nothing can be read":                {unreadable{err: ledger.ErrCorrupt}, 0},
		"the detector's state is damaged":    {unreadable{rest: ledger.Snapshot{Time: now.Add(-time.Minute), Detector: []byte("x"), Positions: at}, ok: true}, 1},
		"it has positions only":              {unreadable{rest: ledger.Snapshot{Time: now.Add(-time.Minute), Positions: at}, ok: true}, 1},
		"there is none":                      {unreadable{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := begin(t, Options{Config: c, Now: time.Now})
			for i, made := range []time.Time{now.Add(-time.Hour), now.Add(-time.Second)} { // before the snapshot and after it
				_, _, err := d.bans.Ban(made, netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), 32), 2*time.Hour, "", "root")
				testkit.Must(t, err)
			}
			testkit.Must(t, d.bans.Commit(t.Context()))
			x.unreadable.Store = d.store
			d.store = x.unreadable
			clear(d.positions)
			testkit.Must(t, d.restore(d.work))
			for i := range 2 {
				address := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
				if e := d.detector.Explain(address, time.Now()); !e.Banned {
					t.Errorf("the detector does not know that %v is banned", address)
				}
			}
			if len(d.positions) != x.positions {
				t.Errorf("positions %v, want %d", d.positions, x.positions)
			}
		})
	}
}

// TestReplacedWhileRunning: that the ledger was damaged and replaced while it was used is seen on the health page as it is after a start, and only
// that daemon tells it.
func TestReplacedWhileRunning(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pfwarden.toml")
	text := "never_defaults = false\n[pf]\nbackend = \"memory\"\n" + home.Home{Dir: dir}.TOML() + "[portscan]\nenabled = false\n"
	testkit.Must(t, os.WriteFile(file, []byte(text), 0o600))
	c, err := config.Load(file, config.Options{})
	testkit.Must(t, err)
	d := begin(t, Options{Config: c, Now: time.Now})
	item := func() string {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.faults["ledger_replaced"]
	}
	d.bans, err = warden.New(t.Context(), d.plan.Warden, &damagedStore{DB: d.db}, d.pf, d.never, time.Now())
	testkit.Must(t, err)
	if d.tick(d.work); item() != "" {
		t.Fatalf("nothing is damaged yet: %q", item())
	}
	_, err = d.bans.AddNever(time.Now(), netip.MustParsePrefix("203.0.113.0/24"), "root", "")
	testkit.Must(t, err)
	if err := d.bans.Commit(t.Context()); !errors.Is(err, ledger.ErrCorrupt) {
		t.Fatalf("%v, want to be told", err)
	}
	d.bans.Wait()
	testkit.Must(t, d.bans.Commit(t.Context()))
	d.tick(d.work)
	q, _ := d.db.Quarantined()
	if text := item(); !strings.Contains(text, "the ledger was damaged") || q.Path == "" || !strings.Contains(text, q.Path) {
		t.Errorf("the health page says %q of %+v", text, q)
	}
	testkit.Must(t, d.store.Close())
	db, err := ledger.Open(c.Store.File, ledger.Options{})
	testkit.Must(t, err)
	defer db.Close()
	if q, yes := db.Quarantined(); yes {
		t.Errorf("the next start takes bans over, which are all there: %+v", q)
	}
	if s, err := db.Start(t.Context()); err != nil || len(s.Never) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}
