package ledger

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

const (
	killEnv   = "PFWARDEN_LEDGER_KILL_TEST"
	killBans  = 1000
	killBatch = 10
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv(killEnv); path != "" {
		writeUntilKilled(path)
		return
	}
	if path := os.Getenv(replaceEnv); path != "" {
		replaceUntilKilled(path)
		return
	}
	os.Exit(m.Run())
}

// writeUntilKilled records bans in batches and says on standard output which it was promised to keep.
func writeUntilKilled(path string) {
	db, err := Open(path, Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for id := int64(1); id <= killBans; id += killBatch {
		var batch Batch
		for i := range int64(killBatch) {
			b := full(id + i)
			b.Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, byte((id + i) >> 8), byte(id + i)}), 32)
			batch.Bans = append(batch.Bans, b)
		}
		if id > 1 { // changes of earlier rows too
			batch.Transitions = []Transition{{id - 1, Leaving}}
		}
		if err := db.Record(context.Background(), batch); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println(id + killBatch - 1)
	}
	fmt.Println("done")
	select {} // wait for the kill with the file open
}

// Killed at any moment in the middle of 1,000 bans, the ledger holds every ban it promised, no half batch, and is not corrupt.
func TestKill(t *testing.T) {
	runs := 8
	if testing.Short() {
		runs = 3
	}
	for run := range runs {
		t.Run(strconv.Itoa(run), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "l.db")
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), killEnv+"="+path)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			// The kill comes while the batch after some promise is being written: the process goes on while we read.
			after := rand.N(killBans - 2*killBatch)
			promised := 0
			lines := bufio.NewScanner(out)
			for lines.Scan() {
				n, err := strconv.Atoi(lines.Text())
				if err != nil {
					if lines.Text() != "done" {
						t.Fatalf("the writer says %q", lines.Text())
					}
					break
				}
				if promised = n; n > after {
					break
				}
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			for lines.Scan() { // promises made between our reading and the kill
				if n, err := strconv.Atoi(lines.Text()); err == nil {
					promised = n
				}
			}
			cmd.Wait()

			db := reopen(t, path)
			if q, bad := db.Quarantined(); bad {
				t.Fatalf("corrupt after kill -9: %v", q.Cause)
			}
			start, err := db.Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got := len(start.Unsettled)
			if got < promised || got%killBatch != 0 || got > promised+killBatch {
				t.Errorf("%d bans, promised were %d, in batches of %d", got, promised, killBatch)
			}
			for i, b := range start.Unsettled {
				if b.ID != int64(i+1) {
					t.Fatalf("ban %d is missing or doubled: %d stands there", i+1, b.ID)
				}
				want := Active
				if b.ID%killBatch == 0 && int(b.ID) < got {
					want = Leaving
				}
				if b.State != want {
					t.Errorf("ban %d is %v, want %v: half a batch", b.ID, b.State, want)
				}
			}
			t.Logf("killed after %d of %d", got, killBans)
		})
	}
}
