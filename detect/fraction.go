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
	if l.company {
		return l // whose members could each save their few probes by signs that anybody can set
	}
	l.ttl = x.ttlMax-x.ttlMin > ttlSpread
	l.victim = x.flags&flagVictim != 0 && !s.victims.over(s.hash.key(x.key()), x.last)
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
	// Decay may take a part only within one half-life. In a longer time the doors have to make up the limit as they are: who gets a wrong one now
	// and then has always some. UDP and ICMP are not in undecayed.
	young := float64(now)-float64(x.first) <= s.halfLife
	if young && (doors >= l.full || doors >= daySlack*l.doors && x.undecayed() >= math.Ceil(l.doors)) {
		f = max(f, 1)
	}
	return f, l
}

// mayBeFull says, without looking anywhere else, whether fraction is worth asking.
func (s *scan) mayBeFull(x *slot) bool {
	least := s.leastFull
	if x.flags&flagMark != 0 {
		least /= 2
	}
	return float64(x.hard)+float64(x.weak)/weakUnit >= least
}
