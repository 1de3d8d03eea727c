package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const replaceEnv = "PFWARDEN_LEDGER_REPLACE_TEST"

// replaceUntilKilled opens a ledger, which replaces it if it is damaged.
func replaceUntilKilled(path string) {
	db, err := Open(path, Options{})
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// TestKilledReplacingAtRandom kills the process that replaces a damaged ledger, with SIGKILL, again and again at random moments: whatever it has come
// to, at the end nothing is missing, and the damaged one is kept.
func TestKilledReplacingAtRandom(t *testing.T) {
	t.Parallel()
	template := damaged(t)
	replace := func(ctx context.Context, path string) error {
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), replaceEnv+"="+path)
		out, err := cmd.Output()
		if err != nil && ctx.Err() == nil {
			t.Errorf("%v: %s", err, out)
		}
		return err
	}
	copied := func() (path string) {
		path = filepath.Join(t.TempDir(), "l.db")
		text, err := os.ReadFile(template)
		if err == nil {
			err = os.WriteFile(path, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	began := time.Now()
	if err := replace(t.Context(), copied()); err != nil {
		t.Fatal(err)
	}
	whole := time.Since(began) // of a run that nobody disturbs
	runs := 12
	if testing.Short() {
		runs = 4
	}
	kills := 0
	for range runs {
		path := copied()
		for range 1 + rand.N(4) {
			ctx, cancel := context.WithTimeout(t.Context(), rand.N(whole))
			if replace(ctx, path) != nil {
				kills++
			}
			cancel()
		}
		db := reopen(t, path)
		if _, told := db.Quarantined(); !told {
			t.Error("nobody is told that it was replaced")
		}
		same(t, db, 300)
		if list, _ := filepath.Glob(path + ".corrupt-*"); len(list) == 0 {
			t.Error("the damaged one is gone")
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d kills within %v of %d replacements", kills, whole, runs)
	if kills == 0 {
		t.Error("it was never killed")
	}
}
