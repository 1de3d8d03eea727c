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

// recorded is one call of a transcript of a real fail2ban.
type recorded struct {
	command string
	want    string // both outputs, and the exit status
}

// transcript reads the calls of a session with fail2ban 1.1.2, where it is at hand.
func transcript(t *testing.T) (list []recorded) {
	t.Helper()
	text, err := os.ReadFile(testkit.Recorded(t, "data/fail2ban/client_transcript.txt"))
	testkit.Must(t, err)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if command, ok := strings.CutPrefix(line, "$ fail2ban-client "); ok {
			list = append(list, recorded{command: command})
			continue
		}
		last := &list[len(list)-1]
		last.want += line + "\n"
	}
	return list
}

// transcriptFiles are a set-up that answers as the recorded one; what the action says is taken from the record.
var transcriptFiles = map[string]string{
	"fail2ban.conf": "[Definition]\nloglevel = INFO\nlogtarget = DIR/f2b.log\nsyslogsocket = auto\ndbfile = DIR/db\ndbpurgeage = 1d\ndbmaxmatches = 10\n",
	"jail.conf": `[DEFAULT]
maxretry = 2
findtime = 600
bantime = 600
backend = polling
ignoreself = false
ignoreip = 127.0.0.1/8 ::1
usedns = no
filter = login
action = act
logpath = DIR/app.log
[sshd]
enabled = true
[web]
enabled = true
bantime.increment = true
bantime.maxtime = 1w
`,
	"filter.d/login.conf": `[Definition]
failregex = ^ <F-MLFID>app</F-MLFID>: login of <F-USER>\S+</F-USER> failed from <ADDR>$
            ^ sub: <SUBNET> bad$
ignoreregex = ignoreme
`,
	"action.d/act.conf": "[Definition]\nactionban = BAN\nactionunban =\n",
}

// transcriptOther are answers that are not the recorded ones, with the reason.
var transcriptOther = map[string]string{
	"version":    "the release whose answers are given",
	"-V":         "likewise",
	"--version":  "likewise",
	"get dbfile": "pfwarden's own ledger",
}

// TestClientTranscript has our client say what fail2ban's said in a recorded session.
func TestClientTranscript(t *testing.T) {
	calls := transcript(t)
	t.Setenv("LC_ALL", "C.UTF-8")
	dir := t.TempDir()
	ban := ""
	for _, c := range calls {
		if c.command == "get sshd action act actionban" {
			ban, _, _ = strings.Cut(c.want, "\n")
		}
	}
	if len(calls) < 80 || ban == "" {
		t.Fatalf("%d calls, action %q", len(calls), ban)
	}
	ban = strings.ReplaceAll(strings.ReplaceAll(ban, "name=sshd", "name=<name>"), "/tmp/tr", dir)
	files := make(map[string]string)
	for name, text := range transcriptFiles {
		files[name] = strings.ReplaceAll(text, "BAN", ban)
	}
	testkit.WriteFiles(t, dir, 0o644, files)
	log, err := os.Create(filepath.Join(dir, "app.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	socket := startOurs(t, dir)
	ours := func(line string) string {
		a := timeless(ourFail2ban("fail2ban-client", append([]string{"-c", dir, "-s", socket}, words(line)...)...))
		return a.Err + a.Out + fmt.Sprintf("[rc=%d]\n", a.Exit)
	}
	testkit.Within(t, time.Minute, "our daemon", func() bool { return strings.Contains(ours("ping"), "pong") })
	// What was written into the log before the status of sshd was asked for the second and the third time.
	lines := map[int][]string{2: {"app: login of root failed from 192.0.2.7"}, 3: {
		"app: login of root failed from 192.0.2.7", "sub: 198.51.100.0/24 bad", "sub: 198.51.100.0/24 bad",
		"app: login of bob failed from 192.0.2.7", "app: login of bob failed from 192.0.2.7",
	}}
	asked, written, other := 0, 0, 0
	for _, c := range calls {
		if c.command == "status sshd" {
			asked++
			now := time.Now().Format("2006-01-02 15:04:05")
			for _, l := range lines[asked] {
				fmt.Fprintf(log, "%s %s\n", now, l)
				written++
			}
			testkit.Within(t, time.Minute, "the lines", func() bool {
				return strings.Contains(ours("status sshd"), fmt.Sprintf("Total failed:\t%d\n", written)) && strings.Contains(ours("status web"), fmt.Sprintf("Total failed:\t%d\n", written))
			})
		}
		command := c.command
		switch command {
		case "set sshd attempt 192.0.2.77 line one line two":
			command = "set sshd attempt 192.0.2.77 'line one' 'line two'"
		case "--str2sec 1y 6mo":
			command = "--str2sec '1y 6mo'"
		}
		want := strings.ReplaceAll(timeless(answer{Out: c.want}).Out, "/tmp/tr", dir)
		got := ours(command)
		if why := transcriptOther[c.command]; why != "" {
			other++
			if got == want {
				t.Errorf("%s: said to differ (%s), and does not", c.command, why)
			}
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-recorded +ours):\n%s", c.command, diff)
		}
	}
	t.Logf("%d calls, %d of them with another answer", len(calls), other)
}
