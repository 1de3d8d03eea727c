package config

import (
	"time"

	"pfwarden/detect"
)

// Default is the configuration of an empty file on the given operating system (a GOOS); an unknown one gets Linux'.
// Its jails are the servers whose usual logs that system has; those whose logs are missing on this machine stay off.
func Default(goos string) *Config {
	s, known := systems()[goos]
	if !known {
		goos = "linux"
		s = systems()[goos]
	}
	c := &Config{
		NeverDefaults: true,
		PF: PF{
			Backend: "pfctl", Pfctl: "/sbin/pfctl", Anchor: "pfwarden", Banned: "banned", Suspects: "suspects",
			Log: true, KillStates: true, KeepOnStop: true, Foreign: "keep", Reconcile: time.Minute,
		},
		Pflog:    Pflog{Interface: "pflog0", File: "/var/log/pflog", Watch: []string{"egress"}, Snaplen: 256, Dialect: "auto"},
		Portscan: Portscan{Enabled: true, Threshold: 7, HalfLife: day, TrapPorts: detect.DefaultTrapPorts(), TableSlots: 1 << 18, Ban: 10 * time.Minute},
		Defaults: Rule{
			MaxRetry: 5, FindTime: 10 * time.Minute, Ladder: []time.Duration{10 * time.Minute, time.Hour, day, 7 * day},
			LadderMemory: 30 * day, Prolong: true, Prefix4: 32, Prefix6: 64, Combine: true,
		},
		Prefix: Prefix{Members: 12, Window: 6 * time.Hour},
		Guessing: Guessing{
			Addresses: 12, Failures: 24, Window: 6 * time.Hour, Weight: 2, Names: 6, NamesWindow: 24 * time.Hour,
			TrapNames: detect.DefaultTrapNames(),
		},
		Metrics: Metrics{Listen: "127.0.0.1:9845", Addresses: 100},
		Store:   Store{File: s.state + "/pfwarden.db", History: 90 * day},
		Control: Control{Socket: s.run + "/pfwarden.sock", Group: s.group},
		Log:     Log{Level: "info", Target: "syslog", Format: "text"},
		OS:      goos,
	}
	for _, u := range s.usual {
		for _, name := range u.filters() {
			logs := append([]string(nil), u.logs...)
			c.Jails = append(c.Jails, Jail{Name: name, Enabled: true, Filter: name, Logs: logs, Rule: c.Defaults.clone(), Builtin: true})
		}
	}
	return c
}

// clone copies what r refers to, so that two jails never share a ladder.
func (r Rule) clone() Rule {
	r.Ladder = append([]time.Duration(nil), r.Ladder...)
	return r
}

// system is where an operating system keeps things.
type system struct {
	state, run, group string
	usual             []usual
}

// usual names the logs that a server writes to where nobody changed its or syslogd's configuration.
type usual struct {
	jail string // and its filter; "httpd" stands for all filters for web servers
	logs []string
}

// filters names the jails that read the server's logs, each after its filter. A web server's error log and access log are read by the
// same ones, since servers differ in what they write where.
func (u usual) filters() []string {
	if u.jail == "httpd" {
		return []string{"httpd-auth", "httpd-noscript", "httpd-overflows", "httpd-probes"}
	}
	return []string{u.jail}
}

// Places, by the systems' own files: syslog.conf and newsyslog.conf of each base system, the ports' and packages' httpd and
// nginx, and Debian's and Red Hat's packages for Linux.
func systems() map[string]system {
	return map[string]system{
		"openbsd": {"/var/db/pfwarden", "/var/run", "wheel", []usual{
			{"sshd", []string{"/var/log/authlog"}},
			{"httpd", []string{"/var/www/logs/access.log", "/var/www/logs/access_log", "/var/www/logs/error.log", "/var/www/logs/error_log"}},
			{"smtpd", []string{"/var/log/maillog"}},
			{"postfix", []string{"/var/log/maillog"}},
			{"dovecot", []string{"/var/log/maillog"}},
			{"ftpd", []string{"/var/log/xferlog"}},
			{"named", []string{"/var/log/daemon"}},
			{"relayd", []string{"/var/log/daemon"}},
		}},
		"freebsd": {"/var/db/pfwarden", "/var/run", "wheel", []usual{
			{"sshd", []string{"/var/log/auth.log"}},
			{"httpd", []string{
				"/var/log/httpd-access.log", "/var/log/nginx/access.log", "/var/log/nginx-access.log", "/var/log/httpd-error.log",
				"/var/log/nginx/error.log", "/var/log/nginx-error.log",
			}},
			{"postfix", []string{"/var/log/maillog"}},
			{"smtpd", []string{"/var/log/maillog"}},
			{"dovecot", []string{"/var/log/maillog"}},
			{"ftpd", []string{"/var/log/xferlog"}},
			{"vsftpd", []string{"/var/log/vsftpd.log"}},
			{"named", []string{"/var/log/messages", "/var/log/named/*.log"}},
		}},
		"dragonfly": {"/var/db/pfwarden", "/var/run", "wheel", []usual{
			{"sshd", []string{"/var/log/auth.log"}},
			{"httpd", []string{
				"/var/log/httpd-access.log", "/var/log/nginx/access.log", "/var/log/nginx-access.log", "/var/log/httpd-error.log",
				"/var/log/nginx/error.log", "/var/log/nginx-error.log",
			}},
			{"postfix", []string{"/var/log/maillog"}},
			{"dovecot", []string{"/var/log/maillog"}},
			{"ftpd", []string{"/var/log/xferlog"}},
			{"vsftpd", []string{"/var/log/vsftpd.log"}},
			{"named", []string{"/var/log/messages"}},
		}},
		"netbsd": {"/var/db/pfwarden", "/var/run", "wheel", []usual{
			{"sshd", []string{"/var/log/authlog"}},
			{"httpd", []string{"/var/log/httpd/access_log", "/var/log/nginx/access.log", "/var/log/httpd/error_log", "/var/log/nginx/error.log"}},
			{"postfix", []string{"/var/log/maillog"}},
			{"dovecot", []string{"/var/log/maillog"}},
			{"ftpd", []string{"/var/log/xferlog"}},
			{"vsftpd", []string{"/var/log/vsftpd.log"}},
			{"named", []string{"/var/log/messages"}},
		}},
		"darwin": {"/var/db/pfwarden", "/var/run", "wheel", []usual{
			{"sshd", []string{"/var/log/system.log"}},
			{"httpd", []string{
				"/var/log/apache2/access_log", "/usr/local/var/log/nginx/access.log", "/opt/homebrew/var/log/nginx/access.log",
				"/var/log/apache2/error_log", "/usr/local/var/log/nginx/error.log", "/opt/homebrew/var/log/nginx/error.log",
			}},
			{"postfix", []string{"/var/log/mail.log"}},
		}},
		"linux": {"/var/lib/pfwarden", "/run", "adm", []usual{
			{"sshd", []string{"/var/log/auth.log", "/var/log/secure"}},
			{"httpd", []string{
				"/var/log/apache2/*access.log", "/var/log/httpd/*access_log", "/var/log/nginx/*access.log", "/var/log/apache2/*error.log",
				"/var/log/httpd/*error_log", "/var/log/nginx/*error.log",
			}},
			{"postfix", []string{"/var/log/mail.log", "/var/log/maillog"}},
			{"dovecot", []string{"/var/log/mail.log", "/var/log/maillog"}},
			{"vsftpd", []string{"/var/log/vsftpd.log"}},
			{"named", []string{"/var/log/syslog", "/var/log/named/*.log"}},
		}},
	}
}
