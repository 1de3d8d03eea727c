package detect

import (
	"math"
	"time"
)

// rate is fail2ban's counter of one source in one jail. It is no sliding window: where the first failure has left the window the count is thinned
// to what the rate so far makes of one window.
type rate struct {
	first, last float64 // Unix seconds
	retry       int
	newest      int64 // last, in Unix nanoseconds
	proven      bool  // every failure so far was
}

// add counts one failure that weighs n at time t. Failures out of order are counted and move nothing.
func (r *rate) add(t, findtime float64, n int, keepStale bool) (fresh bool) {
	if r.retry > 0 && !keepStale && r.last <= t-findtime {
		r.retry = 0
	}
	if r.retry == 0 {
		*r = rate{first: t, last: t, retry: n, newest: r.newest, proven: true}
		return true
	}
	if t > r.last {
		if r.first < t-findtime {
			r.retry = int(math.RoundToEven(float64(r.retry) / (t - r.first) * findtime))
			r.first = t - findtime
		}
		r.last = t
	}
	r.retry += n
	return false
}

// raise counts a failure in a jail taken from fail2ban and judges it at once.
func (d *Detector) raise(s *source, js *jailState, j *JailConfig, o *Observation, at int64, n int, emit func(Verdict)) {
	weight := n
	if j.Increment {
		if b := d.bans.of(banKey{source: s.key, jail: j.Name}); b != nil && at > b.at && b.count > 0 {
			known := math.Pow(2, float64(min(b.count, 20)))/2 + 1
			weight = n - 1 + int(min(float64(j.Threshold), known))
		}
	}
	t := float64(at) / float64(time.Second)
	js.rate.newest = max(js.rate.newest, at)
	if js.rate.add(t, j.Findtime.Seconds(), weight, j.KeepStale) {
		d.dropEvidence(s, js)
		js.failures = 0
	}
	js.rate.proven = js.rate.proven && o.Proven
	js.failures = min(js.failures+n, math.MaxInt32)
	d.keep(s, js, j, o)
	d.guess(o, at)
	if js.rate.retry < j.Threshold {
		return
	}
	sh := share{
		jail: js.jail, own: float64(js.rate.retry) / float64(j.Threshold), failures: js.failures, allProven: js.rate.proven,
		first: int64(js.rate.first * float64(time.Second)), last: js.rate.newest, bits4: j.Prefix4, bits6: j.Prefix6,
	}
	if js.rate.proven {
		sh.provenOwn = sh.own
	}
	d.tally.shares = append(d.tally.shares[:0], sh)
	// fail2ban dates the ban at the newest of the failures, also where the one that decided came out of order.
	at = js.rate.newest
	d.verdict(o.Source, o.ID, at, sh.own, js.rate.proven, nil, emit)
}

// dropEvidence lets go of what is kept for one jail.
func (d *Detector) dropEvidence(s *source, js *jailState) {
	for i := range js.evidence {
		n := evidenceBytes(&js.evidence[i])
		s.texts -= n
		d.logs.texts -= n
	}
	js.evidence = nil
	if s.texts == 0 {
		d.logs.unlinkEvidence(s)
	}
}
