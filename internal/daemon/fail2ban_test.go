package daemon_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/daemon"
	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/gateway"
	"pfwarden/pfctl"
)

// articleFiles are a set-up as an OpenBSD web server has it: three jails that share one action, which fills a table of an anchor.
var articleFiles = map[string]string{
	"pf-anchor.conf": "table <fail2ban> counters\nblock drop log quick from <fail2ban> to any\n",
	"action.d/pf-drop-all.conf": `[Definition]
actionstart = /sbin/pfctl -a fail2ban -t fail2ban -Ts || /sbin/pfctl -a fail2ban -f DIR/pf-anchor.conf
actionstop = /sbin/pfctl -a fail2ban -F rules
actioncheck = /sbin/pfctl -s info | grep Enabled
actionban = /sbin/pfctl -a fail2ban -t fail2ban -T add <ip> && /sbin/pfctl -k <ip>
actionunban = /sbin/pfctl -a fail2ban -t fail2ban -T delete <ip>
`,
	"filter.d/web-script.conf": `[Definition]
failregex = [[]<TIME>[]] [[]error[]] [[]client <HOST>[]] script '\S+' not found
`,
	"filter.d/broken.conf": "[Definition]\nfailregex = no id in here\n",
	"jail.conf": `[DEFAULT]
maxretry = 5
findtime = 600
bantime = 600
ignoreself = false
[broken]
enabled = true
filter = broken
action = pf-drop-all
logpath = DIR/error_log
[web-script]
enabled = true
filter = web-script
action = pf-drop-all
logpath = DIR/error_log
[web-again]
enabled = true
filter = web-script
maxretry = 2
action = pf-drop-all
logpath = DIR/error_log
[off]
filter = nothing
`,
}

// TestFail2banArticle runs that set-up: the address gets into the table of its anchor, by its rules, its states are killed, and a
// broken jail stops nobody.
func TestFail2banArticle(t *testing.T) {
	dir := t.TempDir()
	testkit.WriteFiles(t, dir, 0o644, articleFiles)
	logFile := filepath.Join(dir, "error_log")
	testkit.WriteFiles(t, dir, 0o644, map[string]string{"error_log": ""})
	pf := gateway.PF(t, "fail2ban")
	stop := gateway.Start(t, daemon.Options{Config: gateway.Fail2ban(dir, ""), Runner: pf})
	show := func(args ...string) string {
		res, err := pf.Run(t.Context(), pfctl.Command{Args: args})
		if err != nil {
			t.Fatal(err)
		}
		return string(res.Stdout)
	}
	testkit.Within(t, 10*time.Second, "the anchor's rules", func() bool { return strings.Contains(show("-a", "fail2ban", "-s", "rules"), "<fail2ban>") })
	f, err := os.OpenFile(logFile, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	now := time.Now().Format("Mon Jan 02 15:04:05 2006")
	for i := range 6 {
		fmt.Fprintf(f, "[%s] [error] [client 192.0.2.7] script '/var/www/foo%d.php' not found or unable to stat\n", now, i+1)
	}
	testkit.Within(t, 10*time.Second, "the address in the table", func() bool {
		return strings.TrimSpace(show("-a", "fail2ban", "-t", "fail2ban", "-T", "show")) == "192.0.2.7"
	})
	stop()
}
