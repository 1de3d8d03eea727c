package detect

import (
	"cmp"
	"math"
	"slices"
)

// The sections of a snapshot.

func (d *Detector) saveLogs(e *encoder, flush func() error) error {
	l := &d.logs
	e.n(len(l.sources))
	for s := l.active.oldest; s != nil; s = l.active.newer(s) {
		e.sourceKey(s.key)
		e.bool(s.stopped)
		e.i(s.guesser)
		e.n(len(s.jails))
		for i := range s.jails {
			js := &s.jails[i]
			e.s(d.config.Jails[js.jail].Name)
			e.n(len(js.hits))
			for _, h := range js.hits {
				e.i(h.at)
				e.i(h.shadow)
				e.n(int(h.n))
				e.bool(h.proven)
			}
			e.n(len(js.tries))
			for _, t := range js.tries {
				e.i(t.at)
				e.u(uint64(t.name))
				e.n(int(t.weight))
				e.n(int(t.whose))
				e.bool(t.proven)
			}
			e.i(js.excused)
			e.f(js.rate.first)
			e.f(js.rate.last)
			e.n(js.rate.retry)
			e.i(js.rate.newest)
			e.bool(js.rate.proven)
			e.n(js.failures)
			e.n(len(js.evidence))
			for k := range js.evidence {
				v := &js.evidence[k]
				e.time(v.Time)
				e.n(int(v.Kind))
				e.target(&v.Target)
				e.bool(v.Proven)
				e.s(v.Text)
				e.s(v.User)
				e.fields(v.Fields)
			}
		}
		if len(e.b) > 1<<15 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	// The order in which evidence was kept last decides whose is let go of first.
	n := 0
	for s := l.evident.oldest; s != nil; s = l.evident.newer(s) {
		n++
	}
	e.n(n)
	for s := l.evident.oldest; s != nil; s = l.evident.newer(s) {
		e.sourceKey(s.key)
	}
	return nil
}

func (d *Detector) loadLogs(x *decoder) {
	l := &d.logs
	for range x.n(1 << 28) {
		k := x.sourceKey()
		stopped, guesser := x.bool(), x.i()
		jails := x.n(1 << 16)
		if x.err != nil {
			return
		}
		s := l.get(k)
		s.stopped, s.guesser = stopped, guesser
		for range jails {
			if d.loadState(x, s); x.err != nil {
				return
			}
		}
		if len(s.jails) == 0 {
			l.remove(s)
		}
	}
	for range x.n(1 << 28) {
		k := x.sourceKey()
		if x.err != nil {
			return
		}
		if s := l.sources[k]; s != nil && s.texts > 0 {
			l.unlinkEvidence(s)
			l.linkEvidence(s)
		}
	}
	l.settle(nil, d.safety)
}

// loadState reads one source's state in one jail, and drops it where the jail is gone or counts otherwise today.
func (d *Detector) loadState(x *decoder, s *source) {
	name := x.s()
	jail, ok := d.jails[name]
	var js jailState
	for range x.n(1 << 28) {
		h := hit{at: x.i(), shadow: x.i(), n: int32(x.n(maxAttempts)), proven: x.bool()}
		if x.err != nil {
			return
		}
		js.hits = append(js.hits, h)
	}
	for range x.n(tryName * maxNames) {
		js.tries = append(js.tries, try{at: x.i(), name: x.u32(), weight: uint8(x.n(tryName)), whose: owner(x.n(int(lastOwner))), proven: x.bool()})
		if x.err != nil {
			return
		}
	}
	js.excused = x.i()
	js.rate = rate{first: x.f(), last: x.f(), retry: x.n(math.MaxInt32), newest: x.i(), proven: x.bool()}
	js.failures = x.n(math.MaxInt32)
	texts := 0
	for range x.n(1 << 28) {
		v := Evidence{Time: x.time(), Jail: name, Kind: Kind(x.n(NumKinds - 1)), Target: x.target(), Proven: x.bool(), Text: x.s(), User: x.s(), Fields: x.fields()}
		if x.err != nil {
			return
		}
		texts += evidenceBytes(&v)
		js.evidence = append(js.evidence, v)
	}
	if x.err != nil || !ok || s.in(jail) != nil {
		return
	}
	j := &d.config.Jails[jail]
	if (j.Strategy == Fail2ban) != (js.rate.retry > 0) {
		return
	}
	slices.SortStableFunc(js.hits, func(a, b hit) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	if over := len(js.hits) - j.Threshold; over > 0 {
		js.hits = js.hits[over:]
	}
	if !j.Combine || d.config.Guess.Names == 0 {
		js.tries = nil
	}
	slices.SortStableFunc(js.tries, func(a, b try) int { return cmp.Compare(a.at, b.at) })
	js.tries = js.tries[max(0, len(js.tries)-tryName*d.config.Guess.Names):]
	js.jail = jail
	s.jails = append(s.jails, js)
	n := jailCost + len(js.hits)*hitCost + len(js.tries)*tryCost
	s.counts += n
	d.logs.counts += n
	s.texts += texts
	d.logs.texts += texts
	if texts > 0 && !s.hasEvidence {
		d.logs.linkEvidence(s)
	}
}
