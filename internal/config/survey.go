package config

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Machine is what a survey asks of the system. Its zero value asks the real one.
type Machine struct {
	Glob       func(pattern string) ([]string, error) // nil = filepath.Glob
	Readable   func(path string) error                // nil = opens and closes it
	Interfaces func() ([]string, error)               // names; nil = net.Interfaces
	Group      func(name string) error                // says whether the group exists; nil = not asked
	Proof      func(filter string) string             // a filter's own proof, "" if unknown; nil = unknown
	Patterns   func(*Jail) []string                   // what is doubtful about a jail's patterns; nil = not asked
}

// Survey says what a configuration comes to on a machine: what will be watched, and what will not do what it was meant to.
type Survey struct {
	Config   string        `json:"config"` // path; "" = defaults only
	OS       string        `json:"os"`
	Observe  bool          `json:"observe"`
	PF       PFSurvey      `json:"pf"`
	Pflog    PflogSurvey   `json:"pflog"`
	Portscan ScanSurvey    `json:"portscan"`
	Jails    []JailSurvey  `json:"jails"`
	Fail2ban string        `json:"fail2ban"`
	Never    []string      `json:"never"`
	Defaults bool          `json:"never_defaults"`
	Metrics  string        `json:"metrics"` // address; "" = off
	Store    string        `json:"store"`
	Socket   string        `json:"socket"`
	Warnings []Fault       `json:"warnings"` // line 0: about a default
	Missing  []JailMissing `json:"missing"`  // jails of the system that are off since they have nothing to read
}

// PFSurvey says where bans go.
type PFSurvey struct {
	Backend  string `json:"backend"`
	Anchor   string `json:"anchor"`
	Banned   string `json:"banned"`
	Suspects string `json:"suspects"`
}

// PflogSurvey says where packets come from.
type PflogSurvey struct {
	Interface      string   `json:"interface"`
	InterfaceFound bool     `json:"interface_found"`
	File           string   `json:"file"`
	FileFound      bool     `json:"file_found"`
	Watch          []string `json:"watch"`
}

// ScanSurvey is the packet jail.
type ScanSurvey struct {
	On        bool    `json:"on"`
	Threshold float64 `json:"threshold"`
	HalfLife  string  `json:"half_life"`
	TrapPorts int     `json:"trap_ports"`
	Ban       string  `json:"ban"`
}

// JailSurvey is one log jail that is on, or was switched off.
type JailSurvey struct {
	Name     string   `json:"name"`
	On       bool     `json:"on"`
	Filter   string   `json:"filter"`
	Regexes  int      `json:"regexes"` // of its own
	Logs     []string `json:"logs"`    // as configured
	Found    []string `json:"found"`   // files there are now
	MaxRetry int      `json:"maxretry"`
	FindTime string   `json:"findtime"`
	Ladder   []string `json:"ladder"`
	Proof    string   `json:"proof"` // "tcp", "none", or "" if not known
	Ports    []uint16 `json:"ports"`
	Combine  bool     `json:"combine"`
}

// JailMissing is a jail of the system whose server is not here.
type JailMissing struct {
	Name string   `json:"name"`
	Logs []string `json:"logs"`
}

// Survey looks around on the machine.
func (c *Config) Survey(m Machine) Survey {
	m = m.filled()
	s := Survey{
		Config: c.Path, OS: c.OS, Observe: c.Observe, Fail2ban: c.Fail2ban, Never: c.Never, Defaults: c.NeverDefaults,
		PF:    PFSurvey{c.PF.Backend, c.PF.Anchor, c.PF.Banned, c.PF.Suspects},
		Pflog: PflogSurvey{Interface: c.Pflog.Interface, File: c.Pflog.File, Watch: c.Pflog.Watch},
		Portscan: ScanSurvey{
			On: c.Portscan.Enabled, Threshold: c.Portscan.Threshold, HalfLife: FormatDuration(c.Portscan.HalfLife),
			TrapPorts: len(c.Portscan.TrapPorts), Ban: FormatDuration(c.Portscan.Ban),
		},
		Metrics: c.Metrics.Listen, Store: c.Store.File, Socket: c.Control.Socket,
	}
	interfaces, _ := m.Interfaces() // none known: then nothing is said to be found
	s.Pflog.InterfaceFound = slices.Contains(interfaces, c.Pflog.Interface)
	s.Pflog.FileFound = c.Pflog.File != "" && len(found(m.Glob, []string{c.Pflog.File})) > 0
	for i := range c.Jails {
		j := &c.Jails[i]
		js := c.surveyJail(m, j)
		if j.Enabled && !js.On {
			s.Missing = append(s.Missing, JailMissing{j.Name, j.Logs})
			continue
		}
		s.Jails = append(s.Jails, js)
	}
	s.Warnings = c.warnings(m, s, interfaces)
	return s
}

func (c *Config) surveyJail(m Machine, j *Jail) JailSurvey {
	js := JailSurvey{
		Name: j.Name, Filter: j.Filter, Regexes: len(j.FailRegex), Logs: j.Logs, Found: found(m.Glob, j.Logs),
		MaxRetry: j.MaxRetry, FindTime: FormatDuration(j.FindTime), Proof: j.Proof, Ports: j.Ports, Combine: j.Combine,
	}
	js.On = j.Enabled && (len(js.Found) > 0 || !c.optional(j))
	for _, d := range j.Ladder {
		js.Ladder = append(js.Ladder, FormatDuration(d))
	}
	if js.Proof == "" && j.Filter != "" && m.Proof != nil {
		js.Proof = m.Proof(j.Filter)
	}
	return js
}

// optional tells whether a jail without logs is simply off: one of the system's own that nobody asked for by name.
func (c *Config) optional(j *Jail) bool {
	_, enabled := c.places["jail."+j.Name+".enabled"]
	_, logs := c.places["jail."+j.Name+".logs"]
	return j.Builtin && !enabled && !logs
}

// ActiveJails returns the jails to run: those enabled, without the system's own that have no log to read. glob may be nil
// for filepath.Glob.
func (c *Config) ActiveJails(glob func(string) ([]string, error)) []Jail {
	if glob == nil {
		glob = filepath.Glob
	}
	var out []Jail
	for i := range c.Jails {
		if j := &c.Jails[i]; j.Enabled && (!c.optional(j) || len(found(glob, j.Logs)) > 0) {
			out = append(out, *j)
		}
	}
	return out
}

// found returns the files that the patterns match now, and "-" for standard input.
func found(glob func(string) ([]string, error), patterns []string) []string {
	var out []string
	for _, p := range patterns {
		if p == "-" {
			out = append(out, p)
			continue
		}
		paths, err := glob(p)
		if err != nil {
			continue // no valid pattern: a fault, found when the configuration was read
		}
		for _, path := range paths {
			if !slices.Contains(out, path) {
				out = append(out, path)
			}
		}
	}
	return out
}

func (m Machine) filled() Machine {
	if m.Glob == nil {
		m.Glob = filepath.Glob
	}
	if m.Readable == nil {
		m.Readable = func(path string) error {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			return f.Close()
		}
	}
	if m.Interfaces == nil {
		m.Interfaces = func() ([]string, error) {
			all, err := net.Interfaces()
			names := make([]string, len(all))
			for i, x := range all {
				names[i] = x.Name
			}
			return names, err
		}
	}
	return m
}

// filterBase is a filter's name without its [options].
func filterBase(filter string) string {
	name, _, _ := strings.Cut(filter, "[")
	return strings.TrimSpace(name)
}
