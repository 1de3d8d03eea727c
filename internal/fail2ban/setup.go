package fail2ban

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Options say how strictly a set-up is read.
type Options struct {
	// Strict makes every fault that would keep fail2ban from starting an error of Load. Otherwise such a fault costs the jail it
	// is in, as long as jail.conf itself can be read.
	Strict bool
	// AllowMissingLogs takes jails whose logs do not exist (yet), as "fail2ban-client -d" does.
	AllowMissingLogs bool
	// NoJournal says that there is no journal of systemd to be read: a jail that asks for it reads its logs instead, if it names any.
	NoJournal bool
	// Glob expands a log path; nil = the file system's.
	Glob func(pattern string) ([]string, error)
}

// Setup is what a fail2ban folder comes to.
type Setup struct {
	Dir    string
	Main   map[string]string // fail2ban.conf: loglevel, logtarget, dbfile …
	Jails  []Jail            // enabled ones, in fail2ban's order
	Faults []JailFault       // jails that were left out
	Files  []string          // what was read, each file once for every jail that it was read for
}

// Clone copies what can be changed at run time.
func (s *Setup) Clone() *Setup {
	c := *s
	c.Main = maps.Clone(s.Main)
	c.Jails, c.Files = slices.Clone(s.Jails), slices.Clone(s.Files)
	for i := range c.Jails {
		c.Jails[i].Options = maps.Clone(c.Jails[i].Options)
	}
	return &c
}

// JailFault says why a jail was left out.
type JailFault struct {
	Jail string
	Err  error
}

// Error gives fail2ban's own sentence.
func (f JailFault) Error() string {
	return fmt.Sprintf("Jail '%s' skipped, because of %v", f.Jail, f.Err)
}

// Jail is one enabled jail with everything interpolated.
type Jail struct {
	Name    string
	Backend string
	// Options holds what the jail sets of jailOptions, by name: int, bool or string; nil for a number that is none.
	Options  map[string]any
	Filter   Filter
	Actions  []Action
	Logs     []Log    // existing files, globs expanded
	LogPath  []string // as configured, without the "tail" suffix
	Paths    []Log    // the same, with it
	IgnoreIP []string

	Stopped bool // by hand, at run time: it is left out
	Idle    bool // likewise: it reads nothing, and keeps its bans

	journal  bool // the jail itself names a journal match
	replaced bool // it asked for the journal and reads its logs instead
}

// Text gives a text option as the jail sets it, "" where it does not.
func (j *Jail) Text(name string) string {
	text, _ := j.Options[name].(string)
	return text
}

// Log is one log file of a jail.
type Log struct {
	Path string
	Tail bool // read from its end at the first start
}

// Filter is what a jail looks for.
type Filter struct {
	Name         string
	Given        map[string]string // options in brackets
	FailRegex    []string
	IgnoreRegex  []string
	PrefRegex    string
	DatePattern  string
	MaxLines     int // 0 = not set
	JournalMatch [][]string
	UseDNS       string
	LogType      string
}

// Action is one action of a jail.
type Action struct {
	Name       string            // unique within its jail (actname)
	File       string            // of action.d, without .conf; a path for Python actions
	Python     bool              // needs Python: not supported
	Command    map[string]string // actionstart, actionban …, static tags replaced
	Init       map[string]string // options for the tags that are replaced at run time; conditional ones as "name?family=inet6"
	NoRestored bool
	Order      []string // of Init's names, as given
	Late       []string // of Command's names, those that were given in brackets
}

type optionKind uint8

const (
	text optionKind = iota
	number
	boolean
)

// jailOptions are the options of a jail that fail2ban hands to its server or its readers, with their kinds.
var jailOptions = map[string]optionKind{
	"enabled": boolean, "backend": text, "maxretry": number, "maxmatches": number, "findtime": text, "bantime": text,
	"bantime.increment": boolean, "bantime.factor": text, "bantime.formula": text, "bantime.multipliers": text, "bantime.maxtime": text,
	"bantime.rndtime": text, "bantime.overalljails": boolean, "ignorecommand": text, "ignoreself": boolean, "ignoreip": text,
	"ignorecache": text, "filter": text, "logtimezone": text, "logencoding": text, "logpath": text, "skip_if_nologs": boolean,
	"systemd_if_nologs": boolean, "action": text,
}

// filterOptions may stand in a filter's [Definition], and in a jail, where they replace the filter's.
var filterOptions = []string{"usedns", "prefregex", "maxlines", "failregex", "ignoreregex", "datepattern", "journalmatch"}

// actionOptions are the commands and settings of an action's [Definition].
var actionOptions = []string{"actionstart", "actionstart_on_demand", "actionstop", "actionflush", "actionreload", "actioncheck", "actionrepair",
	"actionrepair_on_unban", "actionban", "actionprolong", "actionreban", "actionunban", "norestored"}

var actionBooleans = map[string]bool{"actionstart_on_demand": true, "actionrepair_on_unban": true, "norestored": true}

func truth(s string) bool {
	switch strings.ToLower(s) {
	case "1", "on", "true", "yes":
		return true
	}
	return false
}

// Load reads the set-up below dir.
func Load(dir string, o Options) (*Setup, error) {
	if o.Glob == nil {
		o.Glob = filepath.Glob
	}
	main, _, err := readTree(dir, "fail2ban")
	if err != nil {
		return nil, err
	}
	s := &Setup{Dir: dir, Main: make(map[string]string)}
	for _, section := range []string{"DEFAULT", "Definition", "Thread"} {
		in := scope{tree: main, section: section}
		for _, name := range []string{
			"loglevel", "logtarget", "syslogsocket", "socket", "pidfile", "allowipv6", "dbfile", "dbmaxmatches", "dbpurgeage", "stacksize",
		} {
			v, ok, err := in.value(name)
			if err != nil {
				return nil, err
			}
			if ok {
				s.Main[name] = v
			}
		}
	}
	jails, found, err := readTree(dir, "jail")
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("no jail.conf or jail.local in %s", dir)
	}
	s.Files = append(s.Files, slices.Concat(main.files, jails.files)...)
	for _, name := range jails.order {
		if name == "INCLUDES" {
			continue
		}
		r := reader{dir: dir, options: o, jails: jails}
		jail, enabled, err := r.jail(name)
		s.Files = append(s.Files, r.files...)
		switch {
		case err == nil && enabled:
			s.Jails = append(s.Jails, *jail)
		case err == nil:
		case errors.Is(err, errSkipped) || !o.Strict:
			s.Faults = append(s.Faults, JailFault{name, err})
		default:
			return nil, err
		}
	}
	return s, nil
}

// errSkipped marks faults that make fail2ban leave out the jail and go on.
var errSkipped = errors.New("jail skipped")

type skip struct{ text string }

func (e skip) Error() string        { return e.text }
func (e skip) Is(target error) bool { return target == errSkipped }

func wrong(format string, a ...any) error {
	return skip{"wrong configuration: " + fmt.Sprintf(format, a...)}
}
