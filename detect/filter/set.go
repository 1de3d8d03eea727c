package filter

import (
	"slices"
	"time"

	"pfwarden/capture"
	"pfwarden/detect/filter/date"
	"pfwarden/detect/filter/literal"
	"pfwarden/detect/filter/pyre"
)

// Set matches lines of one log for all jails that watch it: filters with the same date formats share one date detector and
// one literal pass. It is not safe for concurrent use, also not beside its forks, and a filter's state is its own even where it is
// in several sets.
type Set struct {
	groups []*group
	phase  Phase
	stats  SetStats
	trace  Trace
	exam   *Examination // of the line that is examined; nil = none is
	broken bool         // the line at hand has bytes that mean nothing in the log's encoding

	forgeable bool // a filter asks whether nginx reports errors in the log
	forged    bool // it does
}

// SetStats count what passed through a Set.
type SetStats struct {
	Lines      uint64
	Undated    uint64 // lines without a time stamp where the formats expect one
	Candidates uint64 // lines on which at least one regex was run
	Matched    uint64 // lines that gave at least one candidate
	Undecoded  uint64 // lines with bytes that mean nothing in the log's encoding
}

// group are the filters that read time stamps alike.
type group struct {
	filters  []*Filter
	jails    []int // their indexes in the set
	none     bool  // lines come with their time (journal)
	detector *date.Detector
	options  Options
	encoding *decoder // nil = UTF-8

	scan     *literal.Scan
	patterns []patternRef // by number in scan
	always   []int        // filters that look at every line (multi-line)
	marked   []bool       // by filter: has candidates on this line
	work     work
	rules    []timeRule // by filter

	lastRef  time.Time // reference of the last stamp, and its time
	lastTime time.Time
	lastOK   bool
	day      date.Day // of the last stamp, if lines share one

	lastMonth time.Month // of the last stamp without year, for --year
	rolled    int        // years passed since --year
	yearOf    int        // whose last second yearEnd is
	yearEnd   time.Time
}

// maxDateAt bounds where in a line a time stamp is looked for.
const maxDateAt = 4 << 10

// patternRef says whose pattern a number of the literal pass stands for.
type patternRef struct {
	filter, index int
	login         bool
}

// NewSet joins filters; their indexes are the jail numbers that Match emits.
func NewSet(filters []*Filter) *Set {
	s := &Set{phase: CatchUp}
	type key struct {
		pattern, zone string
		none, replay  bool
		year          int
		encoding      string
	}
	byKey := map[key]*group{}
	for i, f := range filters {
		s.forgeable = s.forgeable || f.Forgeable
		zone := f.TimeZone
		if f.options.Location != nil {
			zone = f.options.Location.String() + "/" + zone
		}
		k := key{f.Datepattern, zone, f.Logtype == "journal", f.options.Replay, f.options.Year, f.encoding.label()}
		g := byKey[k]
		if g == nil {
			g = &group{detector: f.format.NewDetector(), options: f.options, none: k.none, encoding: f.encoding}
			byKey[k] = g
			s.groups = append(s.groups, g)
		}
		g.filters, g.jails = append(g.filters, f), append(g.jails, i)
		if f.options.Replay {
			s.phase = Replay
		}
	}
	for _, g := range s.groups {
		g.build()
	}
	return s
}

// Fork makes a set of the same filters for another log. It shares everything that was compiled, and begins with date detectors and time
// rules of its own: which format a log is written in and how its clock goes is a matter of that log alone.
func (s *Set) Fork() *Set {
	fork := &Set{phase: s.phase, forgeable: s.forgeable, groups: make([]*group, len(s.groups))}
	for i, g := range s.groups {
		own := *g
		own.detector = g.filters[0].format.NewDetector()
		own.rules, own.work = g.newRules(), work{}
		own.lastMonth, own.rolled = 0, 0
		own.lastRef, own.lastTime, own.lastOK, own.day = time.Time{}, time.Time{}, false, date.Day{}
		fork.groups[i] = &own
	}
	return fork
}

func (g *group) newRules() []timeRule {
	rules := make([]timeRule, len(g.filters))
	for i, f := range g.filters {
		rules[i] = timeRule{FindTime: f.options.FindTime, NoFindTime: f.options.NoFindTime}
	}
	return rules
}

func (g *group) build() {
	var required []literal.Required
	for fi, f := range g.filters {
		if f.MaxLines > 1 {
			g.always = append(g.always, fi)
			continue
		}
		for _, list := range [][]*pattern{f.fail, f.login} {
			for i, p := range list {
				if f.options.Exhaustive {
					required = append(required, literal.Required{})
				} else {
					required = append(required, p.required)
				}
				g.patterns = append(g.patterns, patternRef{fi, i, len(f.login) > 0 && &list[0] == &f.login[0]})
			}
		}
	}
	g.scan = literal.New(required).NewScan()
	g.marked = make([]bool, len(g.filters))
	g.rules = g.newRules()
}

// SetPhase sets the phase: Operation once the end of the log has been reached. A set of filters compiled for replay stays in Replay.
func (s *Set) SetPhase(p Phase) {
	if s.phase != Replay {
		s.phase = p
	}
}

// Stats returns the counters.
func (s *Set) Stats() SetStats { return s.stats }

// Trace is what a set saw in a line, for pfwarden test.
type Trace struct {
	Text               string // the line as it was matched: decoded
	DateStart, DateEnd int    // what was cut out as time stamp
	DatePattern        string // "" if there is no time stamp
	Time               time.Time
	TimeOK             bool
	Zoned              bool   // the time stamp names its zone
	Ignored            []bool // by jail: an ignoreregex spoke
	Spans              []Span // where the groups of the matches lie
}

// Span is where a named group matched, in bytes of the line.
type Span struct {
	Name       string
	Start, End int
}

// Match finds all candidates in a line. now is the present (live), or may be zero (replay). Candidates of one line come in
// the order of the jails; their strings do not point into the line's chunk.
func (s *Set) Match(line capture.Line, now time.Time, emit func(jail int, c Candidate)) {
	s.match(line, now, emit, nil)
}

// Trace is Match that also tells what it saw; it is slower. What it returns is valid until the next call.
func (s *Set) Trace(line capture.Line, now time.Time, emit func(jail int, c Candidate)) *Trace {
	t := &s.trace
	*t = Trace{Ignored: t.Ignored[:0], Spans: t.Spans[:0]}
	for _, g := range s.groups {
		for range g.filters {
			t.Ignored = append(t.Ignored, false)
		}
	}
	s.match(line, now, emit, t)
	return t
}

func (s *Set) match(line capture.Line, now time.Time, emit func(int, Candidate), trace *Trace) {
	s.stats.Lines++
	s.forged = s.forged || s.forgeable && nginxReports(line.Text)
	run, matched := false, false
	for _, g := range s.groups {
		g.work.matched, g.work.emit, g.work.forged = false, emit, s.forged
		run = g.match(s, &line, now, trace) || run
		matched = matched || g.work.matched
	}
	if s.broken {
		s.broken = false
		s.stats.Undecoded++
	}
	if run {
		s.stats.Candidates++
	}
	if matched {
		s.stats.Matched++
	}
}

// nginxReports tells whether a line begins as those of nginx' error log do: "2026/11/22 15:00:00 [error] …". nginx writes the file name that a
// request asks for as it is after decoding, line ends too, so that "GET /%0a…" puts whole lines of the client's own into that log, with any address
// and in the form of any server. The beginning of the true line comes before them.
func nginxReports(line string) bool {
	const form = "0000/00/00 00:00:00 ["
	if len(line) < len(form) {
		return false
	}
	for i := range len(form) {
		if c := line[i]; form[i] == '0' && (c < '0' || c > '9') || form[i] != '0' && c != form[i] {
			return false
		}
	}
	return true
}

// match runs one group over a line and reports whether any regex was run.
func (g *group) match(s *Set, line *capture.Line, now time.Time, trace *Trace) bool {
	whole, text, ascii := g.text(s, line)
	if trace != nil {
		trace.Text = text
	}
	p, stamp := g.stamp(s, text, line, now, trace)
	for i := range g.rules {
		g.rules[i].Phase = s.phase
	}
	candidates := g.scan.Candidates(p.before, p.after, ascii)
	if len(candidates) == 0 && len(g.always) == 0 && s.exam == nil {
		g.rules[0].note(stamp, now)
		return false
	}
	slices.Sort(candidates)
	g.mark(candidates)
	if s.exam != nil {
		for fi := range g.marked {
			g.marked[fi] = true
		}
	}
	ran := false
	first := g.rules[0].resolve(stamp, now)
	for fi, f := range g.filters {
		if fi > 0 {
			g.rules[fi].last = g.rules[0].last
		}
		if !g.marked[fi] {
			continue
		}
		g.marked[fi] = false
		ran = true
		r := first
		if fi > 0 && f.options.FindTime != g.filters[0].options.FindTime {
			other := g.rules[fi]
			r = other.resolve(stamp, now)
		}
		w := &g.work
		w.raw, w.part, w.ascii, w.jail, w.when, w.now, w.trace, w.content = whole, p, ascii, g.jails[fi], r, now, trace, 0
		candidates = g.assign(fi, candidates)
		if w.exam = s.exam; w.exam != nil {
			w.fail = append(w.fail[:0], f.allFails...)
		}
		if f.process(w) && trace != nil {
			trace.Ignored[w.jail] = true
		}
	}
	return ran
}

// text makes valid UTF-8 of a line without its end, no longer than the filters look at it; whole is all of it as it was written.
func (g *group) text(s *Set, line *capture.Line) (whole, text string, ascii bool) {
	text, long := line.Text, line.Cut
	if g.encoding != nil {
		text = g.decode(s, text)
	}
	for len(text) > 0 && (text[len(text)-1] == '\n' || text[len(text)-1] == '\r') {
		text = text[:len(text)-1]
	}
	whole = text
	if len(text) > g.options.MaxLine {
		text, long = text[:g.options.MaxLine], true
	}
	ascii = pyre.IsASCII(text)
	if !ascii {
		text = g.valid(s, text)
	}
	if long {
		for _, f := range g.filters {
			f.stats.Long++
		}
	}
	return whole, text, ascii
}

// stamp takes the time stamp out of a line's text.
func (g *group) stamp(s *Set, text string, line *capture.Line, now time.Time, trace *Trace) (part, timeStamp) {
	if g.none {
		return part{before: text}, timeStamp{Time: line.Read, Found: !line.Read.IsZero()}
	}
	m, ok := g.detector.Find(text[:min(len(text), maxDateAt)], now.Unix())
	if !ok {
		s.stats.Undated++
		return part{before: text}, timeStamp{}
	}
	stamp := timeStamp{Empty: m.Empty()}
	stamp.Time, stamp.Found = g.time(&m, line, now)
	if trace != nil {
		trace.DateStart, trace.DateEnd, trace.DatePattern = m.Start, m.End, m.Pattern
		trace.Time, trace.TimeOK, trace.Zoned = stamp.Time, stamp.Found, m.Zoned()
	}
	return part{before: text[:m.Start], stamp: text[m.Start:m.End], after: text[m.End:]}, stamp
}

// assign sets a filter's candidates to work on, and returns those of the filters after it. candidates are sorted, and none is of a filter before it.
func (g *group) assign(filter int, candidates []uint32) (rest []uint32) {
	w := &g.work
	w.fail, w.login = w.fail[:0], w.login[:0]
	for len(candidates) > 0 && g.patterns[candidates[0]].filter <= filter {
		ref := g.patterns[candidates[0]]
		if candidates = candidates[1:]; ref.login {
			w.login = append(w.login, ref.index)
		} else {
			w.fail = append(w.fail, ref.index)
		}
	}
	return candidates
}

func (g *group) mark(candidates []uint32) {
	for _, c := range candidates {
		g.marked[g.patterns[c].filter] = true
	}
	for _, fi := range g.always {
		g.marked[fi] = true
	}
}
