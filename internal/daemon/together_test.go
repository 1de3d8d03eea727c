package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pfwarden/internal/config"
	"pfwarden/internal/control"
	"pfwarden/internal/daemon"
	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/gateway"
)

// TestSetTogether has clients of fail2ban set options at the same time: each makes the daemon take its configuration over anew, one after
// the other, and each line is read once after that.
func TestSetTogether(t *testing.T) {
	dir := t.TempDir()
	testkit.WriteFiles(t, dir, 0o644, map[string]string{
		"filter.d/web.conf": "[Definition]\nfailregex = [[]<TIME>[]] [[]client <HOST>[]] not found\n",
		"jail.conf":         "[DEFAULT]\nmaxretry = 1000\nfindtime = 600\nbantime = 600\n[web]\nenabled = true\nfilter = web\nlogpath = DIR/error_log\n",
		"error_log":         "",
	})
	pf := gateway.PF(t, "pfwarden")
	c := gateway.Fail2ban(dir, filepath.Join(dir, "s"))
	gateway.Start(t, daemon.Options{Config: c, Load: func() (*config.Config, error) { again := *c; return &again, nil }, Runner: pf})
	client := control.NewClient(c.Control.Socket)
	say := func(argv ...string) string {
		r, err := client.Fail2ban(t.Context(), argv)
		return fmt.Sprint(string(r.Value), r.Error, err)
	}
	testkit.Within(t, 10*time.Second, "the daemon answers", func() bool { return strings.Contains(say("status"), "web") })
	var clients sync.WaitGroup
	for n := range 4 {
		clients.Go(func() {
			for i := range 10 {
				length := fmt.Sprint(600 + 10*n + i)
				if r, err := client.Fail2ban(t.Context(), []string{"set", "web", "bantime", length}); err != nil || r.Error != nil {
					t.Errorf("client %d: %v, %v", n, r.Error, err)
				}
			}
		})
	}
	clients.Wait()
	f, err := os.OpenFile(filepath.Join(dir, "error_log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	now := time.Now().Format("Mon Jan 02 15:04:05 2006")
	lines := func(address string) {
		for range 3 {
			fmt.Fprintf(f, "[%s] [client %s] not found\n", now, address)
		}
	}
	lines("198.51.100.7")
	total := func() uint64 {
		s, err := client.Status(t.Context(), "web")
		if err != nil || len(s.Jails) != 1 {
			t.Fatal(s.Jails, err)
		}
		return s.Jails[0].Observations
	}
	testkit.Within(t, 10*time.Second, "the lines", func() bool { return total() >= 3 })
	lines("198.51.100.8") // whoever reads a second time has read the first ones by the time these are counted
	testkit.Within(t, 10*time.Second, "more lines", func() bool { return total() >= 6 })
	if n := total(); n != 6 {
		t.Errorf("%d observations of 6 lines", n)
	}
}
