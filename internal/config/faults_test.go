package config

// faultCase is a configuration and all that is wrong with it.
type faultCase struct {
	name, text string
	set        []string
	want       []string
}

var faultCases = []faultCase{
	{name: "none", text: "observe = true\n"},
	{
		name: "all at once",
		text: "observ = true\n[portscan]\nthreshold = \"many\"\nhalf_life = \"soon\"\n\n[pf]\nanchor = \"a-name-that-is-too-long\"\nmaxretry = 3\n[nothing]\nx = 1\n",
		want: []string{
			`t.toml:1: observ: unknown key; did you mean observe?`,
			`t.toml:3: portscan.threshold: got "many", expected a number of doors from 1 to 12`,
			`t.toml:4: portscan.half_life: "soon": expected a duration such as "90s", "10m", "24h", "7d" or "1d12h"`,
			`t.toml:7: pf.anchor: the last part "a-name-that-is-too-long" has 23 characters; expected at most 15, since PF's log keeps no more of it`,
			`t.toml:8: pf.maxretry: unknown key; it belongs to [defaults], [jail.NAME]`,
			`t.toml:9: nothing: no section [nothing]`,
			`t.toml:10: nothing.x: no section [nothing]`,
		},
	},
	{
		name: "wrong types",
		text: "observe = 1\nnever = \"192.0.2.1\"\n[defaults]\nmaxretry = 2.5\nfindtime = 600\nladder = [\n  \"1h\",\n  3600,\n  \"-1h\",\n]\ncombine = \"yes\"\n[metrics]\naddresses = 1979-05-27\n",
		want: []string{
			`t.toml:1: observe: got 1, expected true or false`,
			`t.toml:2: never: got "192.0.2.1", expected a list of addresses, prefixes and names in brackets`,
			`t.toml:4: defaults.maxretry: got 2.5, expected a whole number of failures from 1 to 100000`,
			`t.toml:5: defaults.findtime: got 600, expected a duration in quotes, such as "10m" or "7d"`,
			`t.toml:8: defaults.ladder: got 3600, expected a duration in quotes, such as "10m" or "7d"`,
			`t.toml:9: defaults.ladder: "-1h": expected a duration such as "90s", "10m", "24h", "7d" or "1d12h"`,
			`t.toml:11: defaults.combine: got "yes", expected true or false`,
			`t.toml:13: metrics.addresses: got a date or a table, expected a whole number of addresses from 0 to 100000`,
		},
	},
	{
		name: "addresses",
		text: "never = [\"300.1.2.3\", \"192.0.2.0/33\", \"fe80::1%em0\", \"a b\", \"ok.example\", \"192.0.2.1\", \"192.0.2.1\"]\n[metrics]\nlisten = \"localhost\"\n",
		want: []string{
			`t.toml:1: never: got "300.1.2.3", which is no address; expected an address, a prefix such as 192.0.2.0/24, or a host name`,
			`t.toml:1: never: got "192.0.2.0/33", which is no prefix; expected an address, a prefix such as 192.0.2.0/24, or a host name`,
			`t.toml:1: never: got "fe80::1%em0"; PF's tables know no zone, leave %em0 away`,
			`t.toml:1: never: got "a b", expected an address, a prefix such as 192.0.2.0/24, or a host name`,
			`t.toml:3: metrics.listen: got "localhost" without a port, expected address:port such as "127.0.0.1:9845", or "" for none`,
		},
	},
	{
		name: "twice",
		text: "never = [\"192.0.2.1\",\n\"192.0.2.1\"]\n[portscan]\ntrap_ports = [23, 0, 23, 70000]\n[jail.sshd]\nlogs = [\"/a\", \"/a\"]\n",
		want: []string{
			`t.toml:2: never: 192.0.2.1 is given twice`,
			`t.toml:4: portscan.trap_ports: got 0, expected a port number from 1 to 65535`,
			`t.toml:4: portscan.trap_ports: got 70000, expected a port number from 1 to 65535`,
			`t.toml:6: jail.sshd.logs: /a is given twice`,
		},
	},
	{
		name: "a key twice",
		text: "observe = true\nobserve = false\n",
		want: []string{`t.toml:2: observe: given twice, first in line 1`},
	},
	{
		name: "a section twice",
		text: "[pf]\nlog = true\n[pf]\nkill_states = true\n",
		want: []string{`t.toml:3: pf: given twice, first in line 1`},
	},
	{
		name: "jails",
		text: "[jail.web]\n[jail.x]\nfilter = \"nosuch\"\nlogs = [\"/[\"]\nfailregex = [\"(\"]\n[jail.portscan]\nfilter = \"sshd\"\n[jail.\"a b\"]\n[jail.y]\nfailregex = [\"(\"]\nlogs = [\"/y\"]\nproof = \"udp\"\n",
		want: []string{
			`t.toml:1: jail.web.filter: no filter; expected filter = "NAME" or failregex = […]`,
			`t.toml:1: jail.web.logs: no logs; expected logs = [paths, globs or "-"]`,
			`t.toml:4: jail.x.logs: got "/[", which is no valid glob: a [ or \ in it is not closed`,
			`t.toml:5: jail.x.failregex: the jail has a filter as well; expected one of the two`,
			`t.toml:5: jail.x.failregex: unbalanced (`,
			`t.toml:6: jail.portscan: this name belongs to the packet jail: its section is [portscan]; expected another name`,
			`t.toml:8: jail.a b: "a b" is no name for a jail; expected letters, digits, _ - . and at most 64 of them`,
			`t.toml:10: jail.y.failregex: unbalanced (`,
			`t.toml:12: jail.y.proof: got "udp", expected one of "", "tcp", "none"`,
		},
	},
	{
		name: "unknown filter",
		text: "[jail.x]\nlogs = [\"/x\"]\nfilter = \"nosuch[mode=1]\"\n",
		want: []string{`t.toml:3: jail.x.filter: no filter "nosuch[mode=1]"; expected sshd, postfix …`},
	},
	{
		name: "no TOML",
		text: "observe = \n[pf\nanchor = \"x\"\n[portscan]\nthreshold = 0\nban = \"10m\n",
		want: []string{
			`t.toml:1: not TOML: unexpected character U+000A at start of value`,
			`t.toml:2: not TOML: expected ']' to close table name`,
			`t.toml:5: portscan.threshold: got 0, expected a number of doors from 1 to 12`,
			`t.toml:6: not TOML: basic strings cannot have new lines`,
		},
	},
	{
		name: "not UTF-8",
		text: "observe = true\nfail2ban = \"\xff\"\n",
		want: []string{`t.toml:2: not UTF-8; TOML is`},
	},
	{
		name: "sections and keys mixed up",
		text: "pf = 3\n[observe]\n[jail]\nsshd = 1\n[[portscan]]\n[pf.x.y]\n[jail.a.b.c]\n[[jail.z]]\n",
		want: []string{
			`t.toml:1: pf: got 3, expected a section, [pf]`,
			`t.toml:2: observe: observe is a key, expected observe = …`,
			`t.toml:4: jail.sshd: got 1, expected a section, [jail.NAME]`,
			`t.toml:5: portscan: there is only one of this section, expected [portscan]`,
			`t.toml:6: pf.x.y: no such section: [pf] has no further parts`,
			`t.toml:7: jail.a.b.c: a jail has no further parts (a name with a dot stands in quotes: [jail."a.b"])`,
			`t.toml:8: jail.z: expected [jail.NAME], one section a jail`,
		},
	},
	{
		name: "pf",
		text: "[pf]\nbackend = \"ipfw\"\nanchor = \"a//b\"\nbanned = \"<b>\"\nsuspects = \"\"\nforeign = \"kep\"\nreconcile = \"0s\"\npfctl = \"\"\n[pflog]\ninterface = \"pflog 0\"\nsnaplen = 20\ndialect = \"opensbd\"\nwatch = [\"\"]\n",
		want: []string{
			`t.toml:2: pf.backend: got "ipfw", expected one of "pfctl", "memory"`,
			`t.toml:3: pf.anchor: got "a//b", expected names of letters, digits, _ - . with a / between them, each at most 63 characters`,
			`t.toml:4: pf.banned: got "<b>", expected the name of a table: letters, digits, _ and -, at most 31 characters`,
			`t.toml:5: pf.suspects: got "", expected the name of a table: letters, digits, _ and -, at most 31 characters`,
			`t.toml:6: pf.foreign: got "kep", expected one of "keep", "remove"; did you mean "keep"?`,
			`t.toml:7: pf.reconcile: got "0s", expected a duration from 1s to 24h`,
			`t.toml:8: pf.pfctl: empty, expected the path of pfctl(8)`,
			`t.toml:10: pflog.interface: got "pflog 0", expected the name of an interface or interface group`,
			`t.toml:11: pflog.snaplen: got 20, expected a whole number of bytes from 96 to 65535`,
			`t.toml:12: pflog.dialect: got "opensbd", expected one of "auto", "openbsd", "freebsd", "netbsd", "dragonfly", "darwin"; did you mean "openbsd"?`,
			`t.toml:13: pflog.watch: empty, expected the name of an interface or interface group`,
		},
	},
	{
		name: "listen",
		text: "[metrics]\nlisten = \"::1:9845\"\n[control]\nsocket = \"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\ngroup = \"a b\"\n",
		want: []string{
			`t.toml:2: metrics.listen: got address "::1", expected address:port such as "127.0.0.1:9845", or "" for none (an IPv6 address stands in brackets)`,
			`t.toml:4: control.socket: the path has 115 bytes; the systems allow 103 for a socket`,
			`t.toml:5: control.group: got "a b", expected the name of a group, or "" for the daemon's own`,
		},
	},
	{
		name: "set",
		text: "observe = true\n",
		set:  []string{"portscan.threshold=0", "nonsense", "jail.sshd.maxrety=3", "observe=false", "x="},
		want: []string{
			`--set:1: portscan.threshold: got "0", expected a number of doors from 1 to 12`,
			`--set:2: got "nonsense", expected section.key=value`,
			`--set:3: jail.sshd.maxrety: unknown key; did you mean maxretry?`,
			`--set:5: x: unknown key`,
		},
	},
	{
		name: "same file for two things",
		text: "[store]\nfile = \"/x\"\n[control]\nsocket = \"/x\"\n",
		want: []string{`t.toml:2: store.file: is the control socket's path as well; expected another one`},
	},
}
