package builtin

import (
	"os"
	"strings"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/detect/filter"
)

// server is how a program writes what its clients chose: {} stands for a client's text, ADDR for his address.
type server struct {
	specs    []string // of the filters that read its log
	head     string   // of every line, with the time that is true
	messages []string
	escape   *strings.Replacer // what it does to a client's text; nil = nothing
}

const (
	trueTime, forgedTime = "15:20:08", "03:04:05"
	source, innocent     = "1.2.3.4", "5.6.7.8"
)

// servers are the forms of which attacks on log readers are made: those that a filter counts, those that name an address beside a text of the
// client's, and those that are nothing but such a text.
func servers() map[string]server {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\x00", `\x00`, "\x1b", `\x1b`, "\v", `\v`, "\f", `\f`)
	visible := strings.NewReplacer("\n", `\n`, "\r", `\r`, "\x00", `\000`, "\x1b", `\033`, "\v", `\v`, "\f", `\f`)
	asked := strings.NewReplacer("\n", "?", "\r", "?", "\x00", "?", "\x1b", "?", "\v", "?", "\f", "?")
	return map[string]server{
		"sshd": {[]string{"sshd", "sshd[mode=aggressive]", "sshd[publickey=any]"}, "Nov 22 15:20:08 vm sshd[30482]: ", []string{
			"Failed password for invalid user {} from ADDR port 50 ssh2", "Failed none for invalid user {} from ADDR port 50 ssh2", "Invalid user {} from ADDR port 50", "Invalid user {} from ADDR",
			"Failed keyboard-interactive/pam for invalid user {} from ADDR port 50 ssh2", "Failed publickey for invalid user {} from ADDR port 50 ssh2: RSA SHA256:abcdef",
			"Failed publickey for root from ADDR port 50 ssh2: RSA-CERT SHA256:abc ID {} (serial 0) CA RSA SHA256:def", "Accepted publickey for git from ADDR port 50 ssh2: RSA-CERT SHA256:abc ID {} (serial 0) CA RSA SHA256:def",
			"Connection closed by invalid user {} ADDR port 50 [preauth]", "Connection reset by invalid user {} ADDR port 50 [preauth]", "Disconnected from invalid user {} ADDR port 50 [preauth]",
			"Disconnecting invalid user {} ADDR port 50: Too many authentication failures [preauth]", "Disconnecting invalid user {} ADDR port 50: Change of username or service not allowed: ({},ssh-connection) -> ({},ssh-connection) [preauth]",
			"error: maximum authentication attempts exceeded for invalid user {} from ADDR port 50 ssh2 [preauth]", "User {} from ADDR not allowed because not listed in AllowUsers", "input_userauth_request: invalid user {} [preauth]",
			"error: PAM: User not known to the underlying authentication module for illegal user {} from ADDR", "error: PAM: Authentication failure for {} from ADDR", "Received disconnect from ADDR port 50:11: {} [preauth]", "Received disconnect from ADDR port 50:3: {} [preauth]",
			"Bad protocol version identification '{}' from ADDR port 50", "Unable to negotiate with ADDR port 50: no matching key exchange method found. Their offer: {} [preauth]", "userauth_pubkey: unsupported public key algorithm: {} [preauth]",
			"pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=ADDR  user={}", "pam_unix(sshd:auth): bad username [{}]", "message repeated 2 times: [ Failed password for invalid user {} from ADDR port 50 ssh2]",
			"subsystem request for {} by user git failed, subsystem not found", "Accepted password for git from ADDR port 50 ssh2", "error: kex_exchange_identification: client sent invalid protocol identifier \"{}\"",
			"banner exchange: Connection from ADDR port 50: invalid format", "Did not receive identification string from ADDR port 50", "Timeout before authentication for ADDR port 50", "drop connection #1 from [ADDR]:50 on [10.0.0.1]:22 past MaxStartups",
		}, visible},
		"dovecot": {[]string{"dovecot"}, "Nov 22 15:20:08 vm dovecot: ", []string{
			"imap-login: Disconnected: Connection closed (auth failed, 3 attempts in 12 secs): user=<{}>, method=PLAIN, rip=ADDR, lip=10.0.0.1, TLS, session=<abc+/=>", "imap-login: Aborted login (auth failed, 1 attempts): user=<{}>, method=PLAIN, rip=ADDR, lip=10.0.0.1, session=<abc>",
			"imap-login: Disconnected (client didn't finish SASL auth, waited 3 secs): user=<{}>, method=PLAIN, rip=ADDR, lip=10.0.0.1, session=<abc>", "pop3-login: Login: user=<{}>, method=PLAIN, rip=ADDR, lip=10.0.0.1, mpid=1, TLS, session=<abc>",
			"auth-worker(1): Info: sql({},ADDR): Password mismatch", "auth: Info: pam({},ADDR): unknown user", "imap({})<12><abc>: Logged out in=1 out=2", "imap(git)<12><abc>: Info: expunge: box={}, uid=1, msgid=<{}>, size=1",
		}, asked},
		"postfix": {[]string{"postfix", "postfix[mode=aggressive]"}, "Nov 22 15:20:08 vm postfix/smtpd[1]: ", []string{
			"warning: unknown[ADDR]: SASL LOGIN authentication failed: {}", "warning: unknown[ADDR]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username={}", "NOQUEUE: reject: RCPT from unknown[ADDR]: 554 5.7.1 <{}>: Relay access denied; from=<{}> to=<{}> proto=ESMTP helo=<{}>",
			"NOQUEUE: reject: RCPT from unknown[ADDR]: 450 4.7.1 <{}>: Helo command rejected: Host not found; from=<{}> to=<{}> proto=ESMTP helo=<{}>", "NOQUEUE: reject: RCPT from unknown[ADDR]: 550 5.1.1 <{}>: Recipient address rejected: User unknown in local recipient table; from=<{}> to=<{}> proto=ESMTP helo=<{}>",
			"NOQUEUE: reject: RCPT from unknown[ADDR]: 450 4.1.8 <{}>: Sender address rejected: Domain not found; from=<{}> to=<a@b> proto=ESMTP helo=<{}>", "improper command pipelining after AUTH from unknown[ADDR]: {}", "lost connection after AUTH from unknown[ADDR]", "warning: non-SMTP command from unknown[ADDR]: {}",
			"too many errors after AUTH from unknown[ADDR]", "4F1A2B: client=unknown[ADDR], sasl_method=LOGIN, sasl_username={}", "NOQUEUE: filter: RCPT from unknown[ADDR]: <{}>: Sender address triggers FILTER x; from=<{}> to=<{}>", "4F1A2B: reject: header Subject: {} from unknown[ADDR]; from=<{}> to=<a@b> proto=ESMTP helo=<{}>: 5.7.1 no",
			"warning: Illegal address syntax from unknown[ADDR] in MAIL command: <{}>", "statistics: max message rate 1/60s for (smtp:ADDR) at Nov 22 15:20:08",
		}, asked},
		"vsftpd": {[]string{"vsftpd"}, "Sun Nov 22 15:20:08 2026 [pid 1] ", []string{
			`[{}] FAIL LOGIN: Client "ADDR"`, `[{}] OK LOGIN: Client "ADDR"`, `[ftp] OK LOGIN: Client "ADDR", anon password "{}"`, `CONNECT: Client "ADDR"`, `[git] FAIL MKDIR: Client "ADDR", "/{}"`, `[git] OK DELETE: Client "ADDR", "/{}"`, `[git] FAIL DOWNLOAD: Client "ADDR", "/{}", 0.00Kbyte/sec`,
			`[git] OK RENAME: Client "ADDR", "/{} /{}"`, `[git] FAIL CHMOD: Client "ADDR", "/{} 644"`, `FTP command: Client "ADDR", "USER {}"`, `[git] FTP command: Client "ADDR", "CWD {}"`, `[git] FTP response: Client "ADDR", "257 "/{}""`,
		}, asked},
		"ftpd": {[]string{"ftpd", "ftpd[names=yes]"}, "Nov 22 15:20:08 vm ftpd[1]: ", []string{
			"FTP LOGIN FAILED FROM ADDR, {}", "FTP LOGIN REFUSED FROM ADDR, {}", "FTP LOGIN FROM ADDR as {}", "ANONYMOUS FTP LOGIN FROM ADDR, {}", "repeated login failures from ADDR", "connection from ADDR", "put /{}", "get {} = 12 bytes", "mkdir /{}", "rename /{} /{}",
		}, asked},
		"smtpd": {[]string{"smtpd"}, "Nov 22 15:20:08 vm smtpd[1]: ", []string{
			"0123456789abcdef smtp authentication user={} address=ADDR host=x result=permfail", `0123456789abcdef smtp failed-command address=ADDR host=x command="AUTH PLAIN {}" result="535 Authentication failed"`, `0123456789abcdef smtp failed-command address=ADDR host=x command="{}" result="500 5.5.1 Invalid command"`,
			`0123456789abcdef smtp failed-command address=ADDR host=x command="RCPT TO:<{}>" result="550 Invalid recipient: <{}>"`, "0123456789abcdef smtp message address=ADDR host=x msgid=1 from=<{}> to=<{}> size=1", "info: {}",
		}, asked},
		"named": {[]string{"named"}, "22-Nov-2026 15:20:08.000 ", []string{"security: info: client @0x7f ADDR#4242 ({}): query (cache) '{}/A/IN' denied", "security: error: client ADDR#4: zone transfer '{}/AXFR/IN' denied", "lame-servers: info: connection refused resolving '{}/A/IN': ADDR#53"}, asked},
		"apache": {[]string{"httpd-auth", "httpd-noscript", "httpd-overflows", "httpd-probes"}, "[Sun Nov 22 15:20:08.231487 2026] ", []string{
			"[auth_basic:error] [pid 1:tid 2] [client ADDR:4] AH01618: user {} not found: /{}", `[auth_basic:error] [pid 1:tid 2] [client ADDR:4] AH01617: user {}: authentication failure for "/{}": Password Mismatch, referer: {}`,
			"[auth_digest:error] [pid 1] [client ADDR:4] AH01790: user `{}' in realm `x' not found: /{}", "[core:info] [pid 1] [client ADDR:4] AH00128: File does not exist: /var/www/{}, referer: {}", "[cgi:error] [pid 1] [client ADDR:4] AH02811: script not found or unable to stat: /usr/lib/cgi-bin/{}",
			"[core:error] [pid 1] (36)File name too long: [client ADDR:4] AH00036: access to /{} failed (filesystem path '/var/www/{}')", "[core:error] [pid 1] [client ADDR:4] AH00126: Invalid URI in request GET {} HTTP/1.1", "[php:error] [pid 1] [client ADDR:4] script '/var/www/{}' not found or unable to stat, referer: {}",
			"[cgi:error] [pid 1] [client ADDR:4] AH01215: {}: /usr/lib/cgi-bin/x", "[proxy:error] [pid 1] (111)Connection refused: AH00957: http: attempt to connect to 10.0.0.1:80 ({}) failed", "[access_compat:error] [pid 1] [client ADDR:4] AH01797: client denied by server configuration: /var/www/{}",
			`[:error] [pid 1] [client ADDR:4] ModSecurity: Access denied with code 403 (phase 2). Pattern match "x" at ARGS:{}. [uri "/{}"]`,
		}, quoted},
		"access log": {[]string{"httpd-auth", "httpd-noscript", "httpd-overflows", "httpd-probes"}, "", []string{
			`ADDR - {} [22/Nov/2026:15:20:08 +0000] "GET /{} HTTP/1.1" 401 12 "{}" "{}"`, `ADDR - - [22/Nov/2026:15:20:08 +0000] "GET /{}.php HTTP/1.1" 404 12 "{}" "{}"`, `ADDR - - [22/Nov/2026:15:20:08 +0000] "{}" 400 12 "-" "-"`, `www.example.org:80 ADDR - - [22/Nov/2026:15:20:08 +0000] "GET /.env?{} HTTP/1.1" 404 12 "{}" "{}"`,
		}, quoted},
	}
}

// texts are what a client may choose to be taken for somebody else: every run of words of every line that his server may write about the innocent, with and
// without what closes the field that he fills, and whole lines after whatever could end one.
func (s server) texts() (list []string) {
	closers := []string{"", "'", `"`, `">`, ">", "]", ")", "`", `', `, `", `, `\`, ` `}
	for _, m := range s.messages {
		m = strings.NewReplacer("ADDR", innocent, "{}", "x").Replace(m)
		for _, line := range []string{m, strings.ReplaceAll(s.head+m, trueTime, forgedTime)} {
			words := strings.SplitAfter(line, " ")
			for i := range words {
				for j := i + 1; j <= len(words); j++ {
					run := strings.TrimSpace(strings.Join(words[i:j], ""))
					if !strings.Contains(run, innocent) {
						continue
					}
					open := strings.TrimRight(run, "\"'>)]:,;") // the server itself closes it
					list = append(list, run, "x "+run, open, "x "+open, "x\" "+open)
					if i == 0 || j == len(words) {
						for _, c := range closers {
							list = append(list, "x"+c+run, run+c, "x"+c+" "+run+c+"x")
						}
					}
				}
			}
			for _, end := range []string{"\n", "\r", "\r\n", "\x00", "\x1b[2K\x1b[1G", "\v", "\f", "\u0085", "\u2028", "\u202e", "%n%s", "\\n", "\\012", "\\x0a", "#012", "\u00a0", strings.Repeat("A", 5000)} {
				list = append(list, "x"+end+line, "x"+end+line+end, line+end+"x")
			}
		}
	}
	return list
}

// TestForgedValues fills every field that a client chooses with what could make him somebody else. Whoever is found is he; what is said to be proven is
// about him, at the time of the line; and no line that tells of no log-in is taken for one.
func TestForgedValues(t *testing.T) {
	t.Parallel()
	for name, s := range servers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			texts := s.texts()
			most := 12000 // lines for each filter
			if testing.Short() || raceEnabled {
				most = 1000
			}
			step := 1 + len(texts)*len(s.messages)/most
			if os.Getenv("PFWARDEN_FULL") != "" {
				step = 1
			}
			if step > 1 { // one of many
				few := texts[:0]
				for i := 0; i < len(texts); i += step {
					few = append(few, texts[i])
				}
				texts = few
			}
			all := 0
			for _, spec := range s.specs {
				f, def := compiled(t, spec)
				set := filter.NewSet([]*filter.Filter{f})
				lines, found, wrong, began := 0, 0, 0, time.Now()
				for _, m := range s.messages {
					if !strings.Contains(m, "{}") {
						continue
					}
					for _, text := range texts {
						if s.escape != nil {
							text = s.escape.Replace(text)
						}
						line := s.head + strings.ReplaceAll(strings.ReplaceAll(m, "ADDR", source), "{}", text)
						lines++
						set.Match(capture.Line{Text: line, Modified: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}, time.Time{}, func(_ int, c filter.Candidate) {
							found++
							fault := ""
							switch {
							case c.Host != "" && def.Proof == "tcp" && c.Proven:
								fault = "a name is proven"
							case c.Proven && c.ID != source:
								fault = "somebody else is found: " + c.ID
							case c.Proven && c.HasTime && !strings.Contains(c.Time.Format(time.TimeOnly), trueTime):
								fault = "it is dated " + c.Time.String()
							case c.Login && !strings.Contains(m, "Accepted") && !strings.Contains(m, "Login: ") && !strings.Contains(m, "LOGIN FROM") && !strings.Contains(m, "OK LOGIN") && !strings.Contains(m, "client=") && c.ID == source:
								fault = "taken for a log-in"
							default:
								return
							}
							if wrong++; wrong <= 5 {
								t.Errorf("%s: %s in\n%.600q", spec, fault, line)
							}
						})
					}
				}
				all += found
				t.Logf("%s: %d lines, %d found, %d wrong, %v", spec, lines, found, wrong, time.Since(began).Round(time.Millisecond))
			}
			if all == 0 {
				t.Error("nothing was found at all")
			}
		})
	}
}
