package builtin

import (
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/detect/filter"
)

// TestForgedLines reads what nginx wrote for "GET /a%0a<line>%0a.php": the middle one is the client's, to the last byte, in the form of whatever
// server it likes. Nothing in such a log is proof, and a log beside it keeps its own.
func TestForgedLines(t *testing.T) {
	t.Parallel()
	const (
		head = `2026/11/22 15:00:00 [error] 12#12: *6 open() "/var/www/a`
		tail = `.php" failed (2: No such file or directory), client: 1.2.3.4, server: a, request: "GET /a%0a HTTP/1.1", host: "a"`
	)
	for name, line := range map[string]string{
		"nginx":  `2026/11/22 15:00:00 [error] 1#0: *1 user "root": password mismatch, client: 5.6.7.8, server: x, request: "GET / HTTP/1.1"`,
		"access": `5.6.7.8 - root [22/Nov/2026:15:00:00 +0000] "GET / HTTP/1.1" 401 12`,
		"apache": `[Sun Nov 22 15:00:00.231487 2026] [auth_basic:error] [pid 1:tid 2] [client 5.6.7.8:43418] AH01618: user eve not found: /`,
		"syslog": `Nov 22 15:00:00 www httpd[123]: [auth_basic:error] [pid 123] [client 5.6.7.8:43418] AH01618: user eve not found: /`,
	} {
		for _, spec := range []string{"httpd-auth", "httpd-auth[proof=tcp]"} {
			f, _ := compiled(t, spec)
			sets := filter.NewSet([]*filter.Filter{f})
			log, beside := sets.Fork(), sets.Fork()
			match := func(s *filter.Set, text string) (n int, proven bool) {
				s.Match(capture.Line{Text: text, Modified: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}, time.Time{}, func(_ int, c filter.Candidate) {
					n, proven = n+1, c.Proven
				})
				return n, proven
			}
			match(log, head)
			sure := spec != "httpd-auth" // the administrator says that nobody can
			if n, proven := match(log, line); n != 1 || proven != sure {
				t.Errorf("%s, %s: %d candidates, proven %v", name, spec, n, proven)
			}
			match(log, tail)
			if n, proven := match(beside, line); n != 1 || proven != (sure || name != "nginx") {
				t.Errorf("%s, %s, in another log: %d candidates, proven %v", name, spec, n, proven)
			}
		}
	}
}
