// Package config is the configuration of pfwarden: a TOML file becomes a plain struct, on top of the defaults of the
// operating system, and every fault in it is found at once, each with file, line, key, what is wrong and what was expected.
// An unknown key is a fault. It also surveys what a configuration comes to on this machine (which logs exist, which rules
// can never fire). It starts nothing and opens no device.
package config

import "time"

// Config is a whole configuration. Each field stands for the key of the same name in pfwarden.toml(5).
type Config struct {
	Observe        bool     // decide and report, never touch PF
	Fail2ban       string   // a fail2ban folder to run as it is; "" = none
	Fail2banStrict bool     // a fault in it stops the start, as with fail2ban; else it costs the jail it is in
	Never          []string // addresses, prefixes and names that are never banned; see Config.NeverList
	NeverDefaults  bool     // also never: own addresses, connected networks, gateways, resolvers …

	PF       PF
	Pflog    Pflog
	Portscan Portscan
	Defaults Rule
	Jails    []Jail // the system's own first, then the file's in its order
	Prefix   Prefix
	Guessing Guessing
	Metrics  Metrics
	Store    Store
	Control  Control
	Log      Log

	OS     string // whose defaults these are: a GOOS
	Path   string // file it was read from; "" = none, defaults only
	places map[string]place
}

// PF says how PF is driven.
type PF struct {
	Backend    string // "pfctl" or "memory"
	Pfctl      string // path of pfctl(8)
	Anchor     string
	Banned     string // name of the table of proven attackers
	Suspects   string // name of the table of those whose address may be forged
	RulesFile  string // the anchor's own rules; "" = ours
	Log        bool
	KillStates bool
	KeepOnStop bool
	Foreign    string        // "keep" or "remove": table entries that were never ours
	Reconcile  time.Duration // how often the tables are compared with what they should hold
}

// Pflog says where PF's log is read.
type Pflog struct {
	Interface string   // live source; "" = not used
	File      string   // pflogd's file; "" = not used
	Watch     []string // interfaces and interface groups whose blocks are evidence
	Snaplen   int      // bytes
	Dialect   string   // "auto" or the system that writes the log, as pflog.ParseSystem reads it
}

// Portscan is the packet jail.
type Portscan struct {
	Enabled    bool
	Threshold  float64       // doors
	HalfLife   time.Duration // of a door's weight
	TrapPorts  []uint16
	TableSlots int
	Ban        time.Duration // of a suspect
}

// Rule is what every log jail has; [defaults] sets it for all of them.
type Rule struct {
	MaxRetry     int
	FindTime     time.Duration
	Ladder       []time.Duration // length of the first, second … ban
	LadderMemory time.Duration   // how long a step on the ladder is remembered
	Jitter       time.Duration   // at most this much is added to a ban's length
	Prolong      bool            // a proven ban that is still hit when it ends goes on
	Prefix4      int             // bits of what is counted and banned for an IPv4 source
	Prefix6      int             // and for an IPv6 one
	Combine      bool            // its suspicion adds to that of other jails
}

// Jail is one log jail: a filter, the logs it reads, and its rule. It is not a jail(8).
type Jail struct {
	Name        string
	Enabled     bool
	Filter      string   // name[options]; "" if FailRegex is given here
	FailRegex   []string // patterns of its own instead of a filter
	IgnoreRegex []string // lines that count for nothing
	PrefRegex   string   // what every line must match first; "" = nothing
	MaxLines    int      // lines that FailRegex matches together; 1 is usual
	DatePattern []string // of its time stamps; empty = the usual ones
	UseDNS      string   // what becomes of host names: "warn", "yes", "no", "raw"; "" = as the filter has it
	Encoding    string   // of its logs; "" = UTF-8
	Timezone    string   // of time stamps without one; "" = local
	Counting    string   // "window", or "fail2ban": as that counts and bans
	Logs        []string // files and globs; "-" is standard input
	Proof       string   // "" = the filter's own; "tcp" or "none"
	Ports       []uint16 // that its bans are for; empty = all
	Rule

	Builtin bool // one of the system's own: off without a word where none of its logs exists
	Named   bool // the file or the command line names it
}

// Prefix says when many banned members make a prefix banned.
type Prefix struct {
	Enabled bool
	Members int
	Window  time.Duration
}

// Guessing says what guessing is that stays below its jail's threshold. Distributed guessing, by many addresses of one prefix that fail or many that
// try one user name, is acted on if Act is set; slow guessing, by one source that tries many user names, always, in jails that combine.
type Guessing struct {
	Act       bool
	Addresses int
	Failures  int
	Window    time.Duration
	Weight    int

	Names       int // 0 = slow guessing is not looked for
	NamesWindow time.Duration
	TrapNames   []string // count a half each time they are tried again
}

// Metrics is the Prometheus listener.
type Metrics struct {
	Listen    string // host:port; "" = off
	WebConfig string // Prometheus' web configuration file: TLS, basic authentication; "" = none
	Addresses int    // series of single addresses at most
}

// Store is the ledger.
type Store struct {
	File    string
	History time.Duration // how long ended bans are kept
}

// Control is the control socket.
type Control struct {
	Socket string
	Group  string // that may read; "" = the daemon's own
}

// Log is the daemon's own log.
type Log struct {
	Level  string // debug, info, warn, error
	Target string // syslog or stderr
	Format string // text or json
}

// Jail returns the jail of that name, or nil.
func (c *Config) Jail(name string) *Jail {
	for i := range c.Jails {
		if c.Jails[i].Name == name {
			return &c.Jails[i]
		}
	}
	return nil
}
