package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var processedIn = regexp.MustCompile(`\[processed in [\d.]+ sec\]`)

// sampleLogs copies the annotated sample logs of Debian's package. A last line without its end gets one: fail2ban 1.0 waits for it.
func sampleLogs(t *testing.T, root string) (dir string, names []string) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(root, "usr/lib/python3*/dist-packages/fail2ban/tests/files/logs/*"))
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for _, path := range logs {
		name := filepath.Base(path)
		if _, err := os.Stat(filepath.Join(root, "etc/fail2ban/filter.d", name+".conf")); err != nil {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), append(text, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if len(names) < 50 {
		t.Skipf("%d sample logs", len(names))
	}
	return dir, names
}

// sameRegex compares what both programs say.
func sameRegex(real *realFail2ban, conf string, args ...string) string {
	args = append([]string{"-c", conf}, args...)
	want, got := timeless(real.run("fail2ban-regex", args...)), timeless(ourFail2ban("fail2ban-regex", args...))
	for _, a := range []*answer{&want, &got} {
		a.Out = processedIn.ReplaceAllString(a.Out, "[processed]")
	}
	return cmp.Diff(want, got)
}

// TestRegexBesideFilters runs every filter of Debian's package over its sample log through both programs.
func TestRegexBesideFilters(t *testing.T) {
	real, root := startReal(t)
	logs, names := sampleLogs(t, root)
	conf := filepath.Join(root, "etc/fail2ban")
	// Lines without any time stamp are shown with the time of the run, which is another second at times.
	undated := map[string]bool{"ejabberd-auth": true, "guacamole": true, "murmur": true}
	for _, name := range names {
		args := []string{"-r", "--print-all-matched", "--print-all-missed", "--print-all-ignored", filepath.Join(logs, name), name}
		if !undated[name] {
			args = append([]string{"-v"}, args...)
		}
		diff := sameRegex(real, conf, args...)
		for again := 0; diff != "" && again < 2; again++ { // some lines are shown with the time of the run: a second may have passed between the two
			diff = sameRegex(real, conf, args...)
		}
		if diff != "" {
			t.Errorf("%s (-theirs +ours):\n%s", name, diff)
		}
	}
	t.Logf("%d filters", len(names))
}

const (
	regexLine = "Jul  1 10:10:10 h app: login of bob failed from 198.51.100.7 x"
	regexTest = `login of <F-USER>\S+</F-USER> failed from <HOST>`
)

// TestRegexBesideOptions tries the options.
func TestRegexBesideOptions(t *testing.T) {
	real, root := startReal(t)
	logs, _ := sampleLogs(t, root)
	conf := filepath.Join(root, "etc/fail2ban")
	sshd, apache := filepath.Join(logs, "sshd"), filepath.Join(logs, "apache-auth")
	for _, args := range [][]string{
		{sshd, "sshd"}, {"-r", sshd, "sshd[mode=aggressive]"}, {"-r", "-vv", sshd, `sshd[mode=ddos, logtype="short"]`}, {sshd, filepath.Join(conf, "filter.d/sshd.conf")},
		{"-r", "--print-no-missed", sshd, "sshd"}, {"-r", "--print-no-ignored", "--print-no-missed", sshd, "sshd"}, {"-r", "--print-all-missed", sshd, "sshd"},
		{"-r", "--no-check-all", sshd, "sshd"}, {"-L", "3", "-r", sshd, "sshd"}, {"-L5", "-r", filepath.Join(logs, "mongodb-auth"), "mongodb-auth"},
		{"-e", "latin1", "-r", sshd, "sshd"}, {"--encoding=ascii", "-r", sshd, "sshd"}, {"-l", "critical", "-r", sshd, "sshd"},
		{"-d", `%b %d %H:%M:%S`, regexLine, regexTest}, {"-d", "EPOCH", "1700000000 login of bob failed from 198.51.100.7", regexTest},
		{"-d", "{NONE}", regexLine, regexTest}, {"-d", "^x {DATE}", regexLine, regexTest}, {"--datepattern={^LN-BEG}", regexLine, regexTest},
		{regexLine, regexTest}, {regexLine, regexTest, "bob"}, {regexLine, regexTest, "alice"}, {"--usedns", "no", regexLine, regexTest}, {"-v", regexLine, regexTest},
		{regexLine + "\nsecond line", regexTest}, {"-L", "2", regexLine, regexTest}, {"-m", "_SYSTEMD_UNIT=x", regexLine, regexTest}, {"-t", regexLine, regexTest},
		{"-o", "row", regexLine, regexTest}, {"-o", "id", regexLine, regexTest}, {"-o", "user", regexLine, regexTest}, {"-o", "nosuch", regexLine, regexTest},
		{"-o", "row", "2024-01-02T03:04:05+02:00 login of bob failed from 198.51.100.7", regexTest}, {"--TZ", "UTC+0300", "-o", "row", regexLine, regexTest},
		{"-r", "-o", "ip", sshd, "sshd"}, {"-r", "-o", "id", sshd, "sshd"}, {"-r", "-o", "fid", sshd, "sshd"}, {"-r", "-o", "msg", sshd, "sshd"}, {"-r", "-o", "user", sshd, "sshd"},
		{"-r", "-o", "ip4", sshd, "sshd"}, {"-r", "-o", `<ip> <F-USER> <time> <failures> | <msg>`, sshd, "sshd"}, {"-r", "-o", `<fid><sp><F-NOSUCH><nosuch>`, sshd, "sshd"},
		{"-r", "-o", "row", apache, "apache-auth"}, {"-r", "-o", "msg", apache, "apache-auth"}, {"-r", "-o", "<ip> <family>", apache, "apache-auth"},
		{regexLine, "nosuchfilter"}, {regexLine, "no id"}, {regexLine}, {"--print-no-missed", "--print-all-missed", "a", "b"}, {"--nosuch", "a", "b"}, {"-L", "x", "a", "b"},
		{"--TZ", "x", regexLine, regexTest}, {"-h"},
	} {
		if diff := sameRegex(real, conf, args...); diff != "" {
			t.Errorf("%q (-theirs +ours):\n%s", args, diff)
		}
	}
	// What pfwarden does not do, or says in words of its own.
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-D", regexLine, regexTest}, "ERROR: pfwarden makes no addresses of debuggex.com\n"},
		{[]string{"-o", "id", "systemd-journal", regexTest}, "ERROR: the journal of systemd is not read by pfwarden: write it into a file with journalctl -o short\n"},
		{[]string{"-o", "id", regexLine, "<HOST> ("}, "ERROR: failregex 1: missing ), unterminated group"},
	} {
		if a := ourFail2ban("fail2ban-regex", append([]string{"-c", conf}, c.args...)...); a.Exit != exitFail2ban || !strings.HasPrefix(a.Out, c.want) {
			t.Errorf("%q: %+v", c.args, a)
		}
	}
}
