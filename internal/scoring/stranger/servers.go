package stranger

import (
	"fmt"
	"net/netip"
	"time"
)

// Names of the servers' logs.
const (
	authLog   = "authlog"
	mailLog   = "maillog"
	errorLog  = "error_log"
	accessLog = "access_log"
	nginxLog  = "nginx_error.log"
)

var (
	guessed = []string{"root", "admin", "test", "oracle", "ubuntu", "postgres", "pi", "git", "ftpuser", "user", "support", "deploy"}
	people  = []string{"alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"}
)

// sshFail writes one connection in which a password is refused so many times, and what sshd says at its end.
func (g *gen) sshFail(at time.Duration, a netip.Addr, user string, known bool, tries int) {
	pid, port := g.between(2000, 60000), g.ephemeral()
	sshd := func(after time.Duration, format string, args ...any) {
		g.write(authLog, at+after, a, "sshd[%d]: %s", pid, fmt.Sprintf(format, args...))
	}
	name := user
	if !known {
		sshd(0, "Invalid user %s from %s port %d", user, a, port)
		name = "invalid user " + user
	}
	if g.style.linux {
		if known {
			sshd(0, "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=%s  user=%s", a, user)
		} else {
			sshd(0, "pam_unix(sshd:auth): check pass; user unknown")
			sshd(0, "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=%s ", a)
		}
	}
	for i := range tries {
		sshd(time.Duration(i)*900*time.Millisecond+200*time.Millisecond, "Failed password for %s from %s port %d ssh2", name, a, port)
	}
	end := time.Duration(tries) * time.Second
	who := "authenticating user " + user
	if !known {
		who = "invalid user " + user
	}
	switch g.between(0, 2) {
	case 0:
		sshd(end, "Connection closed by %s %s port %d [preauth]", who, a, port)
	case 1:
		sshd(end, "Received disconnect from %s port %d:11: Bye Bye [preauth]", a, port)
		sshd(end, "Disconnected from %s %s port %d [preauth]", who, a, port)
	default:
		sshd(end, "Connection reset by %s %s port %d [preauth]", who, a, port)
	}
	if g.style.linux && tries > 1 {
		sshd(end, "PAM %d more authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=%s  user=%s", tries-1, a, user)
	}
}

// sshIn writes a log-in that succeeds, after so many refused passwords on the same connection.
func (g *gen) sshIn(at time.Duration, a netip.Addr, user string, refused int) {
	pid, port := g.between(2000, 60000), g.ephemeral()
	if g.style.linux && refused > 0 {
		g.write(authLog, at, a, "sshd[%d]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=%s  user=%s", pid, a, user)
	}
	for i := range refused {
		g.write(authLog, at+time.Duration(i)*4*time.Second+time.Second, a, "sshd[%d]: Failed password for %s from %s port %d ssh2", pid, user, a, port)
	}
	end := at + time.Duration(refused)*5*time.Second + time.Second
	if refused == 0 && g.chance(.5) {
		g.write(authLog, end, a, "sshd[%d]: Accepted publickey for %s from %s port %d ssh2: ED25519 SHA256:6dJz1pYqk0mE0Q0c3oVJ2r8n5u5v9x1y2z3A4B5C6D8", pid, user, a, port)
	} else {
		g.write(authLog, end, a, "sshd[%d]: Accepted password for %s from %s port %d ssh2", pid, user, a, port)
	}
	if g.style.linux {
		g.write(authLog, end, a, "sshd[%d]: pam_unix(sshd:session): session opened for user %s(uid=1000) by (uid=0)", pid, user)
	}
}

// saslFail writes one refused log-in of a mail client at Postfix.
func (g *gen) saslFail(at time.Duration, a netip.Addr) {
	pid := g.between(2000, 60000)
	g.write(mailLog, at, a, "postfix/smtpd[%d]: connect from unknown[%s]", pid, a)
	g.write(mailLog, at+time.Second, a, "postfix/smtpd[%d]: warning: unknown[%s]: SASL LOGIN authentication failed: UGFzc3dvcmQ6", pid, a)
	g.write(mailLog, at+2*time.Second, a, "postfix/smtpd[%d]: disconnect from unknown[%s] ehlo=1 auth=0/1 quit=1 commands=2/3", pid, a)
}

// imapFail writes one refused log-in at Dovecot.
func (g *gen) imapFail(at time.Duration, a netip.Addr, user string) {
	g.write(mailLog, at, a, "dovecot: %s-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<%s>, method=PLAIN, rip=%s, lip=%s, TLS, session=<%x>",
		pick(g, "imap", "pop3"), user, a, g.ssh, g.r.Uint64())
}

// imapIn writes a log-in that succeeds at Dovecot.
func (g *gen) imapIn(at time.Duration, a netip.Addr, user string) {
	g.write(mailLog, at, a, "dovecot: imap-login: Login: user=<%s>, method=PLAIN, rip=%s, lip=%s, mpid=%d, TLS, session=<%x>", user, a, g.ssh, g.between(2000, 60000), g.r.Uint64())
}

// basicFail writes one refused password of a page that Apache guards.
func (g *gen) basicFail(at time.Duration, a netip.Addr, user string, known bool) {
	head := fmt.Sprintf("[auth_basic:error] [pid %d:tid %d] [client %s]", g.between(900, 1100), g.between(20000, 30000), netip.AddrPortFrom(a, g.ephemeral()))
	if known {
		g.write(errorLog, at, a, `%s AH01617: user %s: authentication failure for "/intern/": Password Mismatch`, head, user)
	} else {
		g.write(errorLog, at, a, "%s AH01618: user %s not found: /intern/", head, user)
	}
}

// nginxFail is basicFail at nginx.
func (g *gen) nginxFail(at time.Duration, a netip.Addr, user string, known bool) {
	what := `user "` + user + `" was not found in "/etc/nginx/htpasswd"`
	if known {
		what = `user "` + user + `": password mismatch`
	}
	g.write(nginxLog, at, a, `[error] 812#812: *%d %s, client: %s, server: www.example.org, request: "GET /intern/ HTTP/1.1", host: "www.example.org"`, g.between(1, 99999), what, a)
}

// get writes a request into the access log of httpd.
func (g *gen) get(at time.Duration, a netip.Addr, path string, code int, agent string) {
	g.write(accessLog, at, a, `%s - - [%%s] "GET %s HTTP/1.1" %d %d "-" "%s"`, a, path, code, g.between(150, 9000), agent)
}
