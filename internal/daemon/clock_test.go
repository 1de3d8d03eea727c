package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pfwarden/internal/config"
	"pfwarden/internal/control"
	"pfwarden/internal/daemon"
	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/gateway"
	"pfwarden/pfctl"
)

// TestClockSteps sets the clock forward and back under a running daemon. No ban is lost and new ones are made at once; what a step
// costs is that bans end by the new clock, so earlier or later by the step. The clock of this test has no monotonic part, which is
// worse than any machine's.
func TestClockSteps(t *testing.T) {
	for _, c := range []struct {
		name string
		step time.Duration
		gone bool // the ban of ten minutes from before the step
	}{
		{"an hour back", -time.Hour, false},
		{"five minutes back", -5 * time.Minute, false},
		{"five minutes forward", 5 * time.Minute, false},
		{"an hour forward", time.Hour, true},
		{"from 1970, as without a battery", 56 * 365 * 24 * time.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "authlog")
			pf := gateway.PF(t, "pfwarden")
			log, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			var offset atomic.Int64
			if c.step > 24*time.Hour {
				offset.Store(-int64(c.step))
			}
			now := func() time.Time { return time.Now().Add(time.Duration(offset.Load())).Round(0) }
			conf := config.Default("openbsd")
			conf.NeverDefaults = false
			conf.Store.File, conf.Control.Socket, conf.Control.Group, conf.Metrics.Listen = filepath.Join(dir, "db"), filepath.Join(dir, "s"), "", ""
			conf.Pflog.Interface, conf.Pflog.File = "", filepath.Join(dir, "pflog")
			for i := range conf.Jails {
				conf.Jails[i].Enabled = conf.Jails[i].Name == "sshd"
				conf.Jails[i].Logs = []string{path}
			}
			stop := gateway.Start(t, daemon.Options{Config: conf, Runner: pf, Now: now})
			table := func() string {
				res, err := pf.Run(t.Context(), pfctl.Command{Args: []string{"-a", "pfwarden", "-t", "banned", "-T", "show"}})
				if err != nil {
					return err.Error()
				}
				return " " + strings.Join(strings.Fields(string(res.Stdout)), " ") + " "
			}
			fail := func(address string) {
				for i := range 5 {
					fmt.Fprintf(log, "%s gw sshd[%d]: Failed password for root from %s port %d ssh2\n", now().Format("Jan _2 15:04:05"), 1000+i, address, 40000+i)
				}
			}
			testkit.Within(t, 10*time.Second, "the daemon answers", func() bool {
				_, err := control.NewClient(conf.Control.Socket).Status(t.Context(), "")
				return err == nil
			})
			fail("198.51.100.7")
			testkit.Within(t, 10*time.Second, "a ban before the step", func() bool { return strings.Contains(table(), " 198.51.100.7 ") })
			offset.Add(int64(c.step))
			fail("198.51.100.8")
			testkit.Within(t, 10*time.Second, "a ban after the step", func() bool {
				in := table()
				return strings.Contains(in, " 198.51.100.8 ") && strings.Contains(in, " 198.51.100.7 ") != c.gone
			})
			offset.Add(-int64(c.step))
			fail("198.51.100.9")
			testkit.Within(t, 10*time.Second, "a ban when the clock is right again", func() bool { return strings.Contains(table(), " 198.51.100.9 ") })
			stop()
		})
	}
}
