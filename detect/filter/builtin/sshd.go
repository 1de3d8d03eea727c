package builtin

import "pfwarden/detect/filter"

// sshd reads OpenSSH up to 10.x, whose sessions log as sshd-session and sshd-auth. Each tried password counts once; that of a user it does not
// know counts with the line that says so, which may be the only one. Options:
// mode=aggressive also counts connections that break off before they try (bad protocol, no common key exchange, time-outs);
// publickey=any counts every refused key, not only those of unknown users.
//
// A user name may hold anything, also " from 192.0.2.1 port 22 ssh2": it is taken greedily, so that the address is the last one.
func sshd(o *Options) filter.Definition {
	const (
		user   = `<F-USER>.*</F-USER>`
		from   = ` from <ADDR>(?: port \d+)?(?: ssh2?)?`
		key    = `(?:: [\w@.-]+ (?:SHA256:|MD5:)?[\w:+/=-]+)?`
		tail   = `(?: \[preauth\])?\]?$`
		once   = `<F-IFNONE>`
		noOnce = `</F-IFNONE>`
	)
	def := filter.Definition{
		Proof: "tcp",
		Prefregex: syslogPrefix(`sshd(?:-session|-auth|\(pam_unix\))?`) +
			`(?:message repeated <F-REPEATS>\d+</F-REPEATS> times: \[ )?(?:error: |fatal: )?` + content,
		Failregex: []string{
			`^Failed (?:password|hostbased|keyboard-interactive(?:/(?:bsdauth|skey|\w*dev\w*))?|challenge-response|rhosts-rsa|rsa) for (?:invalid user |illegal user )?` + user + from + tail,
			`^Failed publickey for (?:invalid user |illegal user )` + user + from + key + tail,
			`^PAM: (?:[\w ]+) for (?:illegal user |invalid user )?` + user + ` from <ADDR>` + tail,
			`^Failed ` + once + `keyboard-interactive/pam` + noOnce + ` for (?:invalid user |illegal user )?` + user + from + tail,
			`^authentication failure; logname=\S* uid=\d+ euid=\d+ tty=\S+ ruser= rhost=<ADDR>(?:\s+user=<F-USER>\S*</F-USER>)?\s*$`,
			`^<F-EARLY>(?:Invalid|Illegal) user</F-EARLY> ` + user + from + tail,
			`^<F-NOFAIL>User</F-NOFAIL> ` + user + from + ` not allowed because (?:not listed in AllowUsers|listed in DenyUsers|not in any group|` +
				`a group is listed in DenyGroups|none of user's groups are listed in AllowGroups|shell \S+ (?:does not exist|is not executable)|account is locked)` + tail,
			`^` + once + `maximum authentication attempts exceeded` + noOnce + ` for (?:invalid user |illegal user )?` + user + from + tail,
			`^Disconnecting (?:invalid|authenticating) user ` + user + ` <ADDR> port \d+: ` + once + `Too many authentication failures` + noOnce + tail,
			`^<F-MLFFORGET>(?:Connection (?:closed|reset) by|Disconnected from)</F-MLFFORGET> ` + once + `invalid user` + noOnce + ` ` + user + ` <ADDR> port \d+` + tail,
			`^<F-NOFAIL><F-MLFFORGET>(?:Connection (?:closed|reset) by|Disconnected from) (?:authenticating )?(?:user )?</F-MLFFORGET></F-NOFAIL>(?:` + user + ` )?<ADDR> port \d+` + tail,
		},
		Loginregex: []string{
			`^Accepted \S+ for ` + user + from + key + `$`,
		},
	}
	if o.take("publickey", "invalid", "invalid", "any") == "any" {
		def.Failregex[1] = `^Failed publickey for (?:invalid user |illegal user )?` + user + from + key + tail
	}
	if o.take("mode", "normal", "normal", "aggressive") == "aggressive" {
		aggressive := []string{
			`^Bad protocol version identification '.*' from <ADDR>(?: port \d+)?` + tail,
			`^Did not receive identification string from <ADDR>(?: port \d+)?` + tail,
			`^banner exchange: Connection from <ADDR> port \d+: (?:invalid format|could not read protocol version|Connection reset by peer)` + tail,
			`^Unable to negotiate (?:with|a key exchange method with|a cipher with) <ADDR>(?: port \d+)?: `,
			`^ssh_dispatch_run_fatal: Connection from <ADDR> port \d+: `,
			`^Protocol major versions differ for <ADDR>(?: port \d+)?: `,
			`^Timeout before authentication for (?:connection from )?<ADDR>(?: port \d+)?(?: to \S+, pid = \d+)?$`,
			`^Received disconnect from <ADDR>(?: port \d+)?: ?(?:3|14): ` + once + `.*` + noOnce + `$`,
			`^drop connection #\d+ from \[<ADDR>\]:\d+ on \S+ (?:penalty: .*|past MaxStartups)$`,
			`^(?:Connection (?:closed|reset) by|Disconnected from) ` + once + `authenticating user` + noOnce + ` ` + user + ` <ADDR> port \d+` + tail,
		}
		def.Failregex = append(aggressive, def.Failregex...)
	}
	return def
}
