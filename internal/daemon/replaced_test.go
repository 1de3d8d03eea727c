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

// TestReplacedWhileRunning: that the ledger was damaged and replaced while it was used is seen on the health page as it is behind a start, and only
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
