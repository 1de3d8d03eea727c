package livetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// TestObserve lets the daemon only observe, over an anchor that an earlier life has filled: bans are told as what would be, and of
// pfctl only commands that read are run.
func TestObserve(t *testing.T) {
	t.Parallel()
	programs := buildUnlessShort(t)
	inBothShapes(t, func(t *testing.T, shape string) {
		g := programs.gateway(t, "openbsd", callUs)
		g.more = []string{shape}
		log, jail := g.authLog()
		const before, guesser, byHand = "198.51.100.7", "198.51.100.8", "198.51.100.9"
		g.run(jail)
		g.cli("ban", before)
		testkit.Within(t, 5*time.Second, "the real ban is in the table", func() bool { return g.table("banned")[before] })
		g.stop()

		runs := filepath.Join(g.dir, "runs")
		g.env = append(g.env, "PFTEST_LOG="+runs)
		g.head = "observe = true\n"
		g.run(jail)
		failures(t, log, guesser, 5)
		testkit.Within(t, 5*time.Second, "the guesser would be banned", func() bool { return g.bans()[guesser].Observed })
		if out := g.cli("ban", "--for", "1h", byHand); !strings.HasPrefix(out, "would ban "+byHand+" in table banned for 1h,") {
			t.Errorf("ban says %q", out)
		}
		if out := g.cli("bans"); !strings.Contains(out, "would: banned") {
			t.Errorf("bans does not mark what is only observed:\n%s", out)
		}
		if out := g.cli("bans", "-o", "json", byHand); !strings.Contains(out, `"observed":true`) {
			t.Errorf("bans -o json: %s", out)
		}
		if b := g.bans()[before]; b.Observed {
			t.Errorf("the real ban of an earlier life is taken for observed: %+v", b)
		}
		if out := g.cli("explain", guesser); !strings.Contains(out, "would have been put into <banned>") {
			t.Errorf("explain:\n%s", out)
		}
		if out := g.cli("pf"); !strings.HasPrefix(out, "No: pfwarden only observes") {
			t.Errorf("pf:\n%s", out)
		}
		g.cli("unban", before)
		g.cli("pause", "--flush")
		g.cli("resume")
		g.load("pass all\n") // without us in pf.conf nothing is wrong: there is nothing of ours to be called
		g.well()
		g.stop()

		if in := g.table("banned"); !in[before] || in[guesser] || in[byHand] {
			t.Errorf("the table was touched: %v", in)
		}
		text, err := os.ReadFile(runs)
		testkit.Must(t, err)
		for line := range strings.Lines(string(text)) {
			command := strings.Split(line, "\t")[1]
			if strings.HasPrefix(command, "-f ") { // our own load above
				continue
			}
			if !strings.Contains(command, "-s ") && !strings.HasSuffix(command, "-T show") {
				t.Errorf("while only observing it ran pfctl %s", command)
			}
		}

		g.head = ""
		g.load(callUs)
		g.run(jail)
		testkit.Within(t, 5*time.Second, "the table is as the real bans want it", func() bool {
			in := g.table("banned")
			return !in[before] && !in[guesser] && !in[byHand]
		})
		if b := g.bans(); len(b) != 0 {
			t.Errorf("bans: %v", b)
		}
	})
}
