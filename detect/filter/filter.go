// Package filter turns lines of text logs into candidates: which jail's pattern matched, whom it names, and when. It speaks
// fail2ban's filter dialect whole (tags, prefregex, ignoreregex, multi-line ids, maxlines, datepattern) and adds success
// patterns. All jails that read one file share one literal pass over each line (Set); only patterns that can match at all are
// run, in linear time wherever their syntax allows it.
//
// The package opens nothing, resolves nothing and reads no clock: a name in a line is handed on to be resolved elsewhere.
package filter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pfwarden/detect/filter/date"
	"pfwarden/detect/filter/literal"
	"pfwarden/detect/filter/pyre"
)

// Definition is a filter as written, all tags of its configuration file already replaced.
type Definition struct {
	Name         string
	Failregex    []string
	Ignoreregex  []string
	Prefregex    string
	Loginregex   []string // successful log-ins: they earn their source credit; not of fail2ban's dialect
	Datepattern  string   // one pattern a line; "" = the default formats
	MaxLines     int      // lines matched together; 0 counts as 1
	UseDNS       string   // "yes", "warn" (the default), "no" or "raw"
	Logtype      string   // "journal": lines come without time stamp, their time with them
	Journalmatch []string
	TimeZone     string // of stamps without zone: "CET", "+0100", an IANA name; "" = Options.Location
	LogEncoding  string // of the log, as Python or IANA name it; "" or "auto" = UTF-8
	FreshAddress bool   // an address in a line of a multi-line id replaces an older one of another family; fail2ban keeps the old one
	Proof        string // "tcp" where a line can come from nothing but a completed handshake with the address in it, else "none"
	Forgeable    bool   // Proof does not hold for a log in which nginx reports errors: a client can write whole lines of any form into it
}

// Options say how a filter is run.
type Options struct {
	Location     *time.Location // of stamps without zone; nil = time.Local
	Year         int            // of stamps without year; 0: chosen so that no stamp lies more than a day past the file's modification time (replay) or now
	Replay       bool           // old files: the phase is Replay and stays it
	FindTime     time.Duration  // lines older than this are skipped while catching up; 0 = none
	NoFindTime   bool           // fail2ban's test mode: no rule of FindTime or of being in operation applies
	AllRegex     bool           // go on after the first match
	RawHost      bool           // a host name is its own ID and not resolved (usedns = raw)
	Fraction     bool           // keep fractions of seconds
	Bare         bool           // candidates tell which pattern matched and when, and nothing of the line: for whoever only counts
	Exhaustive   bool           // run every pattern on every line: what the short cuts are compared with
	LastYear     int            // latest year that %ExY accepts; 0 = 2029
	MaxLine      int            // bytes of a line that are looked at; 0 = DefaultMaxLine
	MatchTimeout time.Duration  // of one backtracking match; 0 = pyre.DefaultTimeout
}

// DefaultMaxLine bounds what of a line is matched. Longer lines are matched by their beginning, and counted.
const DefaultMaxLine = 16 << 10

// maxTextKept bounds the evidence text of a candidate.
const maxTextKept = 512

// Filter is a compiled definition with the state it keeps between lines. It is not safe for concurrent use.
type Filter struct {
	Definition
	options   Options
	fail      []*pattern
	ignore    []*pattern
	login     []*pattern
	pre       *pattern
	format    *date.Format
	encoding  *decoder
	allFails  []int
	allLogins []int
	early     bool       // ignoreregexes see the whole line before anything else
	leads     bool       // the multi-line id stands at the beginning of the line
	noID      pyre.Bytes // with leads: the bytes with which a line can begin that matches something harmless with an empty id
	memory    memory
	scratch   scratch
	buffer    []part
	stats     Stats
	profile   func() time.Time // clock for Profile, nil if it is off
	spent     []profiled       // by failregex
}

// profiled is what is known of a failregex's time. Not every run is timed: clocks would cost more than most runs.
type profiled struct {
	runs, timed uint64
	spent       time.Duration // of the timed runs
}

// Profile makes the filter time its failregexes from now on, by the clock given: the first runs of each, then one of sixteen.
func (f *Filter) Profile(clock func() time.Time) {
	f.profile, f.spent = clock, make([]profiled, len(f.fail))
}

// Spent is how long a failregex ran, as far as the timed runs tell, and how often, since Profile.
func (f *Filter) Spent(regex int) (time.Duration, uint64) {
	if f.profile == nil || f.spent[regex].timed == 0 {
		return 0, 0
	}
	p := &f.spent[regex]
	return time.Duration(float64(p.spent) * float64(p.runs) / float64(p.timed)), p.runs
}

// Stats count what a filter gave up or dropped.
type Stats struct {
	Timeouts   uint64   // lines given up since a pattern took too long
	Long       uint64   // lines of which only the beginning was matched
	NoTime     uint64   // matches without usable time, passed over
	TooOld     uint64   // lines older than the find time while catching up
	Forgotten  uint64   // unfinished multi-line failures dropped from the memory of a filter
	SlowRegex  []int    // hits by failregex of the time limit
	Hits       []uint64 // matches by failregex
	IgnoreHits []uint64 // matches by ignoreregex
}

// Stats returns a copy of the counters.
func (f *Filter) Stats() Stats {
	s := f.stats
	s.SlowRegex = append([]int(nil), s.SlowRegex...)
	s.Hits = append([]uint64(nil), s.Hits...)
	s.IgnoreHits = append([]uint64(nil), s.IgnoreHits...)
	s.Forgotten = f.memory.forgotten
	return s
}

// pattern is one regular expression with what is known of its groups.
type pattern struct {
	*pyre.Regexp
	source   string
	required literal.Required
	groups   []namedGroup // the named groups
	skips    []int        // numbers of the groups that SKIPLINES made
	special  []string     // its alt_ and tuple_ groups, sorted
	harmless bool         // a match of a multi-line id that is not known changes nothing: it is no failure, and forgets the id
	hasty    int          // searches left that get no second chance, see again
	content  int          // offset of the beginning of the group "content" of a prefregex, 0 if there is none
}

// RegexError says which regular expression of a definition is at fault.
type RegexError struct {
	Option string // "failregex", "ignoreregex", "prefregex", "loginregex", "datepattern"
	Index  int    // from 0
	Regex  string // as written
	Err    error
}

func (e *RegexError) Error() string {
	return fmt.Sprintf("%s %d: %v (in %q)", e.Option, e.Index+1, e.Err, e.Regex)
}

func (e *RegexError) Unwrap() error { return e.Err }

// ErrNoID says that a failregex names nobody: it has no address, host, F-ID or F-MLFID.
var ErrNoID = errors.New("no group names an address, host or id: add <ADDR>, <HOST> or <F-ID>")

// Compile checks and compiles a definition. It returns all faults at once, each a *RegexError.
func Compile(def Definition, o Options) (*Filter, error) {
	if def.MaxLines < 1 {
		def.MaxLines = 1
	}
	if def.UseDNS == "" {
		def.UseDNS = "warn"
	}
	if o.RawHost {
		def.UseDNS = "raw"
	}
	if o.MaxLine == 0 {
		o.MaxLine = DefaultMaxLine
	}
	f := &Filter{Definition: def, options: o}
	var faults []error
	many := func(option string, regexes []string, multi bool) (out []*pattern) {
		for i, r := range regexes {
			p, err := compilePattern(r, def.UseDNS, multi, o)
			if err != nil {
				faults = append(faults, &RegexError{option, i, r, err})
				continue
			}
			out = append(out, p)
		}
		return out
	}
	f.fail = many("failregex", def.Failregex, def.MaxLines > 1)
	f.ignore = many("ignoreregex", def.Ignoreregex, false)
	f.login = many("loginregex", def.Loginregex, false)
	if def.Prefregex != "" {
		if pre := many("prefregex", []string{def.Prefregex}, false); len(pre) > 0 {
			f.pre = pre[0]
			f.pre.takeContent()
		}
	}
	if len(faults) == 0 {
		faults = f.checkIDs()
	}
	var err error
	if f.format, err = date.Compile(def.Datepattern, date.Options{LastYear: o.LastYear}); err != nil {
		faults = append(faults, &RegexError{"datepattern", 0, def.Datepattern, err})
	}
	if def.TimeZone != "" {
		if f.options.Location, err = date.Location(def.TimeZone); err != nil {
			faults = append(faults, fmt.Errorf("time zone %q: %w", def.TimeZone, err))
		}
	}
	if f.encoding, err = checkedEncoding(def.LogEncoding); err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	for i := range f.fail {
		f.allFails = append(f.allFails, i)
	}
	for i := range f.login {
		f.allLogins = append(f.allLogins, i)
	}
	if !o.Exhaustive {
		f.findHarmless()
	}
	f.early = len(f.ignore) > 0 && len(f.ignore) < len(f.fail)-2
	if f.pre != nil {
		for _, p := range append(f.fail, f.login...) {
			p.required = literal.Merge(p.required, f.pre.required)
		}
	}
	f.stats.SlowRegex = make([]int, len(f.fail))
	f.stats.Hits = make([]uint64, len(f.fail))
	f.stats.IgnoreHits = make([]uint64, len(f.ignore))
	return f, nil
}

func compilePattern(regex, useDNS string, multi bool, o Options) (*pattern, error) {
	re, err := pyre.Compile(expandTags(regex, useDNS), pyre.Options{MultiLine: multi, Timeout: o.MatchTimeout})
	if err != nil {
		return nil, err
	}
	p := &pattern{Regexp: re, source: regex, required: literal.Extract(re.Relaxed())}
	for i, name := range re.Names() {
		switch {
		case name == "":
			continue
		case strings.HasPrefix(name, "alt_") || strings.HasPrefix(name, "tuple_"):
			p.special = append(p.special, name)
		case strings.HasPrefix(name, "skiplines"):
			p.skips = append(p.skips, i)
			continue
		}
		p.groups = append(p.groups, namedGroup{name, 2 * i})
	}
	slices.Sort(p.special)
	return p, nil
}

// hasty is how many searches of a pattern that ran into the time limit twice are given up at the first time.
const hasty = 1000

// Search is that of the regular expression. A search that ran into the time limit is tried once more, since the limit is one of the clock: on a
// busy machine most of that time may have been somebody else's. A pattern that runs into it again is not given that second chance for a while.
func (p *pattern) Search(s *pyre.Scratch, text string, ascii bool) ([]int, error) {
	m, err := p.Regexp.Search(s, text, ascii)
	if err != nil {
		return p.again(s, text, ascii, err)
	}
	return m, nil
}

func (p *pattern) again(s *pyre.Scratch, text string, ascii bool, first error) ([]int, error) {
	if p.hasty > 0 {
		p.hasty--
		return nil, first
	}
	m, err := p.Regexp.Search(s, text, ascii)
	if err != nil {
		p.hasty = hasty
	}
	return m, err
}

// takeContent sets the group "content" of a prefregex apart: it is no field.
func (p *pattern) takeContent() {
	p.groups = slices.DeleteFunc(p.groups, func(g namedGroup) bool {
		if g.name == "content" {
			p.content = g.slot
		}
		return g.name == "content"
	})
}

// findHarmless marks the failregexes of which a match changes nothing unless its multi-line id is known: log-ins and the ends of
// connections, which are most of a quiet machine's lines.
func (f *Filter) findHarmless() {
	if f.pre == nil || f.MaxLines > 1 || f.options.AllRegex || len(f.ignore)+len(f.login) > 0 ||
		!slices.ContainsFunc(f.pre.groups, func(g namedGroup) bool { return g.name == "mlfid" }) {
		return
	}
	begins, leads := f.pre.Between("mlfid", "content")
	if f.leads = leads; leads {
		f.noID.Add(begins)
	}
	for _, p := range f.fail {
		own := slices.ContainsFunc(p.groups, func(g namedGroup) bool { return g.name == "mlfid" })
		if p.harmless = !own && p.Always("mlfforget") && (p.Always("nofail") || p.Always("mlfgained")); p.harmless {
			begins, ok := p.Begins()
			f.noID.Add(begins)
			f.leads = f.leads && ok
		}
	}
}

func (f *Filter) checkIDs() (faults []error) {
	if f.pre != nil && f.pre.identifies() {
		return nil
	}
	for option, patterns := range map[string][]*pattern{"failregex": f.fail, "loginregex": f.login} {
		for i, p := range patterns {
			if !p.identifies() {
				faults = append(faults, &RegexError{option, i, p.source, ErrNoID})
			}
		}
	}
	return faults
}

func (p *pattern) identifies() bool {
	for _, name := range p.Names() {
		switch name {
		case "fid", "ip4", "ip6", "dns", "mlfid":
			return true
		}
	}
	return false
}

// NamesOthers tells whether a candidate may be named by something other than an address: by <F-ID>, or by a host name that is not looked up.
func (f *Filter) NamesOthers() bool {
	others := func(p *pattern) bool {
		names := p.Names()
		return slices.Contains(names, "fid") || f.UseDNS == "raw" && slices.Contains(names, "dns")
	}
	return f.pre != nil && others(f.pre) || slices.ContainsFunc(f.fail, others)
}

// Warnings describes what is unwise in the definition's patterns, for people.
func (f *Filter) Warnings() []string {
	var out []string
	for i, p := range f.fail {
		if !p.Anchored() && (f.pre == nil || !f.pre.Anchored()) {
			out = append(out, fmt.Sprintf("failregex %d is not anchored at the beginning: text that an attacker chooses may name another address", i+1))
		}
		if !p.Linear() {
			out = append(out, fmt.Sprintf("failregex %d needs a backtracking engine (look-around, back-reference or conditional); it runs under a time limit", i+1))
		}
	}
	return out
}
