package builtin

import "pfwarden/detect/filter"

// postfix reads refused log-ins, relaying and unknown recipients of Postfix. Option mode=aggressive also counts clients that
// break off after AUTH and those that speak something else than SMTP.
func postfix(o *Options) filter.Definition {
	const client = `[\w.-]+\[<ADDR>\](?::\d+)?`
	def := filter.Definition{
		Proof:     "tcp",
		Prefregex: syslogPrefix(`postfix(?:[-/][\w.-]+)*/(?:smtpd|postscreen)`) + content,
		Failregex: []string{
			`^warning: ` + client + `: SASL [\w-]+ authentication (?:failed|aborted)(?:: (?:[^C]|C[^o]).*?(?:, sasl_username=<F-USER>\S+</F-USER>)?)?$`,
			`^NOQUEUE: reject: RCPT from ` + client + `: \d{3} \d\.\d\.\d <.*>: (?:Relay access denied|Recipient address rejected: User unknown)`,
			`^NOQUEUE: reject: (?:RCPT|MAIL|EHLO|HELO|VRFY) from ` + client + `: [45]\d\d \d\.\d\.\d <.*>: (?:Sender address rejected: (?:not owned|not logged in)|Helo command rejected: (?:need fully-qualified|invalid name|Host not found))`,
			`^NOQUEUE: reject: VRFY from ` + client + `: `,
			`^too many errors after \S+(?: \(\d+ bytes\))? from ` + client + `$`,
		},
		Loginregex: []string{
			`^\w+: client=` + client + `, sasl_method=[\w-]+, sasl_username=<F-USER>[^,\s]+</F-USER>(?:, sasl_sender=.*)?$`,
		},
	}
	if o.take("mode", "normal", "normal", "aggressive") == "aggressive" {
		def.Failregex = append(def.Failregex,
			`^lost connection after AUTH(?: \(\d+ bytes\))? from `+client+`$`,
			`^improper command pipelining after \S+ from `+client+`(?::|$)`,
			`^(?:warning: )?non-SMTP command from `+client+`: `,
			`^NOQUEUE: reject: CONNECT from `+client+`: `,
		)
	}
	return def
}

// opensmtpd reads OpenBSD's smtpd(8). Since 6.4 its failures carry a session's id only; the address was logged when that
// session connected.
func opensmtpd(o *Options) filter.Definition {
	const session = `^<F-MLFID>[0-9a-f]{16}</F-MLFID> smtp `
	return filter.Definition{
		Proof:     "tcp",
		Prefregex: `^(?:<\d{1,3}>(?:1 )?)? ?(?:<\w+\.\w+> )?(?:[^\s<>\[\]]+ )?smtpd(?:\[\d+\]:| \d+ \S+ -) ` + content,
		Failregex: []string{
			session + `(?:event=)?authentication user=<F-USER>\S*</F-USER> address=<ADDR> host=\S+ result=(?:permfail|tempfail)$`,
			session + `(?:event=)?failed-command address=<ADDR> host=\S+ command="(?i:AUTH\b).*" result="5`,
			session + `(?:event=)?failed-command address=<ADDR> host=\S+ command="(?i:RCPT TO).*" result="5\d\d (?:\d\.\d\.\d )?(?:Invalid recipient|Relay|[Uu]nknown|.*not permitted)`,
			session + `<F-NOFAIL>(?:event=)?connected</F-NOFAIL> address=<ADDR> host=\S+$`,
			session + `authentication user=<F-USER>.*</F-USER> result=(?:permfail|tempfail|LoginFail)$`,
			session + `failed-command command="(?i:AUTH)\b.*" result="<F-IFNONE>(?:535|LoginFail)</F-IFNONE>`,
			session + `failed-command command="(?i:RCPT TO).*" result="5\d\d (?:\d\.\d\.\d )?(?:Invalid recipient|Relay|[Uu]nknown|.*not permitted)`,
			session + `<F-NOFAIL><F-MLFFORGET>(?:event=)?(?:disconnected|closed)</F-MLFFORGET></F-NOFAIL>`,
		},
	}
}

// dovecot reads log-ins to IMAP, POP3, submission and ManageSieve. The user's name stands before the address: it is taken
// greedily, and what follows the address may hold no angle bracket but the session's.
func dovecot(o *Options) filter.Definition {
	const (
		service = `^(?:imap|pop3|submission|managesieve)-login: (?:Info: )?`
		whose   = `user=<<F-USER>.*</F-USER>>(?:, method=[\w-]+)?, rip=<ADDR>(?:, rport=\d+)?(?:, lip=[\da-fA-F.:]+)?(?:, lport=\d+)?(?:, [^<>]*)?(?:, session=<[\w+/=]+>)?$`
	)
	return filter.Definition{
		Proof:     "tcp",
		Prefregex: `^(?:<\d{1,3}>(?:1 )?)? ?(?:<\w+\.\w+> )?(?:[^\s<>\[\]]+ )?(?:dovecot(?:\[\d+\])?: )?` + content,
		Failregex: []string{
			service + `(?:Disconnected|Aborted login|Login aborted|Connection closed)(?:: [^<>]*?)? ?\(auth failed, <F-REPEATS>\d+</F-REPEATS> attempts(?: in \d+ secs)?\)(?: \([\w ]+\))?: ` + whose,
			service + `(?:Disconnected|Aborted login|Login aborted)(?:: [^<>]*?)? ?\((?:tried to use disallowed plaintext auth|disconnected while authenticating|auth process communication failure|client didn't finish SASL auth)[^<>]*\): ` + whose,
		},
		Loginregex: []string{service + `Login: ` + whose},
	}
}
