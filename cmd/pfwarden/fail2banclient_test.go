package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit"

	"github.com/google/go-cmp/cmp"
)

// besideFiles are a set-up of two jails with actions that do nothing.
var besideFiles = map[string]string{
	"fail2ban.conf": `[Definition]
loglevel = INFO
logtarget = DIR/real.log
syslogsocket = auto
socket = DIR/real.sock
pidfile = DIR/real.pid
dbfile = DIR/real.sqlite
dbpurgeage = 1d
dbmaxmatches = 10
allowipv6 = auto
`,
	"jail.conf": `[DEFAULT]
maxretry = 3
findtime = 600
bantime = 600
backend = polling
ignoreself = false
ignoreip = 127.0.0.1/8
usedns = no
action = note[port=22]
[app]
enabled = true
filter = app
logpath = DIR/app.log
[web]
enabled = true
filter = web[mode=strict]
maxretry = 2
bantime.increment = true
bantime.maxtime = 1w
action = note
         second[name=other]
logpath = DIR/app.log
          DIR/other.log tail
[off]
enabled = false
filter = app
`,
	"filter.d/app.conf": `[Definition]
failregex = ^ app: login of <F-USER>\S+</F-USER> failed from <ADDR>$
            ^ sub: <SUBNET> bad$
ignoreregex = ignoreme
`,
	"filter.d/web.conf": `[Definition]
prefregex = ^ web<F-MLFID>\d*</F-MLFID>: <F-CONTENT>.+</F-CONTENT>$
failregex = ^denied <HOST> <mode>$
datepattern = ^%%Y-%%m-%%d %%H:%%M:%%S
[Init]
mode = lax
`,
	"action.d/note.conf": `[Definition]
actionstart = true <name> <port>
actionban = true ban <ip>
actionunban = true unban <ip>
actioncheck =
[Init]
port = 80
`,
	"action.d/second.conf": "[Definition]\nactionban = true <ip>\nactionunban =\n",
	"app.log":              "",
	"other.log":            "",
	"third.log":            "",
}

func words(line string) (out []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}

// TestClientBeside runs Debian's fail2ban and pfwarden on one folder and one log, and asks both the same.
func TestClientBeside(t *testing.T) {
	real, _ := startReal(t)
	dir := t.TempDir()
	testkit.WriteFiles(t, dir, 0o644, besideFiles)
	theirs := func(args ...string) answer {
		return timeless(real.run("fail2ban-client", append([]string{"-c", dir}, args...)...))
	}
	if a := theirs("start"); a.Exit != 0 {
		t.Fatalf("the real server does not start: %+v", a)
	}
	t.Cleanup(func() { theirs("stop") })
	socket := startOurs(t, dir)
	ours := func(args ...string) answer {
		return timeless(ourFail2ban("fail2ban-client", append([]string{"-c", dir, "-s", socket}, args...)...))
	}
	testkit.Within(t, time.Minute, "our daemon", func() bool { return ours("ping").Exit == 0 })
	log, err := os.OpenFile(filepath.Join(dir, "app.log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Format("2006-01-02 15:04:05")
	for _, line := range []string{
		"app: login of root failed from 198.51.100.7", "app: login of admin failed from 198.51.100.7", "app: login of bob failed from 198.51.100.7",
		"app: login of eve failed from 198.51.100.8", "sub: 203.0.113.0/28 bad", "sub: 203.0.113.0/28 bad", "sub: 203.0.113.0/28 bad",
		"app: login of ignoreme failed from 198.51.100.9", "web1: denied 198.51.100.9 strict", "web2: denied 198.51.100.9 strict", "web3: denied 2001:db8::7 strict",
	} {
		fmt.Fprintf(log, "%s %s\n", now, line)
	}
	log.Close()
	for _, who := range []func(...string) answer{theirs, ours} {
		testkit.Within(t, time.Minute, "all lines", func() bool {
			a, b := who("status", "app").Out, who("status", "web").Out
			return strings.Contains(a, "Total failed:\t7") && strings.Contains(a, "Total banned:\t2") && strings.Contains(b, "Total banned:\t1") && strings.Contains(b, "Total failed:\t3")
		})
	}
	for _, c := range besideCommands {
		args := words(strings.ReplaceAll(c.args, "DIR", dir))
		want, got := theirs(args...), ours(args...)
		if c.ours != nil {
			if cmp.Equal(want, *c.ours) {
				t.Errorf("%s: said to differ, and does not", c.args)
			}
			want = *c.ours
		}
		if c.outOnly {
			want.Err, got.Err = "", ""
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-theirs +ours):\n%s", c.args, diff)
		}
	}
}

// TestDumpBeside enables every jail of Debian's package and compares what both say they come to, line by line.
func TestDumpBeside(t *testing.T) {
	real, root := startReal(t)
	dir := filepath.Join(t.TempDir(), "fail2ban")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "etc/fail2ban"))); err != nil {
		t.Fatal(err)
	}
	stock, err := os.ReadFile(filepath.Join(dir, "jail.conf"))
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "a.log")
	var local strings.Builder
	for line := range strings.Lines(string(stock)) {
		if name := strings.TrimSpace(line); strings.HasPrefix(name, "[") && name != "[INCLUDES]" && name != "[DEFAULT]" {
			fmt.Fprintf(&local, "%s\nenabled = true\nlogpath = %s\nbackend = polling\n", name, log)
		}
	}
	for path, text := range map[string]string{log: "", filepath.Join(dir, "jail.local"): local.String()} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, got := real.run("fail2ban-client", "-c", dir, "-d"), ourFail2ban("fail2ban-client", "-c", dir, "-d")
	theirs, ours := strings.Split(want.Out, "\n"), strings.Split(got.Out, "\n")
	if len(theirs) != len(ours) || len(theirs) < 1000 || want.Exit != got.Exit {
		t.Fatalf("%d lines and status %d, want %d and %d", len(ours), got.Exit, len(theirs), want.Exit)
	}
	other := 0
	for i := range theirs {
		// An option of the jail replaces the action's for both families; before 1.1 it did so for one.
		if strings.Contains(ours[i], "'blocktype', 'RETURN'") && strings.Contains(ours[i], "'blocktype?family=inet6', 'RETURN'") {
			other++
			continue
		}
		if diff := cmp.Diff(theirs[i], ours[i]); diff != "" {
			t.Errorf("line %d (-theirs +ours):\n%s", i+1, diff)
		}
	}
	if other != 1 {
		t.Errorf("%d jails whose block type is that of both families, want pass2allow-ftp alone", other)
	}
	for _, args := range [][]string{{"-t"}, {"-s", dir + "/none", "ping"}, {"-s", dir + "/none", "status"}, {"-s", dir + "/none", "reload"}, {"-s", dir + "/none", "stop"}} {
		args = append([]string{"-c", dir}, args...)
		want, got := timeless(real.run("fail2ban-client", args...)), timeless(ourFail2ban("fail2ban-client", args...))
		want.Err = strings.TrimPrefix(want.Err, "fail2ban.configreader: WARNING 'allowipv6' not defined in 'Definition'. Using default one: 'auto'\n")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-theirs +ours):\n%s", args, diff)
		}
	}
}
