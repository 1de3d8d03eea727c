package livetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pfwarden/internal/ledger"
	"pfwarden/internal/testkit"
)

// TestKilledAtRandom kills the worker or the privileged process with signal 9, stops one for a moment, or asks for a reload, again and again at
// moments of no choice, while bans are made without pause. Nothing is lost: every ban is in PF's table and, once, in the ledger.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	needsRoot(t, "two processes")
	const times = 15
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	g := buildUnlessShort(t).gateway(t, "openbsd", callUs)
	log, jail := g.authLog()
	g.store = filepath.Join(g.dir, "db", "pfwarden.db")
	g.run("[defaults]\nladder = [\"1h\"]\n" + jail)
	testkit.Within(t, 10*time.Second, "a first snapshot", func() bool { return strings.Contains(g.scrape(), "pfwarden_last_snapshot_timestamp_seconds 1") })
	want := make(map[string]bool)
	for range times {
		some := 1 + random.IntN(20)
		for range some {
			a := fmt.Sprintf("198.51.%d.%d", 100+len(want)/250, 1+len(want)%250)
			want[a] = true
			failures(t, log, a, 5)
		}
		if random.IntN(2) == 0 { // while some are made
			most := random.IntN(some)
			testkit.Within(t, 90*time.Second, "bans are made", func() bool { return len(g.table("banned")) > len(want)-some+most-1 })
		}
		list := g.processes()
		pid := list[random.IntN(len(list))]
		switch random.IntN(4) {
		case 0:
			g.kill()
			g.again()
		case 1:
			if g.daemon.Process.Signal(syscall.SIGHUP) != nil {
				t.Fatal("the privileged process is gone")
			}
		case 2:
			_ = syscall.Kill(pid, syscall.SIGSTOP)
			failures(t, log, "198.51.200.1", 1)
			_ = syscall.Kill(pid, syscall.SIGCONT)
		default:
			if len(list) > 1 { // the worker, or for a moment what reads the configuration, or pfctl(8)
				_ = syscall.Kill(list[1+random.IntN(len(list)-1)], syscall.SIGKILL)
			}
		}
	}
	delete(want, "198.51.200.1")
	testkit.Within(t, 120*time.Second, "all bans are in the table", func() bool {
		in := g.table("banned")
		for a := range want {
			if !in[a] {
				return false
			}
		}
		return true
	})
	for a := range g.table("banned") {
		if !want[a] && a != "198.51.200.1" {
			t.Errorf("%s is in the table, and nobody asked for it", a)
		}
	}
	testkit.Must(t, g.daemon.Process.Signal(syscall.SIGTERM))
	_, _ = g.daemon.Process.Wait()
	db, err := ledger.Open(g.store, ledger.Options{})
	testkit.Must(t, err)
	defer db.Close()
	history, err := db.History(context.Background(), ledger.Query{Limit: 10 * len(want)})
	testkit.Must(t, err)
	made := make(map[string]int)
	for i := range history {
		made[history[i].Prefix.Addr().String()]++
	}
	for a := range want {
		if made[a] != 1 {
			t.Errorf("%s is %d times in the ledger, want once", a, made[a])
		}
	}
}
