package builtin

import (
	"strings"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/detect/filter"
	"pfwarden/internal/testkit"
)

// TestLongLines: a line of 1 MB that looks like a match up to its end costs each filter little processor time.
func TestLongLines(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes regexps ten to twenty times slower")
	}
	const size, limit = 1 << 20, 50 * time.Millisecond
	starts := map[string]string{
		"sshd":            "Nov 22 15:20:08 vm sshd[1]: Failed password for invalid user x from 1.2.3.4 port 22 ssh2 ",
		"httpd-auth":      "[Sun Nov 22 15:15:35.231487 2026] [auth_basic:error] [pid 1:tid 2] [client 1.2.3.4:4] AH01618: user x in realm not found: ",
		"httpd-noscript":  `1.2.3.4 - - [22/Nov/2026:15:00:00 +0000] "GET /x.php" 404 script '' not found or unable to stat File does not exist: `,
		"httpd-overflows": `1.2.3.4 - - [22/Nov/2026:15:00:00 +0000] "\x16\x16\x16\x16" 400 `,
		"httpd-probes":    `1.2.3.4 - - [22/Nov/2026:15:00:00 +0000] "GET /cgi-bin/ /wp-login.php File does not exist: `,
		"postfix":         "Nov 22 15:20:08 vm postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[1.2.3.4]: 554 5.7.1 <Relay access denied ",
		"dovecot":         "Nov 22 15:20:08 vm dovecot: imap-login: Disconnected (auth failed, 1 attempts): user=<, rip= ",
		"vsftpd":          `Sun Nov 22 15:00:00 2026 [pid 1] [x] FAIL LOGIN: Client "1.2.3.4"`,
		"named":           "Nov 22 15:20:08 ns named[1]: client 1.2.3.4#4: query 'a' denied",
	}
	fillers := []string{" from 1.2.3.4 port 22 ssh2", `\x16" 400 `, "a", " ", "1.", "::", "] FAIL LOGIN: Client \"1.2.3.4\"", ">, rip=1.2.3.4, user=<", ".php", "é"}
	for _, name := range Names() {
		f, _ := compiled(t, name)
		set := filter.NewSet([]*filter.Filter{f})
		for _, filler := range fillers {
			line := starts[name] + strings.Repeat(filler, size/len(filler))
			best := time.Hour
			for try := 0; try < 30 && best > limit; try++ { // the garbage of others is not the filter's
				before := testkit.ProcessorTime()
				set.Match(capture.Line{Text: line}, time.Time{}, func(int, filter.Candidate) {})
				best = min(best, testkit.ProcessorTime()-before)
			}
			if best > limit {
				t.Errorf("%s: %v on a line of %q", name, best, filler)
			}
		}
		if f.Stats().Long == 0 {
			t.Errorf("%s: long lines were not counted", name)
		}
	}
}
