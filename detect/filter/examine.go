package filter

import (
	"slices"
	"strings"
	"time"

	"pfwarden/capture"
	"pfwarden/detect/filter/date"
)

// Examination is all that a filter found in a line, also what leads to no failure: for those who work on a filter.
type Examination struct {
	*Trace
	Prefix       bool     // the prefregex matched
	PrefixGroups []Group  // and what its groups took
	Hits         []Hit    // in the order of the failregexes
	Earlier      []string // lines before this one that its match has used up
}

// Group is a named group with what it took, if it took part.
type Group struct {
	Name, Text string
	Took       bool
}

// Hit is one match of a failregex, joined with what was known of its multi-line id.
type Hit struct {
	Candidate
	Groups  []Group // the same as Fields, in the patterns' order, with those that took no part
	MLFID   string  // the multi-line id, "" if it has none
	Users   []string
	Quiet   bool // it is no failure: F-NOFAIL, or F-MLFGAINED
	Pending bool // it names nobody yet
}

// Examine runs every pattern of a set's first filter over a line, and tells each match. It is slow: nothing is passed over. What it
// returns is valid until the next call.
func (s *Set) Examine(line capture.Line, now time.Time) *Examination {
	s.exam = &Examination{}
	defer func() { s.exam = nil }()
	s.exam.Trace = s.Trace(line, now, func(int, Candidate) {})
	return s.exam
}

// Dates returns how often the set's first filter has used each of its date formats, in their current order.
func (s *Set) Dates() []date.Use {
	if len(s.groups) == 0 || s.groups[0].none {
		return nil
	}
	return s.groups[0].detector.Uses()
}

// prefix notes a match of the prefregex.
func (e *Examination) prefix(p *pattern, text string, m []int) {
	e.Prefix = true
	for i, name := range p.Names() {
		switch {
		case name == "":
		case m[2*i] < 0:
			e.PrefixGroups = append(e.PrefixGroups, Group{Name: name})
		default:
			e.PrefixGroups = append(e.PrefixGroups, Group{name, strings.Clone(text[m[2*i]:m[2*i+1]]), true})
		}
	}
}

// consumed notes the lines that a match took out of the buffer of a multi-line filter, but for the last one that came.
func (e *Examination) consumed(before, after []part) {
	if e == nil || len(before) == 0 {
		return
	}
	for _, p := range before[:len(before)-1] {
		if !slices.Contains(after, p) {
			e.Earlier = append(e.Earlier, p.before+p.stamp+p.after)
		}
	}
}

// add notes a match of a failregex.
func (e *Examination) add(f *Filter, w *work, p *pattern, found *failure, index int) {
	if e == nil {
		return
	}
	h := Hit{Candidate: Candidate{Regex: index, Lines: found.matches, Time: w.when.Time, HasTime: w.when.OK}, MLFID: found.fields.get("mlfid")}
	h.Pending = !found.fields.identify(f.UseDNS)
	if h.MLFID != "" {
		h.Quiet = found.quiet || found.gained
		h.Users = slices.Clone(found.users)
	} else {
		h.Quiet = found.fields.get("nofail") != ""
	}
	own := found.fields.detached(nil)
	h.Candidate.identify(&own, f.UseDNS)
	h.Fields = own.export()
	for _, names := range [][]string{f.pre.groupNames(), p.groupNames()} {
		for _, name := range names {
			h.group(name, own)
		}
	}
	for _, v := range own { // what earlier lines knew
		h.group(v.name, own)
	}
	e.Hits = append(e.Hits, h)
}

// group adds a group, with what it took if it did.
func (h *Hit) group(name string, found fields) {
	if slices.ContainsFunc(h.Groups, func(g Group) bool { return g.Name == name }) {
		return
	}
	text, took := found.lookup(name)
	h.Groups = append(h.Groups, Group{name, text, took})
}

// groupNames lists a pattern's groups, but for those that are merged into others or are no fields.
func (p *pattern) groupNames() (names []string) {
	if p == nil {
		return nil
	}
	for _, name := range p.Names() {
		switch {
		case name == "", name == "content", name == "mlfforget", strings.HasPrefix(name, "alt_"), strings.HasPrefix(name, "tuple_"), strings.HasPrefix(name, "skiplines"):
		default:
			names = append(names, name)
		}
	}
	return names
}
