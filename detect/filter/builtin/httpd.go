package builtin

import "pfwarden/detect/filter"

const (
	// apacheLead is what stands before an error's text: its time stamp, already cut out of the brackets, or with "ErrorLog syslog" what syslogd
	// puts there.
	apacheLead = `^(?:\[\]|` + syslogHead + `(?:` + apacheTag + `(?:\[\d+\])?:|` + apacheTag + syslogBare + `)) `
	apacheTag  = `(?:httpd|apache2?)`
	// apacheError begins a line of Apache's error log up to the message: 2.4 with module, process and the client's port, or
	// 1.3 to 2.2. The address stands before any text that the client chose, and that is escaped.
	apacheError = apacheLead + `(?:\[[\w.-]*:\w+\] \[pid \d+(?::tid \d+)?\] (?:\(\d+\)[^\[\]:]*: )?\[client (?:<IP4>|\[?<F-IP6>[0-9a-fA-F:]+</F-IP6>\]?):\d+\]` +
		`|\[\w+\] (?:\(\d+\)[^\[\]:]*: )?\[client (?:<F-ALT_IP4>(?:\d{1,3}\.){3}\d{1,3}</F-ALT_IP4>|<F-ALT_IP6>[0-9a-fA-F:]+</F-ALT_IP6>)\]) (?:AH\d+: )?`
	// nginxError begins a line of nginx' error log, which proves nothing: see filter.Definition.Forgeable.
	nginxError = `^ \[\w+\] \d+#\d+: \*\d+ `
	// nginxClient follows the message there. The client's texts, on both sides of it, are not escaped. So what stands before
	// must hold no quote of the client's, and the rest of the line must either be well-formed or hold no second field that
	// could be the real one: a user name with a quote and a false address in it makes the line name nobody.
	nginxClient = `, client: <ADDR>, server: [^,"]*(?:$|, request: "(?:[^"]*"(?:, \w+: "[^"]*")*|(?:[^,]|,[^ ]|, [^c])*)$)`
	// access begins a line of an access log: common, combined, with a virtual host before it (Apache's vhost_combined and
	// httpd(8)), nginx. Its time stamp is cut out of the brackets.
	access = `^(?:[\w.-]*[a-zA-Z][\w.-]*(?::\d+)? )?<ADDR> - `
	// request is the beginning of the quoted request line, with its method.
	request = `.* \[\] "[A-Z]+ `
	script  = `\.(?:php[0-9]?|phtml|cgi|pl|aspx?|ashx|asmx|jspx?|exe|dll|cfm|py|sh|rb)`
)

// httpdAuth reads failed authentications of Apache 1.3 to 2.4 and nginx in error logs, and status 401 with a user name in access logs, which
// is all that httpd(8) tells (access=no: error logs only); a request without credentials is how every Basic authentication begins, and never counts.
func httpdAuth(o *Options) filter.Definition {
	def := filter.Definition{
		Proof: "tcp", Forgeable: true,
		Failregex: []string{
			apacheError + `user (?:<F-USER>.*?</F-USER>)(?:: authentication failure for "|: authorization failure for "|: password mismatch: | not found: |: invalid password)`,
			apacheError + "Digest: user (?:`?<F-USER>.*?</F-USER>'?)(?:: password mismatch| in realm .* not found)",
			apacheError + "user `<F-USER>.*?</F-USER>' in realm `.*' (?:not found|denied)",
			apacheError + `(?:Digest: )?(?:invalid nonce|client used wrong authentication scheme|nonce mismatch|uri mismatch)`,
			apacheError + `(?:auth_ldap|LDAP): ?authenticate: user <F-USER>.*?</F-USER> authentication failed`,
			// A user name may hold anything but a colon, which ends it (RFC 7617, 2), so that none of it is taken for ", client: ".
			nginxError + `user "<F-USER>[^:]*</F-USER>"(?:: password mismatch| was not found in "[^"]*")` + nginxClient,
		},
	}
	if o.take("access", "yes", "yes", "no") == "yes" {
		def.Failregex = append(def.Failregex, access+`<F-USER>[^\s"-][^"]*</F-USER> \[\] "[^"]*(?:\\"[^"]*)*" 401 `)
	}
	return def
}

// httpdNoScript reads requests for scripts that do not exist.
func httpdNoScript(o *Options) filter.Definition {
	return filter.Definition{
		Proof: "tcp", Forgeable: true,
		Failregex: []string{
			apacheError + `script '[^']*' not found or unable to stat`,
			apacheError + `script not found or unable to stat: `,
			apacheError + `stderr from .*: script not found or unable to stat(?:, referer: .*)?$`, // CGI, as newer releases word it
			apacheError + `attempt to invoke directory as script: `,
			apacheError + `File does not exist: .*` + script + `(?:/.*)?(?:, referer: .*)?$`,
			apacheError + `(?:Got error '|FastCGI: server ".*" stderr: )Primary script unknown`,
			access + request + `[^\s"?]*` + script + `(?:[/?][^"]*)?(?: HTTP/[\d.]+)?" 404 `,
			nginxError + `FastCGI sent in stderr: "(?:PHP message: )?(?:Primary script unknown|Unable to open primary script: [^"]*)" while reading response header from upstream` + nginxClient,
			nginxError + `open\(\) "[^"]*` + script + `(?:/[^"]*)?" failed \(2: No such file or directory\)` + nginxClient,
			nginxError + `"[^"]*` + script + `" is not found \(2: No such file or directory\)` + nginxClient,
		},
	}
}

// httpdOverflows reads overlong and malformed requests.
func httpdOverflows(o *Options) filter.Definition {
	return filter.Definition{
		Proof: "tcp", Forgeable: true,
		Failregex: []string{
			apacheError + `(?:Invalid (?:URI|method) in request|invalid URI path|URI too long|client sent invalid HTTP/0\.9 request)`,
			apacheError + `request failed: (?:URI too long|client's request-line exceeds|(?:[Mm]alformed|[Ii]nvalid|[Ee]rroneous|invalid characters|[Hh]eader|error reading the headers))`,
			apacheError + `(?:erroneous characters after protocol string|[Rr]equest (?:line|header)[\w ]* (?:exceeds|too long|longer))`,
			apacheError + `Request header (?:name|field|value|exceeds)`,
			apacheError + `access to .* failed(?: \(filesystem path '.*'\))?: File name too long`,
			apacheLead + `\[[\w.-]*:?\w+\] (?:\[pid \d+(?::tid \d+)?\] )?\(\d+\)File name too long: \[client (?:<IP4>|\[?<F-IP6>[0-9a-fA-F:]+</F-IP6>\]?):\d+\]`,
			access + `.* \[\] "(?:\\x[0-9a-fA-F]{2}|\\[0abtnvfr]).*" 400 `,
			access + `.* \[\] "[^"]*(?:\\x[0-9a-fA-F]{2}[^"]*){4}" 400 `,
			access + `.* \[\] ".*" 414 `,
			nginxError + `client sent (?:invalid|too long|plain HTTP request to HTTPS|duplicate)[^,"]*` + nginxClient,
			nginxError + `client intended to send too large body: \d+ bytes` + nginxClient,
		},
	}
}

// probes are requests that only somebody looking for a hole makes.
const probes = `(?:/\.env(?:[.~?/&;,:'"\s]|%00|$)|/default\.ida\?|/\.git/|/\.aws/|/\.svn/|/\.ssh/|/\.DS_Store|/\.htpasswd|/\.vscode/|eval-stdin\.php|/phpunit/` +
	`|/cgi-bin/[^"]*(?:\.\.|\.?%2e|%%32)|etc/passwd|etc%2fpasswd|win\.ini|/proc/self/environ|/boaform/|/HNAP1|/GponForm/|/goform/|/setup\.cgi\?|/actuator(?:/|[ ?"])` +
	`|/solr/admin|/_ignition/execute-solution|/wls-wsat/|/invoker/|/jmx-console|/manager/html|/autodiscover\.json\?|/owa/auth/x\.js|/remote/fgt_lang` +
	`|/dana-na/|/vpns/|/wp-config\.php|/thinkphp|invokefunction&function=|/struts|\$\{jndi:|%24%7bjndi|\$%7bjndi|%7[bB]jndi:|\(\) \{ ?:? ?;|\(\)%20\{|\(\)\+\{` +
	`|auto_prepend_file|allow_url_include|/shell\?cd\+|cmd\.exe|wget\+http|wget%20http|/bin/sh|union(?:\+|%20)select|/druid/index|/hudson|/telescope/requests|/debug/default/view|/server-status\?auto)`

// httpdProbes reads requests that match known exploits, in access logs and, where they failed, in error logs. Log-in pages of
// common programs count only if they are not there.
func httpdProbes(o *Options) filter.Definition {
	const (
		userAgents = `(?:\(\) \{|\$\{jndi:|\$\{\$\{)`
		logins     = `(?:/wp-login\.php|/xmlrpc\.php|/wlwmanifest\.xml|/phpmyadmin|/pma/|/myadmin|/adminer|/administrator/index\.php|/admin\.php|/user/login|/joomla)`
	)
	return filter.Definition{
		Proof: "tcp", Forgeable: true,
		Failregex: []string{
			access + `(?i:.* \[\] "[^"]*` + probes + `)`,
			access + `(?i:.* \[\] "[^"]*` + logins + `[^"]*" (?:400|403|404|410) )`,
			access + `.* \[\] ".*` + userAgents,
			apacheError + `(?i:(?:File does not exist: |script '|script not found or unable to stat: |invalid URI path \(|Invalid URI in request ).*(?:` + probes + `|` + logins + `))`,
			nginxError + `(?i:(?:open\(\) )?"[^"]*(?:` + probes + `|` + logins + `)[^"]*" (?:failed|is not found) \(2: No such file or directory\))` + nginxClient,
		},
	}
}
