package livetest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// TestActions runs fail2ban jails with actions of every kind.
func TestActions(t *testing.T) {
	t.Parallel()
	programs := buildUnlessShort(t)
	for name, test := range map[string]func(*testing.T, *gateway){
		"observe": observe, "hostsdeny": hostsDeny, "mail": mail, "hostile logs": hostileLogs, "bad actions": badActions, "recidive": recidive,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, programs.gateway(t, "openbsd", articleMain))
		})
	}
}

// actionJail is a jail over a log of its own with sshd's filter of Debian's.
func actionJail(name, log, options string) string {
	return fmt.Sprintf("[%s]\nenabled = true\nfilter = sshd\nbackend = polling\nlogpath = %s\n%s\n", name, log, options)
}

// emptyLog makes a log for a jail to read.
func emptyLog(t *testing.T) string {
	t.Helper()
	log := filepath.Join(t.TempDir(), "auth.log")
	testkit.Must(t, os.WriteFile(log, nil, 0o644))
	return log
}

// lines reads a file that may not be there.
func lines(path string) []string {
	text, _ := os.ReadFile(path)
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// hostsDeny has Debian's hostsdeny write its file, and take out of it again.
func hostsDeny(t *testing.T, g *gateway) {
	log, file := emptyLog(t), filepath.Join(t.TempDir(), "hosts.deny")
	testkit.Must(t, os.WriteFile(file, []byte("ALL: 203.0.113.9\n"), 0o644))
	dir := fail2banFolder(t, map[string]string{"jail.local": actionJail("deny", log, fmt.Sprintf("action = hostsdeny[file=%s]", file))})
	g.runFail2ban(dir, true)
	const bad, bad6, mapped = "198.51.100.7", "2001:db8::7", "198.51.100.70"
	for _, a := range []string{bad, bad6, mapped} {
		g.fail(log, a)
	}
	want := []string{"ALL: 203.0.113.9", "ALL: 198.51.100.7", "ALL: [2001:db8::7]", "ALL: 198.51.100.70"}
	sorted := func(l []string) []string { l = slices.Clone(l); slices.Sort(l); return l }
	testkit.Within(t, 5*time.Second, "all three lines are in the file", func() bool { return slices.Equal(sorted(lines(file)), sorted(want)) })
	for _, a := range []string{bad, bad6} {
		if out, err := g.client("set", "deny", "unbanip", a); err != nil {
			t.Errorf("unbanip %s: %v\n%s", a, err, out)
		}
	}
	testkit.Within(t, 5*time.Second, "two lines are gone", func() bool {
		return slices.Equal(lines(file), []string{"ALL: 203.0.113.9", "ALL: 198.51.100.70"})
	})
	g.stop()
	if got := lines(file); !slices.Equal(got, []string{"ALL: 203.0.113.9"}) {
		t.Errorf("stopping left %q", got)
	}
}

// observe only looks: what would be banned is told, but no command is run, nothing is written into fail2ban's log, and PF is not touched.
func observe(t *testing.T, g *gateway) {
	log := emptyLog(t)
	dir := fail2banFolder(t, map[string]string{
		"action.d/pf-drop-all.conf": articleAction, "pf-anchor.conf": articleAnchor, "fail2ban.log": "",
		"action.d/note.conf": "[Definition]\nactionstart = touch DIR/started\nactionban = touch DIR/banned\n",
		"jail.local": actionJail("ssh", log, "action = pf-drop-all\n         note") +
			"[recidive]\nenabled = true\nbackend = polling\nlogpath = DIR/fail2ban.log\naction = note\n",
	})
	g.head = "observe = true\n"
	g.runFail2ban(dir, false)
	const bad = "198.51.100.7"
	g.fail(log, bad)
	testkit.Within(t, 5*time.Second, "the verdict is told", func() bool { return g.bans()[bad].Jail == "ssh" })
	g.stop()
	if _, err := os.Stat(filepath.Join(dir, "banned")); err == nil || len(g.held()) > 0 {
		t.Errorf("observing banned: %v", g.held())
	}
	if text, _ := os.ReadFile(filepath.Join(dir, "fail2ban.log")); len(text) > 0 {
		t.Errorf("observing wrote into fail2ban's log: %s", text)
	}
	if _, err := os.Stat(filepath.Join(dir, "started")); err == nil {
		t.Error("observing started an action")
	}
}

// mail lets Debian's sendmail-whois send a message through a real mail program to a real SMTP server.
func mail(t *testing.T, g *gateway) {
	msmtp := testkit.Tool(t, "msmtp")
	log, s := emptyLog(t), newSink(t)
	dir := fail2banFolder(t, map[string]string{
		"msmtprc": fmt.Sprintf("account default\nhost 127.0.0.1\nport %d\nauth off\ntls off\n", s.port),
		"jail.local": actionJail("mail", log, fmt.Sprintf(`action = sendmail-whois[dest="admin@example.org", sender="watch@example.org", sendername="Watch", `+
			`_whois_command="echo registry of <ip>", mailcmd='%s -C DIR/msmtprc -f "<sender>" "<dest>"']`, msmtp)),
	})
	g.runFail2ban(dir, false)
	testkit.Within(t, 10*time.Second, "a message tells of the start", func() bool { return len(s.with("Subject: [Fail2Ban] mail: started on ")) == 1 })
	const bad = "198.51.100.7"
	g.fail(log, bad)
	testkit.Within(t, 10*time.Second, "a message tells of the ban", func() bool { return len(s.with("Subject: [Fail2Ban] mail: banned "+bad)) == 1 })
	m := s.with("banned " + bad)[0]
	for _, w := range []string{"MAIL FROM:<watch@example.org>", "RCPT TO:<admin@example.org>", "From: Watch <watch@example.org>", "To: admin@example.org", "registry of " + bad, "5 attempts against mail"} {
		if !strings.Contains(m, w) {
			t.Errorf("the message does not say %q:\n%s", w, m)
		}
	}
	g.stop()
	testkit.Within(t, 10*time.Second, "a message tells of the stop", func() bool { return len(s.with("Subject: [Fail2Ban] mail: stopped on ")) == 1 })
	g.again()
	testkit.Within(t, 10*time.Second, "a message tells of the second start", func() bool { return len(s.with("mail: started on ")) == 2 })
	g.fail(log, "198.51.100.8")
	testkit.Within(t, 10*time.Second, "a message tells of the next ban", func() bool { return len(s.with("mail: banned 198.51.100.8")) == 1 })
	if n := len(s.with("mail: banned " + bad)); n != 1 {
		t.Errorf("%d messages tell of a ban that was restored, want 1", n)
	}
	g.stop()
}

// hostileLogs has log lines whose user names would be commands, and looks at what the commands of an action got.
func hostileLogs(t *testing.T, g *gateway) {
	log := emptyLog(t)
	dir := fail2banFolder(t, map[string]string{
		"out/.keep":         "",
		"filter.d/odd.conf": "[Definition]\nfailregex = ^ \\S+ door: no entry for <F-USER>.*</F-USER> from <ADDR>$\n",
		"action.d/odd.conf": `[Definition]
actionban = printf '%%s' "<F-USER>" > "DIR/out/<ip>.user"
            printf '%%s' "<matches>" > "DIR/out/<ip>.matches"
            : <F-USER> <matches> <ipmatches>
actionunban = rm "DIR/out/<ip>.user"
`,
		"jail.local": fmt.Sprintf("[odd]\nenabled = true\nfilter = odd\nbackend = polling\nmaxretry = 2\nlogpath = %s\naction = odd\n", log),
	})
	g.runFail2ban(dir, false)
	names := []string{
		`$(touch DIR/owned)`, "`touch DIR/owned`", `; touch DIR/owned`, `'; touch DIR/owned; '`, `"; touch DIR/owned; "`, `| touch DIR/owned`, `& touch DIR/owned &`,
		`> DIR/owned`, `<ip>`, `<F-USER>`, `<matches>`, `$f2bV_matches`, `${IFS}x`, `\`, `*`, `~root`, `a b  c`, `-n`, `%s%n`, `äöü€`, "tab\there", `!!`, `{a,b}`, `#no`, `\n\r\0`, `$0$1`,
	}
	for i, name := range names {
		names[i] = strings.ReplaceAll(name, "DIR", dir)
		for range 2 {
			appendLine(t, log, "%s gw door: no entry for %s from 198.51.100.%d", time.Now().Format("Jan _2 15:04:05"), names[i], i+1)
		}
	}
	read := func(i int, what string) string {
		text, _ := os.ReadFile(filepath.Join(dir, "out", fmt.Sprintf("198.51.100.%d.%s", i+1, what)))
		return string(text)
	}
	for i, name := range names {
		testkit.Within(t, 10*time.Second, name+" is dealt with", func() bool { return strings.Count(read(i, "matches"), "\n") == 1 })
		if got := read(i, "user"); got != name {
			t.Errorf("the command got %q, want %q", got, name)
		}
		if got := read(i, "matches"); strings.Count(got, "no entry for "+name+" from ") != 2 {
			t.Errorf("%q: its lines reached the command as %q", name, got)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "owned")); err == nil {
		t.Error("a user name was run as a command")
	}
	if out, err := g.client("unban", "--all"); err != nil {
		t.Errorf("unban: %v\n%s", err, out)
	}
	testkit.Within(t, 10*time.Second, "all are let go", func() bool { return read(0, "user") == "" && read(len(names)-1, "user") == "" })
	g.stop()
}

// badActions puts PF's action between one that always fails and one that hangs: neither PF nor a good action beside them waits.
func badActions(t *testing.T, g *gateway) {
	log := emptyLog(t)
	dir := fail2banFolder(t, map[string]string{
		"action.d/pf-drop-all.conf": articleAction, "pf-anchor.conf": articleAnchor,
		"action.d/bad.conf":  "[Definition]\nactionstart = exit 1\nactioncheck = exit 1\nactionban = exit 1\nactionunban = exit 1\nactionstop = exit 1\n",
		"action.d/hang.conf": "[Definition]\nactionban = echo <ip> >> DIR/hung; sleep 600\nactionunban = true\n[Init]\ntimeout = 2\n",
		"action.d/good.conf": "[Definition]\nactionban = echo <ip> >> DIR/good\nactionunban = true\n",
		"jail.local":         actionJail("ssh", log, "action = bad\n         hang\n         pf-drop-all\n         good"),
	})
	g.runFail2ban(dir, false)
	const addresses = 8
	address := func(i int) string { return fmt.Sprintf("198.51.100.%d", 100+i) }
	began := time.Now()
	for i := range addresses {
		g.fail(log, address(i))
	}
	testkit.Within(t, 3*time.Second, "all are in PF's table", func() bool { return len(g.held()) == addresses })
	inPF := time.Since(began)
	testkit.Within(t, 4*time.Second, "the good action has seen all", func() bool { return len(lines(filepath.Join(dir, "good"))) == addresses })
	t.Logf("PF had all %d addresses after %v, the good action after %v", addresses, inPF, time.Since(began))
	if hung := lines(filepath.Join(dir, "hung")); len(hung) == 0 || len(hung) >= 2*addresses {
		t.Errorf("the hanging action does not hang: %q", hung)
	}
	g.client("set", "ssh", "unbanip", address(0))
	testkit.Within(t, 3*time.Second, "one is out of PF's table", func() bool { return !g.held()[address(0)] })
	testkit.Within(t, time.Minute, "the hanging action is given up for all", func() bool { return len(lines(filepath.Join(dir, "hung"))) >= 2*addresses-2 })
	testkit.Within(t, 10*time.Second, "the metrics tell of it", func() bool {
		return g.metric(`pfwarden_action_failures_total{operation="ban"}`) >= 2*addresses-2 && g.metric(`pfwarden_action_dropped_total`) == 0
	})
	g.fail(log, "198.51.100.200")
	testkit.Within(t, 3*time.Second, "the next one is in PF's table", func() bool { return g.held()["198.51.100.200"] })
	g.stop()
}

// recidive has an address banned again and again: the jail that reads fail2ban's own log, which pfwarden writes, bans it for good.
func recidive(t *testing.T, g *gateway) {
	log := emptyLog(t)
	dir := fail2banFolder(t, map[string]string{
		"action.d/pf-drop-all.conf": articleAction, "pf-anchor.conf": articleAnchor, "fail2ban.log": "",
		"jail.local": actionJail("ssh", log, "action = pf-drop-all") +
			"[recidive]\nenabled = true\nbackend = polling\nlogpath = DIR/fail2ban.log\nmaxretry = 3\nfindtime = 1d\nbantime = 1w\naction = pf-drop-all\n",
	})
	g.runFail2ban(dir, true)
	const bad, twice = "198.51.100.7", "198.51.100.8"
	banned := func(jail, address string) bool {
		out, err := g.client("get", jail, "banned", address)
		return err == nil && strings.TrimSpace(out) == "1"
	}
	for i := range 3 {
		for _, a := range []string{bad, twice} {
			if a == twice && i == 2 {
				continue
			}
			g.fail(log, a)
			testkit.Within(t, 5*time.Second, a+" is banned", func() bool { return banned("ssh", a) && g.held()[a] })
			if i == 2 {
				break
			}
			if out, err := g.client("set", "ssh", "unbanip", a); err != nil {
				t.Fatalf("unbanip: %v\n%s", err, out)
			}
			testkit.Within(t, 5*time.Second, a+" is let go", func() bool { return !g.held()[a] })
		}
	}
	testkit.Within(t, 5*time.Second, "the third ban makes a recidivist", func() bool { return banned("recidive", bad) })
	if banned("recidive", twice) {
		t.Error("two bans make a recidivist too")
	}
	if out, err := g.client("set", "ssh", "unbanip", bad); err != nil {
		t.Fatalf("unbanip: %v\n%s", err, out)
	}
	g.stop()
	g.again()
	if !g.held()[bad] || g.held()[twice] || !banned("recidive", bad) || banned("ssh", bad) {
		t.Errorf("after the end of the jail's own ban, and a restart, the table holds %v", g.held())
	}
	var bans, unbans int
	for _, l := range lines(filepath.Join(dir, "fail2ban.log")) {
		if strings.Contains(l, "NOTICE  [ssh] Ban "+bad) {
			bans++
		}
		if strings.Contains(l, "NOTICE  [ssh] Unban "+bad) {
			unbans++
		}
	}
	if bans != 3 || unbans != 3 {
		t.Errorf("fail2ban's log tells of %d bans and %d unbans, want 3 and 3:\n%s", bans, unbans, strings.Join(lines(filepath.Join(dir, "fail2ban.log")), "\n"))
	}
}
