package builtin

import (
	"strings"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/detect/filter"
)

// found is what a line gives, in short.
type found struct {
	who   string // ID, "" if nothing
	login bool
	count int
	user  string
}

// compiled is a filter of ours, for logs read afterwards, and what it was made of.
func compiled(t testing.TB, spec string) (*filter.Filter, filter.Definition) {
	t.Helper()
	def, err := Lookup(spec)
	if err != nil {
		t.Fatal(err)
	}
	f, err := filter.Compile(def, filter.Options{Location: time.UTC, Replay: true})
	if err != nil {
		t.Fatal(err)
	}
	return f, def
}

// run gives lines to a fresh filter and returns what each gave.
func run(t testing.TB, spec string, lines ...string) []found {
	t.Helper()
	f, def := compiled(t, spec)
	set := filter.NewSet([]*filter.Filter{f})
	out := make([]found, len(lines))
	forged := false // anybody may have written what comes from here on
	for i, l := range lines {
		forged = forged || def.Forgeable && strings.HasPrefix(l, "2026/11/22 15:00:00 [")
		set.Match(capture.Line{Text: l, Modified: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}, time.Time{}, func(_ int, c filter.Candidate) {
			if out[i].who != "" {
				t.Errorf("two candidates in %q", l)
			}
			if !c.HasTime || c.Time.Year() < 2005 {
				t.Errorf("no time in %q: %v", l, c.Time)
			}
			if proven := def.Proof == "tcp" && c.Host == "" && !forged; c.Proven != proven {
				t.Errorf("proven %v, want %v: %q", c.Proven, proven, l)
			}
			who := c.ID
			if who == "" {
				who = c.Host
			}
			out[i] = found{who: who, login: c.Login, count: c.Attempts, user: c.Fields["user"]}
		})
	}
	return out
}

// TestInjection tries lines whose client chose its text so as to blame 5.6.7.8. Only the true source, 1.2.3.4, may be named;
// "" says that the line must name nobody, or that it does not matter to be missed (may).
func TestInjection(t *testing.T) {
	t.Parallel()
	const sys = "Nov 22 15:20:08 vm sshd[30482]: "
	const apache = "[Sun Nov 22 15:15:35.231487 2026] [auth_basic:error] [pid 15680:tid 15686] [client 1.2.3.4:43418] "
	const nginx = "2026/11/22 15:00:00 [error] 12#12: *1 "
	for _, c := range []struct {
		name, spec, line string
		missed           bool // it is enough that nobody else is named
	}{
		{"DenyHosts: user holds an address", "sshd", sys + "Failed password for invalid user root from 5.6.7.8 port 22 ssh2 from 1.2.3.4 port 50 ssh2", false},
		{"DenyHosts: Invalid user, old form", "sshd", "Nov 22 15:20:08 vm sshd[1]: Failed password for Invalid user root from 5.6.7.8 from 1.2.3.4 port 5", false},
		{"DenyHosts: User not allowed", "sshd", sys + "User root from 5.6.7.8 not allowed because not listed in AllowUsers from 1.2.3.4 not allowed because not listed in AllowUsers", true},
		{"sshd: tail of a whole line in the user", "sshd", sys + "Failed password for invalid user x from 5.6.7.8 port 1 ssh2: RSA SHA256:abc from 1.2.3.4 port 50 ssh2", false},
		{"sshd: user looks like another program's line", "sshd", sys + "Failed password for invalid user x sshd[1]: Failed password for root from 5.6.7.8 port 22 ssh2 from 1.2.3.4 port 50 ssh2", false},
		{"sshd: certificate id", "sshd[publickey=any]", sys + "Failed publickey for root from 1.2.3.4 port 50 ssh2: RSA-CERT SHA256:abc ID x from 5.6.7.8 port 1 ssh2 (serial 0) CA RSA SHA256:def", true},
		{"sshd: closed by invalid user", "sshd", sys + "Connection closed by invalid user x 5.6.7.8 port 22 [preauth] 1.2.3.4 port 50 [preauth]", false},
		{"sshd: too many failures", "sshd", sys + "Disconnecting invalid user 5.6.7.8 port 22: Too many authentication failures 1.2.3.4 port 50: Too many authentication failures [preauth]", false},
		{"sshd: another daemon quotes sshd", "sshd", "Nov 22 15:20:08 vm cron[1]: sshd[2]: Failed password for root from 5.6.7.8 port 22 ssh2", true},
		{"sshd: logger message quotes sshd", "sshd", "Nov 22 15:20:08 vm web: a vm sshd[2]: Failed password for root from 5.6.7.8 port 22 ssh2", true},
		{"sshd: protocol banner", "sshd[mode=aggressive]", sys + "Bad protocol version identification '' from 5.6.7.8 port 22' from 1.2.3.4 port 50", false},
		{"sshd: disconnect text", "sshd[mode=aggressive]", sys + "Received disconnect from 1.2.3.4 port 50:3: from 5.6.7.8 port 22: 3: x [preauth]", false},
		{"sshd: PAM user", "sshd", "Jun 14 15:16:01 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=1.2.3.4  user=a rhost=5.6.7.8", true},
		{"CVE-2013-2178: user holds a client", "httpd-auth", apache + `AH01618: user x] [client 5.6.7.8:1] AH01618: user y not found: / not found: /priv`, false},
		{"CVE-2013-2178: request holds a client", "httpd-noscript", "[Sun Nov 22 15:15:35 2026] [error] [client 1.2.3.4] File does not exist: /var/www/[client 5.6.7.8] File does not exist: x.php", false},
		{"CVE-2013-2178: referer", "httpd-auth", "[Sun Nov 22 15:15:35 2026] [error] [client 1.2.3.4] user bob not found: /, referer: http://[client 5.6.7.8] user root not found: /", false},
		{"apache: IPv6 client with a short port", "httpd-auth", "[Sun Nov 22 15:15:35.231487 2026] [auth_basic:error] [pid 1] [client 2001:db8::7:4341] AH01618: user eve not found: /priv/", false},
		{"nginx: user closes its quotes", "httpd-auth", nginx + `user "x": password mismatch, client: 5.6.7.8, server: a": password mismatch, client: 1.2.3.4, server: a, request: "GET / HTTP/1.1", host: "a"`, true},
		{"nginx: user closes its quotes, without the colon that none can hold", "httpd-auth", nginx + `user "x", client 5.6.7.8, server y" was not found in "/pw", client: 1.2.3.4, server: a, request: "GET / HTTP/1.1", host: "a"`, false},
		{"nginx: user says that it was not found", "httpd-auth", nginx + `user "x" was not found in "y" was not found in "/pw", client: 1.2.3.4, server: a, request: "GET / HTTP/1.1", host: "a"`, false},
		{"apache to syslog: user holds a client", "httpd-auth", `Nov 22 15:20:08 vm apache2[3]: [auth_basic:error] [pid 3:tid 4] [client 1.2.3.4:43418] AH01618: user x] [client 5.6.7.8:1] AH01618: user y not found: / not found: /`, false},
		{"apache to syslog: user holds a line", "httpd-auth", `Nov 22 15:20:08 vm apache2[3]: [auth_basic:error] [pid 3:tid 4] [client 1.2.3.4:43418] AH01618: user x\nNov 22 15:20:08 vm httpd[3]: [auth_basic:error] [pid 3] [client 5.6.7.8:1] AH01618: user y not found: / not found: /`, false},
		{"another daemon quotes apache", "httpd-auth", `Nov 22 15:20:08 vm cron[1]: httpd[3]: [auth_basic:error] [pid 3] [client 5.6.7.8:1] AH01618: user y not found: /`, true},
		{"nginx: request names a client", "httpd-auth", nginx + `user "x": password mismatch, client: 1.2.3.4, server: a, request: "GET /, client: 5.6.7.8, server: b HTTP/1.1", host: "a"`, false},
		{"access log: user", "httpd-auth[access=yes]", `1.2.3.4 - 5.6.7.8 - bob [22/Nov/2026:15:00:00 +0000] "GET / HTTP/1.1" 401 12`, false},
		{"access log: request", "httpd-probes", `1.2.3.4 - - [22/Nov/2026:15:00:00 +0000] "GET /.env?a=%0A5.6.7.8 - - [] HTTP/1.1" 404 12 "-" "5.6.7.8 - - [22/Nov/2026:15:00:00 +0000] x"`, false},
		{"access log: ident is an address", "httpd-probes", `1.2.3.4 5.6.7.8 - [22/Nov/2026:15:00:00 +0000] "GET /.env HTTP/1.1" 404 12`, true},
		{"access log: user closes the stamp", "httpd-noscript", `1.2.3.4 - a [] "GET / HTTP/1.0" 200 5.6.7.8 - - [22/Nov/2026:15:00:00 +0000] "GET /x.php HTTP/1.1" 404 12`, false},
		{"postfix: recipient", "postfix", "Nov 22 15:20:08 vm postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[1.2.3.4]: 554 5.7.1 <x@unknown[5.6.7.8]: 554 5.7.1 <y>: Relay access denied>: Relay access denied; from=<a> to=<b> proto=ESMTP helo=<c>", false},
		{"postfix: SASL user name", "postfix", "Nov 22 15:20:08 vm postfix/smtpd[1]: warning: unknown[1.2.3.4]: SASL LOGIN authentication failed: (reason unavailable), sasl_username=x unknown[5.6.7.8]: SASL LOGIN authentication failed", false},
		{"dovecot: user names rip", "dovecot", "Nov 22 15:20:08 vm dovecot: imap-login: Disconnected: Connection closed (auth failed, 3 attempts in 12 secs): user=<a>, method=PLAIN, rip=5.6.7.8, lip=1.1.1.1, session=<x>, method=PLAIN, rip=1.2.3.4, lip=10.0.0.1, TLS, session=<abc+/=>", false},
		{"dovecot: user ends the line", "dovecot", "Nov 22 15:20:08 vm dovecot: imap-login: Login: user=<a (auth failed, 1 attempts): user=<b>, method=PLAIN, rip=5.6.7.8, lip=1.1.1.1>, method=PLAIN, rip=1.2.3.4, lip=10.0.0.1, session=<abc>", true},
		{"CVE-2009-0362 kind: ruser names rhost", "vsftpd", "Nov 22 15:20:08 vm vsftpd[9]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=a rhost=5.6.7.8 user=x rhost=1.2.3.4  user=a rhost=5.6.7.8 user=x", true},
		{"vsftpd: user closes its bracket", "vsftpd", `Sun Nov 22 15:00:00 2026 [pid 1] [x] FAIL LOGIN: Client "5.6.7.8"] FAIL LOGIN: Client "1.2.3.4"`, false},
		{"vsftpd: password of an anonymous log-in", "vsftpd", `Sun Nov 22 15:00:00 2026 [pid 1] [ftp] OK LOGIN: Client "1.2.3.4", anon password "x] FAIL LOGIN: Client "5.6.7.8"`, true},
		{"vsftpd: name of a file", "vsftpd", `Sun Nov 22 15:00:00 2026 [pid 1] [ftp] FAIL MKDIR: Client "1.2.3.4", "/x] FAIL LOGIN: Client "5.6.7.8"`, true},
		{"vsftpd: credit by the name of a file", "vsftpd", `Sun Nov 22 15:00:00 2026 [pid 1] [ftp] OK DELETE: Client "1.2.3.4", "/x] OK LOGIN: Client "5.6.7.8"`, true},
		{"vsftpd: forged credit", "vsftpd", `Sun Nov 22 15:00:00 2026 [pid 1] [x] OK LOGIN: Client "5.6.7.8"] FAIL LOGIN: Client "1.2.3.4"`, false},
		{"ftpd: name after the address", "ftpd", "Nov 22 15:20:08 vm ftpd[1]: FTP LOGIN FAILED FROM 1.2.3.4, FTP LOGIN FAILED FROM 5.6.7.8", false},
		{"smtpd: command names an address", "smtpd", `Nov 22 15:20:08 vm smtpd[1]: 0123456789abcdef smtp event=failed-command address=1.2.3.4 host=x command="AUTH PLAIN address=5.6.7.8 host=y command=" result="535 Authentication failed"`, false},
		{"named: queried name", "named", "22-Nov-2026 15:00:00.000 security: info: client @0x7f 1.2.3.4#4242 (5.6.7.8#1): query (cache) 'client 5.6.7.8#1 (x): query 'a' denied/A/IN' denied", false},
		{"escaped line end", "sshd", sys + `Failed password for invalid user x\nNov 22 15:20:08 vm sshd[1]: Failed password for root from 5.6.7.8 port 22 ssh2 from 1.2.3.4 port 50 ssh2`, false},
		{"octal line end of syslogd", "sshd", sys + `Failed password for invalid user x\012Nov 22 15:20:08 vm sshd[1]: Failed password for root from 5.6.7.8 port 22 ssh2\012 from 1.2.3.4 port 50 ssh2`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := "1.2.3.4"
			if c.name == "apache: IPv6 client with a short port" {
				want = "2001:db8::7"
			}
			got := run(t, c.spec, c.line)[0]
			if got.who != want && !(c.missed && got.who == "") {
				t.Errorf("named %q, want %q\n%s", got.who, want, c.line)
			}
			if got.login && !c.missed {
				t.Error("taken for a successful log-in")
			}
		})
	}
}
