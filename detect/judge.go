package detect

import (
	"net/netip"
	"slices"
	"time"
)

// nearlyOne is 1 but for what adding thirds and fifths costs.
const nearlyOne = 1 - 1e-9

// maxEvidence bounds the observations that one verdict carries.
const maxEvidence = 64

// tally is the sum over jails for one source.
type tally struct {
	shares []share
	sum    float64
	proven float64
	full   bool // one jail is full by itself
}

// weigh fills d.tally with the shares that combining jails have in the source of a, at time at.
func (d *Detector) weigh(a netip.Addr, at int64) *tally {
	t := &d.tally
	*t = tally{shares: t.shares[:0]}
	p := &d.config.Portscan
	if !p.NoCombine && a.IsValid() {
		if sh, ok := d.scanShare(a, at); ok {
			t.add(sh)
		}
	}
	if len(d.logs.sources) == 0 {
		return t
	}
	for _, c := range d.classes {
		k, n := c.key(a)
		s := d.logs.sources[sourceKey{key: k, bits: n}]
		if s == nil {
			continue
		}
		for i := range s.jails {
			js := &s.jails[i]
			j := &d.config.Jails[js.jail]
			if !j.Combine || j.Prefix4 != c.bits4 && a.Is4() || j.Prefix6 != c.bits6 && !a.Is4() || t.has(js.jail) {
				continue
			}
			sh := js.count(j, at)
			if sh.own > 0 {
				if d.config.Guess.Act && d.crowded(s, at) {
					sh.guesses(d.config.Guess.Weight)
				}
			}
			if d.addTries(&sh, js, d.crowded(s, at), at); sh.own > 0 || sh.tried > 0 {
				t.add(sh)
			}
		}
	}
	return t
}

func (t *tally) has(jail int) bool {
	for i := range t.shares {
		if t.shares[i].jail == jail {
			return true
		}
	}
	return false
}

func (t *tally) add(sh share) {
	if sh.own >= nearlyOne {
		sh.sum = sh.own
		t.full = true
		t.proven = max(t.proven, sh.provenOwn)
	}
	t.shares = append(t.shares, sh)
	t.sum = 0
	proven := 0.0
	for i := range t.shares {
		t.sum += t.shares[i].sum
		proven += t.shares[i].provenSum
	}
	t.proven = max(t.proven, proven)
}

// guesses lets the failures of one who takes part in distributed guessing weigh more.
func (sh *share) guesses(weight int) {
	w := float64(weight)
	sh.guesser = weight
	sh.own, sh.sum, sh.provenOwn, sh.provenSum = w*sh.own, w*sh.sum, w*sh.provenOwn, w*sh.provenSum
}

// scanShare is what the packet jail says of a.
func (d *Detector) scanShare(a netip.Addr, at int64) (share, bool) {
	k := d.scanKey(a)
	x := d.scan.glance(k, d.hash.key(k), seconds(at))
	if x == nil {
		return share{}, false
	}
	f, l := d.scan.fraction(x, seconds(at))
	p := &d.config.Portscan
	return share{
		jail: -1, own: f, sum: f, limit: l, failures: x.knocks(), bits4: p.Prefix4, bits6: p.Prefix6,
		first: int64(x.first) * int64(time.Second), last: int64(x.last) * int64(time.Second),
	}, f > 0
}

// judge decides on the source of an observation in a jail (-1 = the packet jail) that was just counted.
func (d *Detector) judge(a netip.Addr, id string, jail int, at int64, emit func(Verdict)) {
	t := &d.tally
	if a.IsValid() && id == "" && (jail < 0 || d.combines(jail)) {
		k := d.scanKey(a)
		d.scan.known(k, d.hash.key(k), seconds(at)) // back from the spill, if it is there
	}
	if id == "" && d.combines(jail) {
		t = d.weigh(a, at)
	} else {
		*t = tally{shares: t.shares[:0]}
		if jail < 0 {
			if sh, ok := d.scanShare(a, at); ok {
				t.add(sh)
			}
		} else if s := d.logs.sources[d.sourceKeyOf(jail, a, id)]; s != nil {
			if js := s.in(jail); js != nil {
				t.add(js.count(&d.config.Jails[jail], at))
			}
		}
	}
	if !t.full && t.sum < nearlyOne {
		d.setStopped(a, id, jail, false)
		return
	}
	// The largest share first; of equal ones the one whose jail was configured first, the packet jail before all.
	slices.SortStableFunc(t.shares, func(x, y share) int {
		switch {
		case x.sum > y.sum:
			return -1
		case x.sum < y.sum:
			return 1
		}
		return x.jail - y.jail
	})
	// Where the record that decided came late, the verdict is of the newest evidence, as it would be had all come in order: a ban must not be over
	// before it begins.
	for i := range t.shares {
		if t.shares[i].sum > 0 {
			at = max(at, t.shares[i].last)
		}
	}
	proven := t.proven >= nearlyOne
	bypass := t.shares[0].jail >= 0 && d.config.Jails[t.shares[0].jail].BypassGates
	stopped := d.ask(a, id, at, proven, bypass)
	if stopped && d.isStopped(a, id, jail) {
		return // said once, until the gate opens or the score falls
	}
	d.setStopped(a, id, jail, stopped)
	d.verdict(a, id, at, t.sum, proven, d.answers(a, id, at, proven, bypass), emit)
}

// isStopped says whether the verdict that is due was already told to be stopped.
func (d *Detector) isStopped(a netip.Addr, id string, jail int) bool {
	stopped := false
	d.holders(a, id, jail, func(x *slot, s *source) {
		stopped = stopped || x != nil && x.flags&flagStopped != 0 || s != nil && s.stopped
	})
	return stopped
}

func (d *Detector) setStopped(a netip.Addr, id string, jail int, stopped bool) {
	d.holders(a, id, jail, func(x *slot, s *source) {
		if x != nil {
			x.flags &^= flagStopped
			if stopped {
				x.flags |= flagStopped
			}
		}
		if s != nil {
			s.stopped = stopped
		}
	})
}

// holders calls f for everything that holds a part of the suspicion against a source.
func (d *Detector) holders(a netip.Addr, id string, jail int, f func(*slot, *source)) {
	if id == "" && d.combines(jail) || jail < 0 {
		if a.IsValid() {
			k := d.scanKey(a)
			if x := d.scan.table.find(k, d.hash.key(k)); x != nil {
				f(x, nil)
			}
		}
		if len(d.logs.sources) == 0 {
			return
		}
		for _, c := range d.classes {
			k, n := c.key(a)
			if s := d.logs.sources[sourceKey{key: k, bits: n}]; s != nil {
				f(nil, s)
			}
		}
		return
	}
	if s := d.logs.sources[d.sourceKeyOf(jail, a, id)]; s != nil {
		f(nil, s)
	}
}

// verdict emits what d.tally says and, unless a gate stopped it, forgets the evidence that was used.
func (d *Detector) verdict(a netip.Addr, id string, at int64, score float64, proven bool, answers []GateAnswer, emit func(Verdict)) {
	shares := d.tally.shares
	lead := &shares[0]
	v := Verdict{Time: time.Unix(0, at).UTC(), ID: id, Jail: d.jailName(lead.jail), Score: score, Proven: proven, Gates: answers}
	if a.IsValid() {
		if id != "" {
			v.Source = netip.PrefixFrom(a, a.BitLen())
		} else {
			v.Source = maskKey(a, lead.bits4, lead.bits6).prefix(lead.bits4, lead.bits6)
		}
	}
	if lead.jail >= 0 && d.config.Jails[lead.jail].Strategy == Fail2ban {
		answers = d.answers(a, id, at, proven, true)
		v.Gates = answers
	}
	for _, g := range answers {
		v.Stopped = v.Stopped || g.Stopped
	}
	for i := range shares {
		sh := &shares[i]
		if sh.sum == 0 && i > 0 {
			continue
		}
		fraction := sh.sum
		if sh.own >= nearlyOne {
			fraction = sh.own
		}
		v.Shares = append(v.Shares, Share{Jail: d.jailName(sh.jail), Fraction: fraction, Proven: sh.jail >= 0 && sh.allProven})
		v.Failures += sh.failures
		v.Evidence = append(v.Evidence, d.evidence(a, id, sh.jail)...)
		v.Reasons = append(v.Reasons, d.reason(a, id, sh, at))
	}
	slices.SortStableFunc(v.Evidence, func(x, y Evidence) int { return x.Time.Compare(y.Time) })
	if n := len(v.Evidence); n > maxEvidence {
		v.Evidence = v.Evidence[n-maxEvidence:]
	}
	jail := lead.jail
	d.stats.count(jail, &v, len(d.config.Jails))
	if !v.Stopped || d.isFail2ban(jail) {
		d.forget(a, id, shares)
	}
	emit(v)
	if !v.Stopped && proven && id == "" && !d.isFail2ban(jail) {
		d.member(a, at, &v, emit)
	}
}

func (d *Detector) isFail2ban(jail int) bool {
	return jail >= 0 && d.config.Jails[jail].Strategy == Fail2ban
}

func (d *Detector) jailName(jail int) string {
	if jail < 0 {
		return d.config.Portscan.Name
	}
	return d.config.Jails[jail].Name
}

// forget clears the evidence behind the shares of a source: the next verdict needs a full threshold of its own.
func (d *Detector) forget(a netip.Addr, id string, shares []share) {
	for i := range shares {
		jail := shares[i].jail
		if jail < 0 {
			k := d.scanKey(a)
			h := d.hash.key(k)
			d.scan.drop(k, h, seconds(d.now))
			continue
		}
		if s := d.logs.sources[d.sourceKeyOf(jail, a, id)]; s != nil {
			d.clear(s, jail)
		}
	}
}

// clear forgets one jail's part in s, and s itself once nothing is left.
func (d *Detector) clear(s *source, jail int) {
	for i := range s.jails {
		js := &s.jails[i]
		if js.jail != jail {
			continue
		}
		d.dropEvidence(s, js)
		n := jailCost + len(js.hits)*hitCost + len(js.tries)*tryCost
		s.counts -= n
		d.logs.counts -= n
		s.jails = slices.Delete(s.jails, i, i+1)
		break
	}
	if len(s.jails) == 0 {
		d.logs.remove(s)
	}
}
