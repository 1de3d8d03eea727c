package engine

import (
	"time"

	"pfwarden/capture"
	"pfwarden/detect"
	"pfwarden/detect/filter"
)

// maxAhead is how far a log-in may be dated ahead of the time at which its line was read; the detector does the same to failures.
const maxAhead = time.Minute

// lineState is what a line's candidates need to know of it.
type lineState struct {
	line    *capture.Line
	now     time.Time
	set     *set
	notices []detect.Notice
	at      time.Time // of the line, as its first candidate says
	found   func(jail int, c filter.Candidate)
}

// Line takes one line of a log. now is the time by which bans are judged, and the line's own where it has none.
func (e *Engine) Line(now time.Time, l *capture.Line) {
	e.counts.Lines++
	e.release(now)
	e.obs = e.obs[:0]
	s := &e.line
	s.line, s.now, s.set, s.notices, s.at = l, now, e.setOf(l.Origin), s.notices[:0], time.Time{}
	s.set.filters.Match(*l, now, s.found)
	for _, w := range e.o.Watchers {
		w.Line(l, s.at, e.obs)
	}
	// A log-in is known before the failures of the same line are judged.
	e.Notices(s.notices)
	e.observe(now)
}

// candidate turns a match into an observation or a notice.
func (e *Engine) candidate(index int, c filter.Candidate) {
	s := &e.line
	jail := &e.o.Jails[s.set.jails[index]]
	at := c.Time
	if !c.HasTime {
		if at = s.now; at.IsZero() {
			e.counts.NoTime++
			return
		}
	}
	s.at = at
	if c.Login {
		if read := s.line.Read; !read.IsZero() && at.After(read.Add(maxAhead)) {
			at = read
		}
		if c.Addr.IsValid() {
			s.notices = append(s.notices, detect.Notice{Time: at, Kind: detect.Login, Source: single(c.Addr), Jail: jail.Name, User: c.Fields["user"]})
		}
		return
	}
	o := detect.Observation{
		Time: at, Read: s.line.Read, Source: c.Addr, Jail: jail.Name, Kind: detect.Failure,
		Count: c.Attempts, Proven: c.Proven, Text: c.Text, User: c.Fields["user"], Fields: c.Fields,
	}
	if o.Read.IsZero() {
		o.Read = at
	}
	if jail.Exact && (!c.Addr.IsValid() || c.ID != c.Addr.String()) {
		o.ID = c.ID
		if c.Prefix.IsValid() && c.ID == c.Prefix.String() {
			o.Source = c.Prefix.Addr() // one source, whatever its host bits
		}
	}
	if c.Host != "" {
		if e.o.Candidates == nil {
			e.counts.Unresolved++
			return
		}
		o.Proven = false
		e.o.Candidates.Resolve(jail.Name, c.Host, o)
		return
	}
	if !o.Source.IsValid() && o.ID == "" {
		return
	}
	if e.o.Stopped != nil && o.Source.IsValid() && e.o.Stopped(o.Source) {
		e.counts.Stopped++
		return
	}
	if e.o.Candidates != nil && e.o.Candidates.Ignored(jail.Name, &o) {
		return
	}
	if !jail.Exact {
		key, log := attempt{s.set.jails[index], o.Source, o.User}, s.line.Origin
		again := e.twice.again(key, log, c.Regex, o.Time)
		if again {
			e.counts.Twice++
		}
		switch {
		case again && !(o.Proven && e.held.drop(key, log)):
			return
		case !again && !o.Proven && jail.Filter.Forgeable && jail.several():
			e.held.add(key, o, log, s.now)
			return
		}
	}
	e.obs = append(e.obs, o)
}
