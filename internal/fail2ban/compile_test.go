package fail2ban

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// folder writes a fail2ban folder: file name, text, and so on.
func folder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		testkit.Must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		testkit.Must(t, os.WriteFile(path, []byte(files[i+1]), 0o644))
	}
	return dir
}

// TestNoJournal has jails that ask for the journal of systemd: those with a log path read their logs, with the patterns for logs; the others
// say what to do, and no other jail suffers.
func TestNoJournal(t *testing.T) {
	log := filepath.Join(t.TempDir(), "auth.log")
	testkit.Must(t, os.WriteFile(log, nil, 0o644))
	dir := folder(t,
		"jail.conf", "[DEFAULT]\nenabled = true\nfilter = x\nmaxretry = 3\n[plain]\nlogpath = "+log+
			"\n[both]\nbackend = systemd\nlogpath = "+log+"\n[only]\nbackend = systemd[journalflags=1]\njournalmatch = _COMM=sshd\n"+
			"[fallen]\nbackend = auto\nlogpath = /nonexistent/log\njournalmatch = _COMM=sshd\n",
		"filter.d/x.conf", "[Definition]\nfailregex = ^<lt_<logtype>/head> bad <HOST>$\n[lt_file]\nhead = \\S+ file:\n[lt_journal]\nhead = \\S+ journal:\n")
	setup, err := Load(dir, Options{NoJournal: true, AllowMissingLogs: true})
	testkit.Must(t, err)
	r := setup.Compile(RunOptions{})
	var texts []string
	for _, j := range r.Jails {
		text := j.Engine.Name + " " + j.Jail.Backend + " " + strings.Join(j.Jail.Filter.FailRegex, "|")
		for _, w := range j.Warnings {
			if strings.Contains(w, "journal") {
				text += ", warned"
			}
		}
		texts = append(texts, text)
	}
	want := `plain auto ^\S+ file: bad <HOST>$; both auto ^\S+ file: bad <HOST>$, warned; fallen auto ^\S+ file: bad <HOST>$`
	if got := strings.Join(texts, "; "); got != want {
		t.Errorf("jails\n%s\nwant\n%s", got, want)
	}
	if len(r.Faults) != 1 || r.Faults[0].Jail != "only" || !strings.Contains(r.Faults[0].Error(), "journal of systemd (backend = systemd[journalflags=1])") {
		t.Errorf("faults %v", r.Faults)
	}
	// As fail2ban itself has it, the jail reads the journal.
	setup, err = Load(dir, Options{AllowMissingLogs: true})
	testkit.Must(t, err)
	if j := setup.Jails[1]; j.Backend != "systemd" || !strings.Contains(j.Filter.FailRegex[0], "journal:") {
		t.Errorf("jail %s has backend %s and %v", j.Name, j.Backend, j.Filter.FailRegex)
	}
}

// TestReadCache reads the option ignorecache.
func TestReadCache(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want answerCache
		err  bool
	}{
		{"", answerCache{keep: 1}, false},
		{`key="<ip>"`, answerCache{"<ip>", 100, 5 * time.Minute}, false},
		{`key="<F-USER>@<ip-host>", max-count=10, max-time=5m`, answerCache{"<F-USER>@<ip-host>", 10, 5 * time.Minute}, false},
		{`key="x", max-time=1h 30m`, answerCache{"x", 100, 90 * time.Minute}, false},
		{`max-count=10`, answerCache{}, true},
		{`key="<ip>", max-count=many`, answerCache{}, true},
		{`key="<ip>", max-count=0`, answerCache{}, true},
		{`key="<ip>", max-time=soon`, answerCache{}, true},
	} {
		got, err := readCache(c.text)
		if (err != nil) != c.err || !c.err && got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.text, got, err, c.want)
		}
	}
}
