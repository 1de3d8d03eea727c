package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pfwarden/detect"
	"pfwarden/detect/filter/builtin"
	"pfwarden/internal/config"
	"pfwarden/internal/control"
	"pfwarden/internal/engine"
	"pfwarden/internal/ledger"
	"pfwarden/internal/testkit"
	"pfwarden/internal/warden"
)

// TestRecall: of a daemon that does not run the ledger tells as the daemon would: suspicion of the last snapshot, bans with their verdicts, the
// never-list; and what led to a ban after the snapshot is suspicion no more.
func TestRecall(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "l.db")
	c, err := config.Parse("t.toml", fmt.Appendf(nil, "never_defaults = false\nnever = [\"198.51.100.200\"]\n[store]\nfile = %q\n", file), config.Options{OS: "openbsd"})
	testkit.Must(t, err)
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

	if _, err := Recall(t.Context(), c, netip.MustParsePrefix("198.51.100.9/32"), at); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("without a ledger: %v", err)
	}

	plan, err := engine.NewPlan(c, engine.PlanOptions{Filters: builtin.Lookup, Never: &warden.NeverList{}})
	testkit.Must(t, err)
	detector, err := detect.New(plan.Detector)
	testkit.Must(t, err)
	knock := func(source string, n int) {
		for i := range n {
			o := detect.Observation{
				Time: at.Add(time.Duration(i) * time.Second), Source: netip.MustParseAddr(source), Jail: "portscan", Kind: detect.Probe,
				Target: detect.Target{Address: netip.MustParseAddr("203.0.113.5"), Port: uint16(1000 + i), Protocol: 6},
			}
			detector.Observe([]detect.Observation{o}, func(detect.Verdict) {})
		}
	}
	knock("198.51.100.9", 5)
	knock("198.51.100.10", 5)
	var snapshot bytes.Buffer
	testkit.Must(t, detector.Snapshot(&snapshot))
	saved := at.Add(time.Minute)
	ban := ledger.Ban{
		ID: 1, Prefix: netip.MustParsePrefix("198.51.100.10/32"), Table: "suspects", Jail: "portscan", State: ledger.Active, Since: saved.Add(time.Minute), Until: saved.Add(11 * time.Minute),
		By: "pfwarden", Reasons: []string{"portscan: 7 new doors"}, Story: ledger.Story{Score: 1, Failures: 7, Evidence: []detect.Evidence{{Time: at, Jail: "portscan", Kind: detect.Probe}}},
	}
	db, err := ledger.Open(file, ledger.Options{})
	testkit.Must(t, err)
	testkit.Must(t, db.SaveSnapshot(t.Context(), ledger.Snapshot{Time: saved, Detector: snapshot.Bytes()}))
	testkit.Must(t, db.Record(t.Context(), ledger.Batch{Bans: []ledger.Ban{ban}}))
	testkit.Must(t, db.Close())

	ask := func(p string, now time.Time) control.Explanation {
		t.Helper()
		e, err := Recall(t.Context(), c, netip.MustParsePrefix(p), now)
		testkit.Must(t, err)
		if e.Saved == nil || !e.Saved.Equal(saved) || !strings.Contains(e.Story[0], "The daemon is not running") {
			t.Errorf("%s: saved %v, told %q", p, e.Saved, e.Story)
		}
		return e
	}
	if e := ask("198.51.100.9/32", saved.Add(2*time.Minute)); e.Score < 0.7 || e.Score > 0.72 || len(e.Evidence) != 5 || len(e.Bans) != 0 {
		t.Errorf("under suspicion: %+v", e)
	}
	if e := ask("198.51.100.10/32", saved.Add(2*time.Minute)); e.Score != 0 || len(e.Bans) != 1 || e.Bans[0].Verdict == nil || e.Bans[0].Ended != nil || !e.Spent {
		t.Errorf("banned after the snapshot: %+v", e)
	}
	if e := ask("198.51.100.0/24", saved.Add(time.Hour)); e.Score != 0 || len(e.Gates) != 0 || len(e.Bans) != 1 || !strings.Contains(e.Story[1], "Nothing bans all of 198.51.100.0/24") {
		t.Errorf("a prefix that is no source: %+v", e)
	}
	if e := ask("198.51.100.200/32", saved); len(e.Never) != 1 {
		t.Errorf("on the never-list: %+v", e)
	}
}
