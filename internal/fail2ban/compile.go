package fail2ban

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"pfwarden/detect"
	"pfwarden/detect/filter"
	"pfwarden/internal/engine"
	"pfwarden/internal/screen"
	"pfwarden/internal/warden"
)

// RunOptions say what a set-up does not.
type RunOptions struct {
	Filter     filter.Options // common to all filters; FindTime is set by jail
	Own        []netip.Addr   // our own addresses, for ignoreself
	Resolver   screen.Resolver
	Taken      []string                          // names that jails of pfwarden's own have
	MainAnchor string                            // pfwarden's own anchor: an action may fill its table Banned, no other
	Banned     string                            // that table
	Reserved   []string                          // names of tables that are not free
	KillStates bool                              // end connections of what is kept from all ports
	ReadFile   func(path string) ([]byte, error) // nil = os.ReadFile
}

// Running is a set-up ready to run: every jail as the settings of pfwarden's parts.
type Running struct {
	Setup   *Setup
	Jails   []RunningJail
	Anchors []Anchor // of PF that the jails' actions fill
	Lists   []*screen.List
	Faults  []JailFault       // jails that were left out, those of the Setup among them
	Read    map[string][]byte // files of rules that were read
}

// RunningJail is one jail.
type RunningJail struct {
	Jail     *Jail
	Engine   engine.Jail
	Detect   detect.JailConfig
	Warden   warden.Jail
	Screen   screen.Jail
	BanTime  float64   // seconds before any growth; less than 0 = for ever
	PF       *PFAction // nil: none of its actions is PF's
	Actions  []Action  // that are run as commands
	Warnings []string
}

// What fail2ban's server assumes where the configuration says nothing.
const (
	defaultMaxRetry   = 3
	defaultMaxMatches = 5
	defaultTime       = "600"
	defaultPurge      = "1d"
)

// Compile makes every jail ready to run. A jail with a fault is left out, and said so; the others are not touched by it.
func (s *Setup) Compile(o RunOptions) *Running {
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	r := &Running{Setup: s, Faults: append([]JailFault(nil), s.Faults...), Read: make(map[string][]byte)}
	readFile := o.ReadFile
	o.ReadFile = func(path string) ([]byte, error) {
		text, err := readFile(path)
		if err == nil {
			r.Read[path] = text
		}
		return text, err
	}
	taken := map[string]bool{"portscan": true}
	for _, n := range o.Taken {
		taken[n] = true
	}
	for i := range s.Jails {
		j := &s.Jails[i]
		if j.Stopped {
			continue
		}
		c, lists, err := s.compile(j, o)
		if err == nil && taken[j.Name] {
			err = errors.New("pfwarden has a jail of that name already: rename one of the two")
		}
		if err != nil {
			r.Faults = append(r.Faults, JailFault{j.Name, err})
			continue
		}
		r.Jails = append(r.Jails, *c)
		r.Lists = append(r.Lists, lists...)
	}
	r.place(o)
	return r
}

// settings reads a jail's options and remembers the first fault.
type settings struct {
	jail *Jail
	err  error
}

func (s *settings) fail(name string, err error) {
	if s.err == nil {
		s.err = fmt.Errorf("%s: %w", name, err)
	}
}

func (s *settings) number(name string, def int) int {
	v, ok := s.jail.Options[name]
	if !ok {
		return def
	}
	n, ok := v.(int)
	if !ok {
		s.fail(name, errors.New("not a whole number"))
	}
	return n
}

func (s *settings) text(name, def string) string {
	if v, ok := s.jail.Options[name].(string); ok {
		return v
	}
	return def
}

func (s *settings) flag(name string, def bool) bool {
	if v, ok := s.jail.Options[name].(bool); ok {
		return v
	}
	return def
}

func (s *settings) seconds(name, def string) float64 {
	text := s.text(name, def)
	if strings.TrimSpace(text) == "" || strings.EqualFold(strings.TrimSpace(text), "none") {
		return 0
	}
	v, err := Seconds(text)
	if err != nil {
		s.fail(name, err)
	}
	return v
}

func (s *Setup) compile(j *Jail, o RunOptions) (*RunningJail, []*screen.List, error) {
	x := &settings{jail: j}
	c := &RunningJail{Jail: j}
	retry := max(x.number("maxretry", defaultMaxRetry), 1)
	find := seconds(x.seconds("findtime", defaultTime))
	matches := x.number("maxmatches", defaultMaxMatches)
	c.BanTime = x.seconds("bantime", defaultTime)
	growth, err := warden.NewGrowth(warden.GrowthOptions{
		BanTime: c.BanTime, Increment: x.flag("bantime.increment", false), Factor: x.text("bantime.factor", ""),
		Formula: x.text("bantime.formula", ""), Multipliers: x.text("bantime.multipliers", ""), MaxTime: x.seconds("bantime.maxtime", ""),
		RndTime: x.seconds("bantime.rndtime", ""), Overall: x.flag("bantime.overalljails", false),
	})
	if err != nil {
		return nil, nil, err
	}
	if find <= 0 && x.err == nil {
		x.fail("findtime", fmt.Errorf("%s is not above 0", x.text("findtime", "")))
	}
	purge := s.Main["dbpurgeage"]
	if purge == "" {
		purge = defaultPurge
	}
	memory, err := Seconds(purge)
	if err != nil {
		return nil, nil, fmt.Errorf("fail2ban.conf: dbpurgeage: %w", err)
	}
	if j.fromJournal() {
		return nil, nil, errors.New("it reads the journal of systemd (backend = " + j.Backend + "), which pfwarden does not: let syslogd write a file, and set logpath to it and backend = auto in jail.local")
	}
	if j.replaced {
		c.Warnings = append(c.Warnings, "it asks for the journal of systemd, which pfwarden does not read: it reads its logpath instead")
	}
	if len(j.LogPath) == 0 {
		return nil, nil, errors.New("it has no logpath: there is nothing to read")
	}
	lists, err := c.screen(x, o)
	if err != nil {
		return nil, nil, err
	}
	if x.err != nil {
		return nil, nil, x.err
	}
	options := o.Filter
	options.FindTime = find
	f, err := filter.Compile(j.Definition(), options)
	if err != nil {
		return nil, nil, fmt.Errorf("filter %s: %w", j.Filter.Name, err)
	}
	c.Engine = engine.Jail{Name: j.Name, Filter: f, Logs: j.LogPath, Exact: true}
	if j.Idle {
		c.Engine.Logs = []string{}
	}
	c.Detect = detect.JailConfig{
		Name: j.Name, Strategy: detect.Fail2ban, Threshold: retry, Findtime: find, BypassGates: true, KeepMatches: max(matches, 1),
		Increment: x.flag("bantime.increment", false),
	}
	c.Warden = warden.Jail{Fail2ban: growth, Memory: seconds(memory)}
	c.actions(o)
	return c, lists, nil
}

func seconds(s float64) time.Duration {
	const longest = 100 * 365 * 24 * 3600
	return time.Duration(max(min(s, longest), -longest) * float64(time.Second))
}

// screen sets up what is asked before a failure counts.
func (c *RunningJail) screen(x *settings, o RunOptions) ([]*screen.List, error) {
	c.Screen.Warn = c.Jail.Filter.UseDNS == "" || c.Jail.Filter.UseDNS == "warn"
	var entries []string
	for _, e := range c.Jail.IgnoreIP {
		if _, err := screen.NewList([]string{e}, o.Resolver, nil); err != nil {
			c.Warnings = append(c.Warnings, fmt.Sprintf("ignoreip: %v; it is passed over", err))
			continue
		}
		entries = append(entries, e)
	}
	self := x.flag("ignoreself", true)
	if self {
		entries = append(entries, "localhost")
		for _, a := range o.Own {
			entries = append(entries, a.String())
		}
	}
	var lists []*screen.List
	if len(entries) > 0 {
		list, err := screen.NewList(entries, o.Resolver, nil)
		if err != nil {
			return nil, fmt.Errorf("ignoreip: %w", err)
		}
		c.Screen.Ignore, lists = []*screen.List{list}, []*screen.List{list}
	}
	text := strings.TrimSpace(x.text("ignorecommand", ""))
	if text == "" || text == "False" {
		return lists, nil
	}
	cache, err := readCache(x.text("ignorecache", ""))
	if err != nil {
		return nil, fmt.Errorf("ignorecache: %w", err)
	}
	if c.Screen.Command, err = screen.NewCommand(text, commandTimeout, cache.keep); err != nil {
		return nil, fmt.Errorf("ignorecommand: %w", err)
	}
	if cache.key != "" {
		c.Screen.Command.Keep(cache.key, cache.most)
	}
	return lists, nil
}

// commandTimeout is fail2ban's limit on any command.
const commandTimeout = time.Minute

// answerCache says how answers of an ignore command are kept.
type answerCache struct {
	key  string // tags in it; "" = not at all
	most int
	keep time.Duration
}

// readCache reads the option ignorecache: key="…", max-count=…, max-time=…. Without it the command is asked each time.
func readCache(text string) (c answerCache, err error) {
	c = answerCache{most: 100, keep: 5 * time.Minute}
	if text = strings.TrimSpace(text); text == "" || strings.EqualFold(text, "none") || strings.EqualFold(text, "false") {
		return answerCache{keep: time.Nanosecond}, nil
	}
	_, given, err := extractOptions("cache[" + text + "]")
	if err != nil {
		return c, err
	}
	for _, p := range given {
		switch p.key {
		case "key":
			c.key = p.value
		case "max-count":
			if c.most, err = strconv.Atoi(p.value); err != nil || c.most < 1 {
				return c, fmt.Errorf("max-count is %s, expected a whole number from 1 up", quoteCut(p.value))
			}
			c.most = min(c.most, maxAnswers)
		case "max-time":
			v, err := Seconds(p.value)
			if err != nil {
				return c, fmt.Errorf("max-time: %w", err)
			}
			c.keep = max(seconds(v), time.Nanosecond)
		}
	}
	if c.key == "" {
		return c, errors.New(`it has no key: expected key="<ip>", say`)
	}
	return c, nil
}

// maxAnswers bounds max-count.
const maxAnswers = 100_000

// actions sorts the jail's actions into PF's and those that are run.
func (c *RunningJail) actions(o RunOptions) {
	for i := range c.Jail.Actions {
		a := &c.Jail.Actions[i]
		p, ok := a.pf()
		switch {
		case ok && c.PF == nil:
			if p.RulesFile != "" {
				text, err := o.ReadFile(p.RulesFile)
				if err != nil {
					c.Warnings = append(c.Warnings,
						fmt.Sprintf("action %s: the rules that it loads cannot be read (%v): those that block everything from <%s> take their place", a.Name, err, p.Table))
					text = []byte(defaultRules(p.Table))
				}
				p.Rules = string(text)
			}
			c.PF = p
		case a.Python:
			c.Warnings = append(c.Warnings, fmt.Sprintf("action %s is written in Python, which pfwarden does not run: it is left out", a.Name))
		default:
			c.Actions = append(c.Actions, *a)
		}
	}
	if len(c.Jail.Actions) == 0 {
		c.Warnings = append(c.Warnings, "it has no action: its bans are only written down")
	}
}

func defaultRules(table string) string {
	return fmt.Sprintf("table <%s> persist counters\nblock drop log quick from <%s> to any\n", table, table)
}

// Extend adds the jails to what the configuration came to.
func (r *Running) Extend(p *engine.Plan) {
	for _, j := range r.Jails {
		p.Jails = append(p.Jails, j.Engine)
		p.Detector.Jails = append(p.Detector.Jails, j.Detect)
		p.Warden.Jails[j.Engine.Name] = j.Warden
	}
}

// FromStart tells whether a log without a known position is read from its beginning: as fail2ban does, which passes over what is older than
// the find time, unless the log path says "tail".
func (r *Running) FromStart(path string) bool {
	if r == nil {
		return false
	}
	for _, j := range r.Jails {
		for _, p := range j.Jail.Paths {
			if ok, err := filepath.Match(p.Path, path); !p.Tail && (p.Path == path || err == nil && ok) {
				return true
			}
		}
	}
	return false
}

// Reads tells whether any jail reads a log.
func (r *Running) Reads(path string) bool {
	for i := range r.Jails {
		if r.Jails[i].Reads(path) {
			return true
		}
	}
	return false
}

// Reads tells whether the jail reads a log.
func (j *RunningJail) Reads(path string) bool {
	for _, p := range j.Engine.Logs {
		if ok, err := filepath.Match(p, path); p == path || err == nil && ok {
			return true
		}
	}
	return false
}

// Jail finds a jail by its name, nil if there is none.
func (r *Running) Jail(name string) *RunningJail {
	if r == nil {
		return nil
	}
	for i := range r.Jails {
		if r.Jails[i].Engine.Name == name {
			return &r.Jails[i]
		}
	}
	return nil
}
