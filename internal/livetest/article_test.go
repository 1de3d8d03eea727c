package livetest

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// articleAction is the action that "Integrating PF with Fail2ban" makes, with the file that it loads.
const articleAction = `[Definition]
actionstart = /sbin/pfctl -a fail2ban -t fail2ban -Ts || /sbin/pfctl -a fail2ban -f DIR/pf-anchor.conf
actionstop = /sbin/pfctl -a fail2ban -F rules
actioncheck = /sbin/pfctl -s info | grep Enabled
actionban = /sbin/pfctl -a fail2ban -t fail2ban -T add <ip> && /sbin/pfctl -k <ip>
actionunban = /sbin/pfctl -a fail2ban -t fail2ban -T delete <ip>
`

const articleAnchor = `table <fail2ban> counters
block drop log quick from <fail2ban> to any
`

const articleMain = `set skip on lo
set loginterface gem0
anchor fail2ban
pass            # to establish keep-state
block in on ! lo0 proto tcp to port 6000:6010
`

// articleJails are its three jails. More options of all three are laid over them by the caller.
func articleJails(log, more string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[DEFAULT]\n%s\n", more)
	for _, name := range []string{"apache-auth", "apache-noscript", "apache-overflows"} {
		fmt.Fprintf(&b, "[%[1]s]\nenabled = true\nfilter = %[1]s\naction = pf-drop-all\nlogpath = %[2]s\n", name, log)
	}
	return b.String()
}

// TestArticle is that set-up from end to end: a real httpd, a fail2ban folder with the files that the article makes, and PF.
func TestArticle(t *testing.T) {
	t.Parallel()
	testkit.Tool(t, "curl")
	programs := buildUnlessShort(t)
	tests := []struct {
		name, log string
		byFlag    bool
		filters   map[string]string
	}{
		// Its patterns, each with the prefix that it puts before all of them, for what httpd wrote then.
		{"patterns of the article", oldLog, false, map[string]string{
			"filter.d/apache-auth.conf":      "[Definition]\nfailregex = [[]<TIME>[]] [[]error[]] [[]client <HOST>[]] user .* authentication failure\n",
			"filter.d/apache-noscript.conf":  "[Definition]\nfailregex = [[]<TIME>[]] [[]error[]] [[]client <HOST>[]] File does not exist: \\S*\\.php\\b\n",
			"filter.d/apache-overflows.conf": "[Definition]\nfailregex = [[]<TIME>[]] [[]error[]] [[]client <HOST>[]] Invalid (?:URI|method) in request\n",
		}},
		// Debian's own filters, the same prefix in what they all begin with, for what httpd writes now.
		{"filters of Debian's with its prefix", modernLog, true, map[string]string{
			"filter.d/apache-common.local": "[DEFAULT]\napache-prefix-logfile = [[]<TIME>[]]\\s\n",
		}},
		{"filters of Debian's", modernLog, false, map[string]string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t)
			log := apache(t, n, tt.log)
			files := tt.filters
			files["action.d/pf-drop-all.conf"], files["pf-anchor.conf"] = articleAction, articleAnchor
			files["jail.local"] = articleJails(log, "bantime = 600")
			dir := fail2banFolder(t, files)
			g := programs.gateway(t, "openbsd", articleMain)
			article(t, g, n, dir, log, tt.byFlag)
		})
	}
}

// held are the addresses of the article's table.
func (g *gateway) held() map[string]bool {
	g.t.Helper()
	in := make(map[string]bool)
	for _, a := range strings.Fields(g.standIn("-a", "fail2ban", "-t", "fail2ban", "-T", "show")) {
		in[a] = true
	}
	return in
}

// connect makes a state from an address to our web server and tells whether PF let it through.
func (g *gateway) connect(from string) bool {
	g.t.Helper()
	return g.packetsTo(80, from, 1) == "pass=1 drop=0"
}

func article(t *testing.T, g *gateway, n network, dir, log string, byFlag bool) {
	bad, good, guesser, writer, short := attacker(0), attacker(1), attacker(2), attacker(3), attacker(4)
	if !g.connect(bad) || !g.connect(good) {
		t.Fatal("PF stops what nobody has banned")
	}
	g.runFail2ban(dir, byFlag)
	if text := g.standIn("-a", "fail2ban", "-sr"); !strings.Contains(text, "block drop log quick from <fail2ban>") {
		t.Errorf("the anchor's rules are not those of its file:\n%s", text)
	}
	for i := range 6 {
		if got := request(n, bad, fmt.Sprintf("/foo%d.php", i+1), ""); got != 404 {
			t.Fatalf("status %d, want 404", got)
		}
		request(n, good, "/index.html", "")
	}
	took := testkit.Within(t, 3*time.Second, "the prober is in the table of the anchor", func() bool { return g.held()[bad] })
	t.Logf("in the table %v after the last answer", took)
	testkit.Within(t, 2*time.Second, "its states are killed", func() bool { return !strings.Contains(g.standIn("-ss"), bad+":") })
	if !strings.Contains(g.standIn("-ss"), good+":") {
		t.Error("the states of an innocent address are gone")
	}
	if g.held()[good] || !g.connect(good) {
		t.Error("an innocent address is stopped")
	}
	if got := g.packetsTo(80, bad, 3); got != "pass=0 drop=3" {
		t.Errorf("PF lets a banned address through: %s", got)
	}
	articleCommands(t, g, dir, log, bad)

	if out, err := g.client("set", "apache-noscript", "bantime", "6"); err != nil {
		t.Errorf("set bantime: %v\n%s", err, out)
	}
	for i := range 6 {
		if got := request(n, short, fmt.Sprintf("/foo%d.php", i+1), ""); got != 404 {
			t.Fatalf("status %d, want 404", got)
		}
	}
	testkit.Within(t, 3*time.Second, "the second prober is in the table", func() bool { return g.held()[short] })
	testkit.Within(t, 15*time.Second, "the short ban ends by itself", func() bool { return !g.held()[short] })

	for range 6 {
		if got := request(n, guesser, "/priv/", "bob:wrong"); got != 401 {
			t.Fatalf("status %d, want 401", got)
		}
	}
	testkit.Within(t, 3*time.Second, "the guesser is in the table", func() bool { return g.held()[guesser] })
	for range 6 {
		if got := request(n, writer, "/index.html", "", "-X", "FOO"); got != 501 {
			t.Fatalf("status %d, want 501", got)
		}
	}
	testkit.Within(t, 3*time.Second, "who uses a method that there is not is in the table", func() bool { return g.held()[writer] })

	g.stop()
	g.again()
	if in := g.held(); !in[guesser] || !in[writer] || !in[bad] || in[short] {
		t.Errorf("after a restart the table holds %v", in)
	}
	g.answers("fail2ban-client", []string{"-c", dir, "status", "apache-auth"}, guesser)
	g.answers("fail2ban-client", []string{"-c", dir, "set", "apache-auth", "unbanip", guesser})
	testkit.Within(t, 2*time.Second, "the guesser is let go", func() bool { return !g.held()[guesser] })
	if !g.connect(guesser) || !g.held()[writer] {
		t.Error("unbanning one touched the other, or did not work")
	}
	g.stop()
}

// articleCommands are the commands that the article names, its own and those of fail2ban, while bad is banned by apache-noscript.
func articleCommands(t *testing.T, g *gateway, dir, log, bad string) {
	t.Helper()
	for _, c := range []struct {
		args  []string
		words []string
	}{
		{[]string{"-a", "*", "-sr"}, []string{"anchor \"fail2ban\"", "block drop log quick from <fail2ban> to any"}},
		{[]string{"-sA"}, []string{"fail2ban"}},
		{[]string{"-a", "fail2ban", "-sr"}, []string{"<fail2ban>"}},
		{[]string{"-a", "fail2ban", "-sT"}, []string{"fail2ban"}},
		{[]string{"-a", "fail2ban", "-t", "fail2ban", "-Ts"}, []string{bad}},
		{[]string{"-a", "fail2ban", "-t", "fail2ban", "-vTs"}, []string{bad, "Cleared:", "In/Block:"}},
	} {
		out := g.standIn(c.args...)
		for _, w := range c.words {
			if !strings.Contains(out, w) {
				t.Errorf("pfctl %q does not show %q:\n%s", c.args, w, out)
			}
		}
	}
	if main := g.standIn("-sr"); strings.Contains(main, "<fail2ban>") || !strings.Contains(main, "anchor \"fail2ban\"") {
		t.Errorf("the main ruleset was changed:\n%s", main)
	}
	client := func(args ...string) []string { return append([]string{"-c", dir}, args...) }
	g.answers("fail2ban-client", client("status"), "apache-auth", "apache-noscript", "apache-overflows")
	g.answers("fail2ban-client", client("status", "apache-noscript"), bad, log)
	g.answers("fail2ban-client", client("ping"), "pong")
	g.answers("fail2ban-client", client("get", "apache-noscript", "banned"), bad)
	if out, err := g.client("start"); err == nil || !strings.Contains(out, "already running") {
		t.Errorf("fail2ban-client start beside a running one: %v\n%s", err, out)
	}
	if out, _ := g.shim("fail2ban-client"); !strings.Contains(out, "Usage:") {
		t.Errorf("fail2ban-client without arguments does not say how it is used:\n%s", out)
	}
	if out, _ := g.shim("fail2ban-regex"); !strings.Contains(out, "Usage:") {
		t.Errorf("fail2ban-regex without arguments does not say how it is used:\n%s", out)
	}
	g.answers("fail2ban-regex", []string{"-c", dir, log, "apache-noscript"}, "6 matched")
	g.answers("fail2ban-regex", []string{log, dir + "/filter.d/apache-noscript.conf"}, "6 matched")
	text, err := os.ReadFile(log)
	testkit.Must(t, err)
	for _, line := range strings.Split(string(text), "\n") {
		if strings.Contains(line, "foo1.php") {
			g.answers("fail2ban-regex", []string{line, dir + "/filter.d/apache-noscript.conf"}, "1 matched")
			g.answers("fail2ban-regex", []string{line, `\[client <HOST>`}, "1 matched")
			return
		}
	}
}
