// Package loggen writes server logs of any length in which a known share of the lines are failures, for benchmarks and for
// comparing filters with other programs'. The same seed gives the same log.
package loggen

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// Options of Write.
type Options struct {
	Kind     string    // one of Kinds
	Lines    int       // how many
	Failures float64   // share of lines that are failures, 0 to 1
	Seed     uint64    //
	Start    time.Time // of the first line; later ones follow at up to 2 a second
}

// Kinds are the logs that can be written: what stands between the failures is what such a server writes on a normal day.
func Kinds() []string { return []string{"sshd", "apache", "nginx", "postfix"} }

// Write writes a log and returns how many of its lines are failures.
func Write(w io.Writer, o Options) (failures int, err error) {
	g := &generator{rng: rand.New(rand.NewPCG(o.Seed, 1)), at: o.Start}
	normal, failure, ok := g.lines(o.Kind)
	if !ok {
		return 0, fmt.Errorf("no log of kind %q: expected one of %v", o.Kind, Kinds())
	}
	out := bufio.NewWriterSize(w, 256<<10)
	for range o.Lines {
		g.at = g.at.Add(time.Duration(g.rng.IntN(1000)) * time.Millisecond)
		if g.rng.Float64() < o.Failures {
			failures++
			failure(out)
		} else {
			normal(out)
		}
	}
	return failures, out.Flush()
}

type generator struct {
	rng *rand.Rand
	at  time.Time
}

func (g *generator) pick(list ...string) string { return list[g.rng.IntN(len(list))] }

func (g *generator) address() string {
	return fmt.Sprintf("%d.%d.%d.%d", 1+g.rng.IntN(223), g.rng.IntN(256), g.rng.IntN(256), 1+g.rng.IntN(254))
}

func (g *generator) port() int { return 1024 + g.rng.IntN(64000) }

func (g *generator) user() string {
	return g.pick("root", "admin", "test", "oracle", "ubuntu", "git", "postgres", "www", "bob", "alice")
}

func (g *generator) lines(kind string) (normal, failure func(io.Writer), ok bool) {
	switch kind {
	case "sshd":
		return g.syslogNormal, g.sshdFailure, true
	case "apache":
		return g.apacheNormal, g.apacheFailure, true
	case "nginx":
		return g.nginxNormal, g.nginxFailure, true
	case "postfix":
		return g.postfixNormal, g.postfixFailure, true
	}
	return nil, nil, false
}

func (g *generator) syslog(w io.Writer, program, format string, args ...any) {
	fmt.Fprintf(w, "%s gw %s[%d]: %s\n", g.at.Format(time.Stamp), program, 300+g.rng.IntN(30000), fmt.Sprintf(format, args...))
}

func (g *generator) syslogNormal(w io.Writer) {
	switch g.rng.IntN(6) {
	case 0:
		g.syslog(w, "sshd", "Accepted publickey for %s from %s port %d ssh2: ED25519 SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8", g.user(), g.address(), g.port())
	case 1:
		g.syslog(w, "sshd", "pam_unix(sshd:session): session opened for user %s(uid=1000) by (uid=0)", g.user())
	case 2:
		g.syslog(w, "sshd", "Disconnected from user %s %s port %d", g.user(), g.address(), g.port())
	case 3:
		g.syslog(w, "CRON", "pam_unix(cron:session): session closed for user %s", g.user())
	case 4:
		g.syslog(w, "sudo", "%s : TTY=pts/0 ; PWD=/home/%s ; USER=root ; COMMAND=/usr/bin/apt-get update", g.user(), g.user())
	default:
		g.syslog(w, "systemd-logind", "New session %d of user %s.", g.rng.IntN(9999), g.user())
	}
}

func (g *generator) sshdFailure(w io.Writer) {
	g.syslog(w, "sshd", "Failed password for %s%s from %s port %d ssh2", g.pick("", "invalid user "), g.user(), g.address(), g.port())
}

func (g *generator) apache(w io.Writer, module, level, format string, args ...any) {
	fmt.Fprintf(w, "[%s] [%s:%s] [pid %d:tid %d] [client %s:%d] %s\n", g.at.Format("Mon Jan 02 15:04:05.000000 2006"), module, level,
		g.rng.IntN(30000), g.rng.IntN(30000), g.address(), g.port(), fmt.Sprintf(format, args...))
}

func (g *generator) path() string {
	return "/" + g.pick("img", "css", "js", "blog", "api", "static") + "/" + g.pick("a", "index", "main", "logo") + g.pick(".png", ".css", ".html", "", ".js")
}

func (g *generator) apacheNormal(w io.Writer) {
	switch g.rng.IntN(3) {
	case 0:
		g.apache(w, "core", "info", "AH00128: File does not exist: /var/www/html%s", g.path())
	case 1:
		g.apache(w, "ssl", "info", "AH01964: Connection to child %d established (server www.example.org:443)", g.rng.IntN(64))
	default:
		g.apache(w, "authz_core", "debug", "AH01626: authorization result of Require all granted: granted, referer: https://www.example.org%s", g.path())
	}
}

func (g *generator) apacheFailure(w io.Writer) {
	if g.rng.IntN(2) == 0 {
		g.apache(w, "auth_basic", "error", "AH01618: user %s not found: %s", g.user(), g.path())
		return
	}
	g.apache(w, "auth_basic", "error", "AH01617: user %s: authentication failure for %q: Password Mismatch", g.user(), g.path())
}

func (g *generator) nginx(w io.Writer, format string, args ...any) {
	address := g.address()
	fmt.Fprintf(w, "%s [error] %d#%d: *%d %s, client: %s, server: www.example.org, request: \"GET %s HTTP/1.1\", host: \"www.example.org\"\n",
		g.at.Format("2006/01/02 15:04:05"), 800, 800, g.rng.IntN(99999), fmt.Sprintf(format, args...), address, g.path())
}

func (g *generator) nginxNormal(w io.Writer) {
	if g.rng.IntN(2) == 0 {
		g.nginx(w, "open() \"/usr/share/nginx/html%s\" failed (2: No such file or directory)", g.path())
		return
	}
	g.nginx(w, "upstream timed out (110: Connection timed out) while reading response header from upstream")
}

func (g *generator) nginxFailure(w io.Writer) {
	if g.rng.IntN(2) == 0 {
		g.nginx(w, "user %q was not found in \"/etc/nginx/.htpasswd\"", g.user())
		return
	}
	g.nginx(w, "user %q: password mismatch", g.user())
}

func (g *generator) postfixNormal(w io.Writer) {
	switch g.rng.IntN(5) {
	case 0:
		g.syslog(w, "postfix/smtpd", "connect from mail.example.net[%s]", g.address())
	case 1:
		g.syslog(w, "postfix/smtpd", "disconnect from mail.example.net[%s] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5", g.address())
	case 2:
		g.syslog(w, "postfix/cleanup", "4B1C2D3E%02X: message-id=<%d@mail.example.net>", g.rng.IntN(256), g.rng.IntN(1e9))
	case 3:
		g.syslog(w, "postfix/qmgr", "4B1C2D3E%02X: from=<%s@example.net>, size=%d, nrcpt=1 (queue active)", g.rng.IntN(256), g.user(), g.rng.IntN(90000))
	default:
		g.syslog(w, "postfix/smtp", "4B1C2D3E%02X: to=<%s@example.com>, relay=mx.example.com[%s]:25, delay=0.5, dsn=2.0.0, status=sent (250 2.0.0 Ok)", g.rng.IntN(256), g.user(), g.address())
	}
}

func (g *generator) postfixFailure(w io.Writer) {
	if g.rng.IntN(2) == 0 {
		g.syslog(w, "postfix/smtpd", "warning: unknown[%s]: SASL LOGIN authentication failed: UGFzc3dvcmQ6", g.address())
		return
	}
	g.syslog(w, "postfix/smtpd", "NOQUEUE: reject: RCPT from unknown[%s]: 554 5.7.1 <%s@example.com>: Relay access denied; from=<a@b.example> to=<%s@example.com> proto=ESMTP helo=<x>",
		g.address(), g.user(), g.user())
}
