package livetest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pfwarden/internal/ledger"
	"pfwarden/internal/testkit"
)

// failures appends n failed log-ins of an address to an auth log, as sshd through syslogd writes them.
func failures(t *testing.T, log *os.File, address string, n int) {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s gw sshd[%d]: Failed password for root from %s port %d ssh2\n", time.Now().Format("Jan _2 15:04:05"), 1000+i, address, 40000+i)
	}
	_, err := log.WriteString(b.String())
	testkit.Must(t, err)
}

// TestCrash kills the daemon in the middle of a thousand bans, several times, while the log goes on growing.
func TestCrash(t *testing.T) {
	t.Parallel()
	g := buildUnlessShort(t).gateway(t, "openbsd", callUs)
	g.pf = "" // looks at PF as seldom as a user's
	log, jail := g.authLog()
	g.run("[defaults]\nladder = [\"1h\"]\n" + jail)
	// The first snapshot, taken within a tick of the start, says where the log was found.
	testkit.Within(t, 5*time.Second, "a first snapshot", func() bool { return strings.Contains(g.scrape(), "pfwarden_last_snapshot_timestamp_seconds 1") })

	const bans, crashes = 1000, 4
	address := func(i int) string { return fmt.Sprintf("198.51.%d.%d", 100+i/250, 1+i%250) }
	straddler := "198.51.200.77"
	failures(t, log, straddler, 3)
	for i := range bans {
		failures(t, log, address(i), 5)
		if i%(bans/crashes) == bans/crashes/2 {
			// Somewhere in what was written last: some of it read, some banned, some of that in PF.
			testkit.Within(t, 10*time.Second, "bans are being made", func() bool { return len(g.table("banned")) > i/2 })
			g.kill()
			failures(t, log, "198.51.200.78", 1) // nobody is watching
			g.again()
		}
	}
	failures(t, log, straddler, 2)
	testkit.Within(t, 30*time.Second, "all are in the table", func() bool { return len(g.table("banned")) == bans+1 })
	in := g.table("banned")
	for i := range bans {
		if !in[address(i)] {
			t.Errorf("%s is not in the table", address(i))
		}
	}
	if !in[straddler] {
		t.Error("three failures before the crashes and two after them are no ban")
	}
	testkit.Must(t, g.daemon.Process.Signal(syscall.SIGTERM))
	_, _ = g.daemon.Process.Wait()
	if got := len(g.table("banned")); got != bans+1 {
		t.Errorf("stopping changed the table: %d addresses, want %d", got, bans+1)
	}
	db, err := ledger.Open(filepath.Join(g.dir, "pfwarden.db"), ledger.Options{})
	testkit.Must(t, err)
	defer db.Close()
	made := make(map[string]int)
	history, err := db.History(context.Background(), ledger.Query{Limit: 10 * bans})
	testkit.Must(t, err)
	for i := range history {
		made[history[i].Prefix.Addr().String()]++
	}
	for a, n := range made {
		if n != 1 {
			t.Errorf("%s was banned %d times, want once", a, n)
		}
	}
	if len(made) != bans+1 {
		t.Errorf("the ledger has bans of %d addresses, want %d", len(made), bans+1)
	}
}
