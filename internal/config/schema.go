package config

import (
	"time"

	"pfwarden/detect"
)

const (
	day  = 24 * time.Hour
	year = 366 * day
)

// key is one key of a section: what it is called, what it is for, and how it gets into S and out of it.
type key[S any] struct {
	name, doc string
	set       func(*S, value) error
	show      func(*S) string // as TOML
}

// field makes a key of a place in S and a kind of value.
func field[S, V any](name string, where func(*S) *V, k kind[V], doc string) key[S] {
	return key[S]{
		name: name, doc: doc,
		set: func(s *S, v value) error {
			x, err := k.read(v)
			if err != nil {
				return err
			}
			*where(s) = x
			return nil
		},
		show: func(s *S) string { return k.show(*where(s)) },
	}
}

// within makes keys of a part keys of the whole.
func within[W, P any](keys []key[P], part func(*W) *P) []key[W] {
	out := make([]key[W], len(keys))
	for i, k := range keys {
		out[i] = key[W]{
			name: k.name, doc: k.doc,
			set:  func(w *W, v value) error { return k.set(part(w), v) },
			show: func(w *W) string { return k.show(part(w)) },
		}
	}
	return out
}

// section is a table of the file; the one without a name holds the keys before the first header.
type section struct {
	name, doc string
	keys      []key[Config]
}

// sections lists every section but the jails', in the order of the manual.
func sections() []section {
	return []section{
		{"", "", rootKeys()},
		{"pf", "how PF is driven", within(pfKeys(), func(c *Config) *PF { return &c.PF })},
		{"pflog", "where PF's log is read", within(pflogKeys(), func(c *Config) *Pflog { return &c.Pflog })},
		{packetJail, "the packet jail: scans, seen in PF's log", within(portscanKeys(), func(c *Config) *Portscan { return &c.Portscan })},
		{"defaults", "for every log jail; a [jail.NAME] may say otherwise", within(ruleKeys(), func(c *Config) *Rule { return &c.Defaults })},
		{"prefix", "ban a whole prefix once many proven members of it were banned", within(prefixKeys(), func(c *Config) *Prefix { return &c.Prefix })},
		{"guessing", "distributed guessing: many addresses of one prefix, or many that try one user name; slow guessing: one address that tries many names", within(guessingKeys(), func(c *Config) *Guessing { return &c.Guessing })},
		{"metrics", "Prometheus", within(metricsKeys(), func(c *Config) *Metrics { return &c.Metrics })},
		{"store", "the ledger of every decision", within(storeKeys(), func(c *Config) *Store { return &c.Store })},
		{"control", "the socket that pfwarden's other verbs talk to", within(controlKeys(), func(c *Config) *Control { return &c.Control })},
		{"log", "the daemon's own log", within(logKeys(), func(c *Config) *Log { return &c.Log })},
	}
}

func rootKeys() []key[Config] {
	return []key[Config]{
		field("observe", func(c *Config) *bool { return &c.Observe }, boolean(), "decide and report, never touch PF"),
		field("fail2ban", func(c *Config) *string { return &c.Fail2ban }, text(anything), `a fail2ban folder to run as it is, e.g. "/etc/fail2ban"`),
		field("fail2ban_strict", func(c *Config) *bool { return &c.Fail2banStrict }, boolean(), "a fault in that folder prevents the start, as with fail2ban; else only its jail is left out"),
		field("never", func(c *Config) *[]string { return &c.Never }, distinct(list(text(checkNever), "addresses, prefixes and names")),
			"addresses, prefixes and names (re-resolved; the last answer is kept) that are never banned"),
		field("never_defaults", func(c *Config) *bool { return &c.NeverDefaults }, boolean(),
			"nor own addresses, connected networks, default gateways, resolvers, loopback, multicast, the peer of the starting shell"),
	}
}

func pfKeys() []key[PF] {
	return []key[PF]{
		field("backend", func(p *PF) *string { return &p.Backend }, oneOf("pfctl", "memory"), `or "memory": a built-in PF that blocks nothing, for trying out`),
		field("pfctl", func(p *PF) *string { return &p.Pfctl }, text(notEmpty("the path of pfctl(8)")), "path of pfctl(8)"),
		field("anchor", func(p *PF) *string { return &p.Anchor }, text(checkAnchor), "its last component unique and at most 15 characters: pflog records hold no more"),
		field("banned", func(p *PF) *string { return &p.Banned }, text(checkTable), "table of the proven attackers"),
		field("suspects", func(p *PF) *string { return &p.Suspects }, text(checkTable), "table of sources whose address may be forged"),
		field("rules_file", func(p *PF) *string { return &p.RulesFile }, text(anything), "the anchor's rules, instead of the default ones"),
		field("log", func(p *PF) *bool { return &p.Log }, boolean(), `"log" in the default rules`),
		field("kill_states", func(p *PF) *bool { return &p.KillStates }, boolean(), "kill the states of proven attackers"),
		field("keep_on_stop", func(p *PF) *bool { return &p.KeepOnStop }, boolean(), "leave the tables in place when the daemon stops"),
		field("foreign", func(p *PF) *string { return &p.Foreign }, oneOf("keep", "remove"), `or "remove": what to do with table entries that are not ours`),
		field("reconcile", func(p *PF) *time.Duration { return &p.Reconcile }, duration(time.Second, day), "how often the tables are compared with what they should hold"),
	}
}

func pflogKeys() []key[Pflog] {
	return []key[Pflog]{
		field("interface", func(p *Pflog) *string { return &p.Interface }, text(checkInterface), `live source ("" = none); the file fills the gap before the start`),
		field("file", func(p *Pflog) *string { return &p.File }, text(anything), `followed if the interface cannot be opened ("" = never)`),
		field("watch", func(p *Pflog) *[]string { return &p.Watch }, distinct(list(text(checkWatch), "interface names and groups")),
			"interfaces whose blocks are evidence: names or groups; egress = those with a default route"),
		field("snaplen", func(p *Pflog) *int { return &p.Snaplen }, whole(96, 65535, "bytes"), "bytes captured of each packet"),
		field("dialect", func(p *Pflog) *string { return &p.Dialect }, oneOf("auto", "openbsd", "freebsd", "netbsd", "dragonfly", "darwin"),
			"system that writes the log, where its records are ambiguous"),
	}
}

func checkWatch(s string) error {
	if s == "" {
		return notEmpty("the name of an interface or interface group")(s)
	}
	return checkInterface(s)
}

func portscanKeys() []key[Portscan] {
	return []key[Portscan]{
		field("enabled", func(p *Portscan) *bool { return &p.Enabled }, boolean(), ""),
		field("threshold", func(p *Portscan) *float64 { return &p.Threshold }, number(1, detect.MaxDoors, "doors"), "doors: different addresses and ports that a source knocked on"),
		field("half_life", func(p *Portscan) *time.Duration { return &p.HalfLife }, duration(time.Minute, year), "time in which the weight of a door halves"),
		field("trap_ports", func(p *Portscan) *[]uint16 { return &p.TrapPorts }, ports(), "ports that only scanners try from outside"),
		field("table_slots", func(p *Portscan) *int { return &p.TableSlots }, whole(1024, 1<<26, "sources"), "sources remembered in full, 64 bytes each; four times as many are remembered in 8 bytes"),
		field("ban", func(p *Portscan) *time.Duration { return &p.Ban }, duration(time.Second, day), "length of a suspect's ban; never prolonged"),
	}
}

func ruleKeys() []key[Rule] {
	return []key[Rule]{
		field("maxretry", func(r *Rule) *int { return &r.MaxRetry }, whole(1, 100000, "failures"), "failures …"),
		field("findtime", func(r *Rule) *time.Duration { return &r.FindTime }, duration(time.Second, year), "… within this time"),
		field("ladder", func(r *Rule) *[]time.Duration { return &r.Ladder }, list(duration(time.Second, 100*year), "durations"), "length of the first, second, third … ban"),
		field("ladder_memory", func(r *Rule) *time.Duration { return &r.LadderMemory }, duration(0, 100*year), "how long a step is remembered"),
		field("jitter", func(r *Rule) *time.Duration { return &r.Jitter }, duration(0, 30*day), "up to this much is added to the length of a ban, at random"),
		field("prolong", func(r *Rule) *bool { return &r.Prolong }, boolean(), "prolong a proven ban while PF still counts packets of its address"),
		field("prefix4", func(r *Rule) *int { return &r.Prefix4 }, whole(8, 32, "bits"), "length of the IPv4 prefix that is counted and banned as one source"),
		field("prefix6", func(r *Rule) *int { return &r.Prefix6 }, whole(16, 128, "bits"), "the same for IPv6"),
		field("combine", func(r *Rule) *bool { return &r.Combine }, boolean(), "add its share to the suspicion from other jails"),
	}
}

// jailKeys are the keys of a [jail.NAME], those of [defaults] after its own.
func jailKeys() []key[Jail] {
	own := []key[Jail]{
		field("enabled", func(j *Jail) *bool { return &j.Enabled }, boolean(), ""),
		field("filter", func(j *Jail) *string { return &j.Filter }, text(anything), "name[options]; or use failregex instead"),
		field("failregex", func(j *Jail) *[]string { return &j.FailRegex }, list(text(notEmpty("a regular expression")), "regular expressions"), "regular expressions, instead of a filter"),
		field("ignoreregex", func(j *Jail) *[]string { return &j.IgnoreRegex }, list(text(notEmpty("a regular expression")), "regular expressions"), "lines that match one of these are ignored"),
		field("prefregex", func(j *Jail) *string { return &j.PrefRegex }, text(anything), "what a line must match before failregex is tried on its <F-CONTENT>; only with failregex"),
		field("maxlines", func(j *Jail) *int { return &j.MaxLines }, whole(0, 1000, "lines"), "lines that failregex is matched against together; 0 = as the filter says, else 1"),
		field("datepattern", func(j *Jail) *[]string { return &j.DatePattern }, list(text(notEmpty("a date pattern")), "date patterns"), "formats of its time stamps, in fail2ban's notation; [] = the filter's own, or the usual ones"),
		field("usedns", func(j *Jail) *string { return &j.UseDNS }, oneOf("", "yes", "warn", "no", "raw"), `how to treat host names in its lines; "" = as the filter says`),
		field("logencoding", func(j *Jail) *string { return &j.Encoding }, text(anything), `encoding of its logs, such as "iso-8859-1"; "" = UTF-8`),
		field("logtimezone", func(j *Jail) *string { return &j.Timezone }, text(anything), `time zone of time stamps without one, such as "Europe/Berlin"; "" = this machine's`),
		field("counting", func(j *Jail) *string { return &j.Counting }, oneOf("", "window", "fail2ban"), `"" or "window": failures within findtime; "fail2ban": count and ban as that does, by exact address, without gates and proof`),
		field("logs", func(j *Jail) *[]string { return &j.Logs }, distinct(list(text(checkGlob), "paths and globs")), `files and globs; "-" is standard input`),
		field("proof", func(j *Jail) *string { return &j.Proof }, oneOf("", "tcp", "none"), `"" = as the filter says; "tcp": a line proves a completed handshake; or "none"`),
		field("ports", func(j *Jail) *[]uint16 { return &j.Ports }, ports(), "block these ports only; [] = all"),
	}
	return append(own, within(ruleKeys(), func(j *Jail) *Rule { return &j.Rule })...)
}

func prefixKeys() []key[Prefix] {
	return []key[Prefix]{
		field("enabled", func(p *Prefix) *bool { return &p.Enabled }, boolean(), ""),
		field("members", func(p *Prefix) *int { return &p.Members }, whole(2, 256, "members"), "proven members …"),
		field("window", func(p *Prefix) *time.Duration { return &p.Window }, duration(time.Minute, 30*day), "… banned within this time"),
	}
}

func guessingKeys() []key[Guessing] {
	return []key[Guessing]{
		field("act", func(g *Guessing) *bool { return &g.Act }, boolean(), "let failures of those who take part in distributed guessing weigh more; off: only show it"),
		field("addresses", func(g *Guessing) *int { return &g.Addresses }, whole(2, 256, "addresses"), "this many addresses …"),
		field("failures", func(g *Guessing) *int { return &g.Failures }, whole(2, 1000000, "failures"), "… and failures …"),
		field("window", func(g *Guessing) *time.Duration { return &g.Window }, duration(time.Minute, 30*day), "… within this time are distributed guessing"),
		field("weight", func(g *Guessing) *int { return &g.Weight }, whole(1, 1000, "failures"), "with act, the weight of one such failure"),
		field("names", func(g *Guessing) *int { return &g.Names }, whole(0, 64, "user names"), "ban an address that fails with this many user names in one jail; 0 = off …"),
		field("names_window", func(g *Guessing) *time.Duration { return &g.NamesWindow }, duration(time.Minute, 30*day), "… within this time"),
		field("trap_names", func(g *Guessing) *[]string { return &g.TrapNames }, distinct(list(text(anything), "user names")), "names that mostly guessers try: each repeated try counts half a name"),
	}
}

func metricsKeys() []key[Metrics] {
	return []key[Metrics]{
		field("listen", func(m *Metrics) *string { return &m.Listen }, text(checkListen), `address and port; "" = off`),
		field("web_config", func(m *Metrics) *string { return &m.WebConfig }, text(anything), `TLS and basic authentication: a web configuration file of Prometheus' exporters; "" = none`),
		field("addresses", func(m *Metrics) *int { return &m.Addresses }, whole(0, 100000, "addresses"), "at most this many addresses have series of their own, those with most packets"),
	}
}

func storeKeys() []key[Store] {
	return []key[Store]{
		field("file", func(s *Store) *string { return &s.File }, text(notEmpty("the path of the database")), ""),
		field("history", func(s *Store) *time.Duration { return &s.History }, duration(time.Hour, 100*year), "how long ended bans are kept"),
	}
}

func controlKeys() []key[Control] {
	return []key[Control]{
		field("socket", func(s *Control) *string { return &s.Socket }, text(checkSocket), "mode 0660: the group below may read, only root may change anything"),
		field("group", func(s *Control) *string { return &s.Group }, text(checkGroup), ""),
	}
}

func logKeys() []key[Log] {
	return []key[Log]{
		field("level", func(l *Log) *string { return &l.Level }, oneOf("debug", "info", "warn", "error"), ""),
		field("target", func(l *Log) *string { return &l.Target }, oneOf("syslog", "stderr"), `or "stderr"`),
		field("format", func(l *Log) *string { return &l.Format }, oneOf("text", "json"), `or "json", for programs`),
	}
}
