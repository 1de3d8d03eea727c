package livetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// TestDamagedLedger destroys the ledger under a daemon that is down: the next start puts it aside and makes bans of what PF's
// tables hold.
func TestDamagedLedger(t *testing.T) {
	t.Parallel()
	g := buildUnlessShort(t).gateway(t, "openbsd", callUs)
	g.pf = "" // looks at PF as seldom as a user's
	log, jail := g.authLog()
	g.run(jail)
	failures(t, log, "198.51.100.9", 5)
	testkit.Within(t, 10*time.Second, "the ban is in the table", func() bool { return g.table("banned")["198.51.100.9"] })
	g.kill()
	for _, end := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(filepath.Join(g.dir, "pfwarden.db"+end))
	}
	testkit.Must(t, os.WriteFile(filepath.Join(g.dir, "pfwarden.db"), []byte(strings.Repeat("no database. ", 300)), 0o600))
	g.again()
	if in := g.table("banned"); !in["198.51.100.9"] {
		t.Errorf("the table holds %v after the ledger was lost", in)
	}
	if out := g.cli("bans", "-o", "json"); !strings.Contains(out, `"198.51.100.9"`) {
		t.Errorf("no ban of what the table holds: %q", out)
	}
}
