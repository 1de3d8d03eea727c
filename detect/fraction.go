package detect

import "math"

// limit is how many doors judge this source, and how many of them suffice given that they decay.
type limit struct {
	doors, full                float64
	mark, company, victim, ttl bool
}

func (s *scan) limit(x *slot) limit {
	l := limit{doors: s.config.Threshold, full: s.config.Threshold * slack}
	if l.company = x.soon() && s.companies.strong(x.key(), x.last, s.hosts.fewer(x.key())); l.company {
		l.doors = max(math.Floor(l.doors/2), 1)
		l.full = l.doors * companySlack
	}
	if l.mark = x.flags&flagMark != 0; l.mark {
		l.doors, l.full = l.doors/2, l.full/2
	}
	l.ttl = x.ttlMax-x.ttlMin > ttlSpread
	l.victim = x.flags&flagVictim != 0
	if l.ttl || l.victim {
		l.doors, l.full = l.doors*2, l.full*2
	}
	return l
}

// fraction of the threshold that the slot has reached at time now.
func (s *scan) fraction(x *slot, now uint32) (float64, limit) {
	l := s.limit(x)
	doors := s.doors(x, now, l.doors)
	f := doors / l.doors
	if doors >= l.full || s.spread(doors, l.doors, x.undecayed(), float64(now)-float64(x.first)) {
		f = max(f, 1)
	}
	return f, l
}

// spread says whether doors that have decayed are as good as full ones, since there were as many as the limit says within one half-life, or more
// than that in a longer time. It has no say in UDP and ICMP, which are not in undecayed.
func (s *scan) spread(doors, limit, undecayed, age float64) bool {
	return doors >= spreadSlack*limit && undecayed >= math.Ceil(limit)+1 || doors >= daySlack*limit && undecayed >= math.Ceil(limit) && age <= s.halfLife
}

// mayBeFull says, without looking anywhere else, whether fraction is worth asking.
func (s *scan) mayBeFull(x *slot) bool {
	least := s.leastFull
	if x.flags&flagMark != 0 {
		least /= 2
	}
	return float64(x.hard)+float64(x.weak)/weakUnit >= least
}
