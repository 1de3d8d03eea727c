package detect

import (
	"math"
	"net/netip"
	"slices"
	"strings"
)

const (
	maxText        = 4096 // bytes of one observation's text that are kept
	maxUser        = 256  // and of its user name
	maxFields      = 32   // fields of one observation that are kept
	maxAttempts    = 1 << 20
	sourceCost     = 400 // bytes of a source and its place in the map, roughly
	jailCost       = 160
	hitCost        = 32
	evidenceCost   = 200
	evictionSample = 16
)

// sourceKey names a source of the log jails.
type sourceKey struct {
	key  key
	bits uint8
	id   string
}

// source is what the log jails know of one source.
type source struct {
	key           sourceKey
	jails         []jailState
	stopped       bool     // a gate stopped the verdict that is due
	guesser       int64    // when it last took part in distributed guessing that counts; 0 = never
	counts, texts int      // bytes accounted for
	links         [2]links // in each of the queues
	hasEvidence   bool
}

// jailState is one source in one log jail.
type jailState struct {
	jail     int
	hits     []hit // Window: oldest first
	rate     rate  // Fail2ban
	tries    []try // user names, oldest first, where the jail combines
	excused  int64 // when a log-in took some of them off last
	failures int   // since the last verdict
	evidence []Evidence
}

// hit is one failure that counts.
type hit struct {
	at     int64 // Unix nanoseconds
	shadow int64 // until then a larger fraction of the same record is in the sum instead
	n      int32
	proven bool
}

// logs holds the sources of the log jails, bounded by number and by bytes.
type logs struct {
	sources       map[sourceKey]*source
	active        queue // all, by when they were last heard of
	evident       queue // those that keep evidence, by when they began to
	limits        *Limits
	counts, texts int

	evicted, stripped uint64
}

func newLogs(l *Limits) logs {
	return logs{sources: map[sourceKey]*source{}, active: queue{index: 0}, evident: queue{index: 1}, limits: l}
}

// get returns the source, made if need be, and marks it as the newest.
func (l *logs) get(k sourceKey) *source {
	s := l.sources[k]
	if s == nil {
		k.id = strings.Clone(k.id)
		s = &source{key: k, counts: sourceCost + len(k.id)}
		l.sources[k] = s
		l.counts += s.counts
		l.active.push(s)
		return s
	}
	if l.active.newest != s {
		l.active.remove(s)
		l.active.push(s)
	}
	return s
}

func (l *logs) linkEvidence(s *source) {
	s.hasEvidence = true
	l.evident.push(s)
}

func (l *logs) unlinkEvidence(s *source) {
	if s.hasEvidence {
		s.hasEvidence = false
		l.evident.remove(s)
	}
}

func (l *logs) remove(s *source) {
	l.active.remove(s)
	l.unlinkEvidence(s)
	l.counts -= s.counts
	l.texts -= s.texts
	delete(l.sources, s.key)
}

// strip lets go of the texts kept for s; what it counts stays.
func (l *logs) strip(s *source) {
	for i := range s.jails {
		s.jails[i].evidence = nil
	}
	l.texts -= s.texts
	s.texts = 0
	l.unlinkEvidence(s)
}

// settle brings the tables back within their bounds, sparing s.
func (l *logs) settle(s *source, safe func(*source) float64) {
	for l.texts > l.limits.EvidenceBytes && l.evident.oldest != nil && l.evident.oldest != s {
		l.strip(l.evident.oldest)
		l.stripped++
	}
	for len(l.sources) > l.limits.Sources || l.counts > l.limits.CountBytes {
		// The least suspicious of those that were quiet longest.
		var victim *source
		least := math.Inf(1)
		for n, x := 0, l.active.oldest; n < evictionSample && x != nil; n, x = n+1, l.active.newer(x) {
			if x == s {
				continue
			}
			if f := safe(x); f < least {
				victim, least = x, f
			}
		}
		if victim == nil {
			return
		}
		l.remove(victim)
		l.evicted++
	}
}

// in returns the source's state in a jail, or nil.
func (s *source) in(jail int) *jailState {
	for i := range s.jails {
		if s.jails[i].jail == jail {
			return &s.jails[i]
		}
	}
	return nil
}

func (l *logs) state(s *source, jail int) *jailState {
	if j := s.in(jail); j != nil {
		return j
	}
	s.jails = append(s.jails, jailState{jail: jail})
	s.counts += jailCost
	l.counts += jailCost
	return &s.jails[len(s.jails)-1]
}

// sourceKeyOf returns the key of an observation in a jail.
func (d *Detector) sourceKeyOf(jail int, a netip.Addr, id string) sourceKey {
	if id != "" {
		return sourceKey{id: id}
	}
	j := &d.config.Jails[jail]
	k, n := class{j.Prefix4, j.Prefix6}.key(a)
	return sourceKey{key: k, bits: n}
}

// failure counts one line's failure.
func (d *Detector) failure(o *Observation, jail int, at int64, emit func(Verdict)) {
	j := &d.config.Jails[jail]
	if d.stale(o.Source, at, jail) {
		return
	}
	k := d.sourceKeyOf(jail, o.Source, o.ID)
	s := d.logs.get(k)
	js := d.logs.state(s, jail)
	n := min(max(o.Count, 1), maxAttempts)
	if j.Strategy == Fail2ban {
		d.raise(s, js, j, o, at, n, emit)
		d.logs.settle(s, d.safety)
		return
	}
	if !d.hit(s, js, j, at, int32(n), o.Proven) {
		d.stats.tooLate++
		return
	}
	js.failures = min(js.failures+n, math.MaxInt32)
	d.keep(s, js, j, o)
	is, formed := d.guess(o, at)
	if j.Combine {
		whose := d.whose(o)
		d.try(s, js, o, whose, at)
		if d.crowd(is, whose) {
			s.guesser = at
			if d.crowd(formed, whose) {
				d.join(o, s, at)
			}
		}
	}
	d.logs.settle(s, d.safety)
	d.touched = append(d.touched, touch{addr: o.Source, id: o.ID, jail: jail, at: at})
}

// hit files a failure where its time belongs; false where its window is closed.
func (d *Detector) hit(s *source, js *jailState, j *JailConfig, at int64, n int32, proven bool) bool {
	before := len(js.hits)
	newest := at
	if before > 0 {
		newest = max(newest, js.hits[before-1].at)
	}
	if at < newest-int64(j.Findtime) {
		return false
	}
	i := before
	for i > 0 && js.hits[i-1].at > at {
		i--
	}
	js.hits = slices.Insert(js.hits, i, hit{at: at, n: n, proven: proven})
	drop := 0
	for js.hits[drop].at < newest-int64(j.Findtime) {
		drop++
	}
	drop = max(drop, len(js.hits)-j.Threshold) // older ones can no longer decide
	js.hits = slices.Delete(js.hits, 0, drop)
	s.counts += (len(js.hits) - before) * hitCost
	d.logs.counts += (len(js.hits) - before) * hitCost
	return true
}

// keep files the observation as evidence, without keeping the caller's memory.
func (d *Detector) keep(s *source, js *jailState, j *JailConfig, o *Observation) {
	e := Evidence{
		Time: o.Time.UTC(), Jail: j.Name, Kind: o.Kind, Target: o.Target, Proven: o.Proven,
		Text: strings.Clone(o.Text[:min(len(o.Text), maxText)]), User: strings.Clone(o.User[:min(len(o.User), maxUser)]),
	}
	cost := evidenceCost + len(e.Text) + len(e.User)
	if len(o.Fields) > 0 {
		names := make([]string, 0, len(o.Fields))
		for name := range o.Fields {
			names = append(names, name)
		}
		slices.Sort(names)
		names = names[:min(len(names), maxFields)]
		e.Fields = make(Fields, len(names))
		for _, name := range names {
			v := o.Fields[name]
			v = strings.Clone(v[:min(len(v), maxText)])
			e.Fields[strings.Clone(name)] = v
			cost += 64 + len(name) + len(v)
		}
	}
	for len(js.evidence) >= j.KeepMatches {
		gone := evidenceBytes(&js.evidence[0])
		js.evidence = slices.Delete(js.evidence, 0, 1)
		s.texts -= gone
		d.logs.texts -= gone
	}
	js.evidence = append(js.evidence, e)
	s.texts += cost
	d.logs.texts += cost
	d.logs.unlinkEvidence(s)
	d.logs.linkEvidence(s)
}

func evidenceBytes(e *Evidence) int {
	n := evidenceCost + len(e.Text) + len(e.User)
	for k, v := range e.Fields {
		n += 64 + len(k) + len(v)
	}
	return n
}

// shadow lets a record that matched several jails enter the sum once: all but its largest fraction wait until the window of that one closed.
func (d *Detector) shadow() {
	for i := range d.touched {
		t := &d.touched[i]
		if !d.summed(t) || slices.ContainsFunc(d.touched[:i], func(u touch) bool { return d.summed(&u) && u.sameSource(t) }) {
			continue // outside of the sum, or done with an earlier one
		}
		best, bestShare := t, 0.0
		for n := i; n < len(d.touched); n++ {
			u := &d.touched[n]
			if !d.summed(u) || !u.sameSource(t) {
				continue
			}
			if share := 1 / float64(d.config.Jails[u.jail].Threshold); share > bestShare {
				best, bestShare = u, share
			}
		}
		until := best.at + int64(d.config.Jails[best.jail].Findtime)
		for n := i; n < len(d.touched); n++ {
			if u := &d.touched[n]; d.summed(u) && u.sameSource(t) && u.jail != best.jail {
				d.shadowHit(u, until)
			}
		}
	}
}

// summed tells whether a touch is one of a log jail that takes part in the sum over jails.
func (d *Detector) summed(t *touch) bool { return t.jail >= 0 && d.combines(t.jail) }

func (t *touch) sameSource(o *touch) bool { return t.addr == o.addr && t.id == o.id }

// shadowHit keeps the hit that a touch left out of the sum for a while.
func (d *Detector) shadowHit(t *touch, until int64) {
	s := d.logs.sources[d.sourceKeyOf(t.jail, t.addr, t.id)]
	if s == nil {
		return
	}
	js := s.in(t.jail)
	if js == nil {
		return
	}
	for h := len(js.hits) - 1; h >= 0; h-- {
		if js.hits[h].at == t.at {
			js.hits[h].shadow = until
			return
		}
	}
}
