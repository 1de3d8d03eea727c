package detect

import "math"

// Where a bucket of slots is full, a source of so few doors that nothing could be judged needs no slot: it waits in the spill, where it takes 8
// bytes, displaces nobody from the table and costs one line of memory to look at. When millions of sources knock, that is nearly all of them.

const (
	waitDoors = spillPrints // doors at most
	waitAge   = 1           // units of spillUnit since its last knock, at most: of a longer time decay would have to be counted more finely
)

// waitMost is how many doors a source may have that waits: fewer than judge it.
func waitMost(threshold float64) float32 {
	return float32(min(waitDoors, math.Ceil(slack*threshold)-1))
}

// mayWait says whether this knock is of the common kind, and its source's bucket without a free slot.
func (s *scan) mayWait(o *Observation, h uint64) bool {
	return o.Kind == Probe && o.Mark == NoMark && s.table.full(h)
}

// waiting deals with a knock of a source of which an entry in the spill is all that is kept, and answers false where the source needs a slot.
func (d *Detector) waiting(entry *uint64, o *Observation, k key, h, th uint64, now uint32, at int64, emit func(Verdict)) bool {
	s := &d.scan
	w := *entry
	if repeats(w, uint16(th)) {
		return true
	}
	if nameless(w) && d.credited(h, th, weight(o.Kind)) {
		*entry = withTarget(w, uint16(th))
		return true
	}
	before := float32(w>>spillHard&spillHardMost) / 2
	if before+1 > s.waitMost || w&(spillMark|spillWeakMost<<spillWeak) != 0 || (now>>spillUnit-uint32(w>>spillTime))%spillTimes > waitAge || !s.mayWait(o, h) || d.logged(o.Source) {
		return false
	}
	if d.stale(o.Source, at, -1) {
		return true
	}
	if before+1 >= s.suffices && s.companies.strong(k, now, s.hosts.fewer(k)) {
		return false
	}
	*entry = knockAgain(w, uint16(th), now)
	d.accompany(&step{source: k, hash: h, target: th, before: float64(before), doors: float64(before + 1), fresh: true, soon: true}, now, at, emit)
	return true
}

// waits keeps a source that has just entered in the spill, and answers false where it needs a slot.
func (d *Detector) waits(o *Observation, k key, h, th uint64, now uint32, credit float32, flooding bool, at int64, emit func(Verdict)) bool {
	s := &d.scan
	if credit+1 > s.waitMost || !s.mayWait(o, h) || credit+1 >= s.suffices || d.logged(o.Source) {
		return false
	}
	w := spillTimeOf(now) | uint64(int32(2*(credit+1)))<<spillHard | uint64(uint16(th))
	if flooding {
		w |= spillFlood
	}
	s.spill.keep(w, h, now)
	d.accompany(&step{source: k, hash: h, target: th, before: float64(credit), doors: float64(credit + 1), fresh: true, hidden: credit > 0, soon: true}, now, at, emit)
	return true
}
