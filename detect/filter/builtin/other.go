package builtin

import "pfwarden/detect/filter"

// ftpd reads the BSDs' ftpd(8). It logs the client's name where it finds one; option names=yes takes those too (they must be
// resolved and are no proof, since whoever owns the address also names it).
func ftpd(o *Options) filter.Definition {
	who, dns := `<ADDR>`, "no"
	if o.take("names", "no", "yes", "no") == "yes" {
		who, dns = `<HOST>`, "warn"
	}
	return filter.Definition{
		Proof:     "tcp",
		UseDNS:    dns,
		Prefregex: syslogPrefix(`ftpd`) + content,
		Failregex: []string{
			`^FTP LOGIN (?:FAILED|REFUSED) FROM ` + who + `(?:,.*| \(.*)?$`,
			`^<F-IFNONE>repeated login failures</F-IFNONE> from ` + who + `(?: \(.*)?$`,
		},
		Loginregex: []string{`^FTP LOGIN FROM ` + who + ` as <F-USER>.*</F-USER>$`},
	}
}

// vsftpd reads its own log and what PAM says of it. The user's name stands before the address in both. It may hold quotes, but not one with a comma
// after it: so ends the address in all other lines of that log, in which a client's text follows (the password of an anonymous log-in, a file's name).
func vsftpd(o *Options) filter.Definition {
	const user = `<F-USER>(?:[^"]|"+[^",])*"*</F-USER>`
	return filter.Definition{
		Proof: "tcp",
		Failregex: []string{
			`^ ?(?:\S+ vsftpd(?:\[\d+\])?: )?\[pid \d+\] \[` + user + `\] FAIL LOGIN: Client "<ADDR>"$`,
			`^ ?\S+ vsftpd(?:\[\d+\])?: pam_unix\(vsftpd:auth\): authentication failure; logname=\S* uid=\d+ euid=\d+ tty=(?:ftp)? ruser=\S* rhost=<ADDR>(?:\s+user=<F-USER>\S*</F-USER>)?\s*$`,
		},
		Loginregex: []string{
			`^ ?(?:\S+ vsftpd(?:\[\d+\])?: )?\[pid \d+\] \[` + user + `\] OK LOGIN: Client "<ADDR>"$`,
		},
	}
}

// named reads refused queries of BIND. They mostly come by UDP, whose sender anybody can forge.
func named(o *Options) filter.Definition {
	return filter.Definition{
		Proof: "none",
		Failregex: []string{
			`^(?:<\d{1,3}>(?:1 )?)? ?(?:(?:[^\s<>\[\]:]+ )?named(?:\[\d+\])?: ?)?(?:[\w-]+: )?(?:(?:error|info|notice|warning|critical|debug \d+): )?` +
				`client (?:@0x[0-9a-f]+ )?<ADDR>#\d+(?:/key \S+)?(?: \(\S*\))?: (?:view [\w.-]+: )?` +
				`(?:(?:query|zone transfer|update|notify|recursion)(?: \(cache\))? '.*' denied|bad zone transfer request: '.*': non-authoritative zone)`,
		},
	}
}

// relayd reads requests that relayd(8) refused itself.
func relayd(o *Options) filter.Definition {
	return filter.Definition{
		Proof:     "tcp",
		Prefregex: syslogPrefix(`relayd`) + content,
		Failregex: []string{
			`^relay \S+, (?:tls )?session \d+ \(\d+ active\), [^,]*, <ADDR>(?::\d+)? -> [^,]*, (?:[45]\d\d )?(?i:forbidden|bad request|rejected|malformed|invalid|method not allowed|request[\w -]* too large|header[\w ]* too long|uri[\w ]* too long)`,
		},
	}
}
