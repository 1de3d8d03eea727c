package detect

import "math"

// spill keeps, in 8 bytes each, what was known of the sources that had to leave the table of slots, until they knock again. There are spillShare
// of these entries for every slot, so that somebody who forges a million sources of a few knocks each pushes out nobody's doors: they only move.
//
// Where a bucket is full, what goes is drawn by lot, of the sources first seen in a flood before all others. So whoever wants others forgotten
// has to choose: at a rate that no flood mode notices it takes days to turn the table over, and what a flood brings can only displace what
// came in a flood, each of them as likely as the newcomer itself, whatever their scores. The lot is a hash under the detector's secret seed.
//
// An entry is one word, from its highest bit on:
//
//	19  more of the source's hash: with the bucket's bits, some four sources in a hundred thousand are taken for another
//	11  time of the last knock that counted, in units of some 34 minutes
//	 1  whether a knock carried a tool's mark
//	 4  doors of probes and stealth probes, in halves
//	 2  doors of UDP and ICMP, in halves
//	 1  whether it was first seen in a flood
//	 2  how many fingerprints of its targets are kept
//	24  the newest of them: one of 16 bits, two of 12 or three of 8
//
// A free entry is 0.
//
// Each bucket of slots has spillShare buckets of its own here, side by side, and a source's tag there says which of them is its own.
type spill struct {
	word []uint64
	mask uint64 // of buckets of slots
	life uint32 // units after which an entry is as good as none
	lot  uint64 // secret

	used  int
	moved uint64 // entries made
	lost  uint64 // entries, or newcomers, that had to go
}

const (
	spillShare = 4       // entries for a slot
	spillUnit  = 11      // log2 of seconds
	spillTimes = 1 << 11 // units until times come round again
	spillLate  = 4       // units by which records may come late

	spillHash     = 24 // from this bit on the hash is the tag; below is the bucket, and the table's tag above
	spillTag      = 45
	spillTagMask  = 1<<19 - 1
	spillTime     = 34
	spillMark     = 1 << 33
	spillHard     = 29
	spillHardMost = 15
	spillWeak     = 27
	spillWeakMost = 3
	spillFlood    = 1 << 26
	spillCount    = 24
	spillPrints   = 3 // fingerprints at most
)

// spillWidth is how many bits of each fingerprint are kept where there are n.
func spillWidth(n int) int { return 24/max(n, 2) + max(2-n, 0)*4 }

func newSpill(slots int, forget float64, lot uint64) spill {
	return spill{
		word: make([]uint64, spillShare*slots), mask: uint64(slots/bucketSlots - 1), lot: lot,
		life: uint32(min(max(math.Ceil(forget/(1<<spillUnit)), 1), spillTimes-2*spillLate)),
	}
}

// place is where the entries begin that may be those of the source with the hash h.
func (s *spill) place(h uint64) uint64 { return s.placeOf(h&s.mask, tagOf(h)) }

func (s *spill) placeOf(bucket, tag uint64) uint64 {
	return (bucket*spillShare + tag>>1%spillShare) * bucketSlots
}

// bucket of the source with the hash h, and what tells it from others there.
func (s *spill) bucket(h uint64) (words *[bucketSlots]uint64, tag uint64) {
	return (*[bucketSlots]uint64)(s.word[s.place(h):]), h >> spillHash & spillTagMask
}

// expired says whether an entry is as good as none at time now.
func (s *spill) expired(w uint64, now uint32) bool {
	age := (now>>spillUnit - uint32(w>>spillTime)) % spillTimes
	return age > s.life && age < spillTimes-spillLate
}

// put keeps what is known of a source that leaves the table of slots.
func (s *spill) put(x *slot, h uint64, now uint32) {
	hard := min(uint64(x.hard*2+0.5), spillHardMost)
	weak := min((uint64(x.weak)*2+weakUnit-1)/weakUnit, spillWeakMost)
	if hard|weak == 0 {
		return
	}
	words, tag := s.bucket(h)
	w := tag<<spillTag | uint64(x.last>>spillUnit)%spillTimes<<spillTime | hard<<spillHard | weak<<spillWeak
	if x.flags&flagFloodBorn != 0 {
		w |= spillFlood
	}
	if x.flags&flagMarkOnce != 0 {
		w |= spillMark
	}
	n := min(int(x.n), spillPrints)
	w |= uint64(n) << spillCount
	for i := range n {
		print := x.prints[(int(x.n)-n+i)%len(x.prints)]
		w |= uint64(print) & (1<<spillWidth(n) - 1) << (spillWidth(n) * i)
	}
	s.moved++
	floodBorn := 0
	for i, old := range words {
		if old == 0 || s.expired(old, now) {
			if old == 0 {
				s.used++
			}
			words[i] = w
			return
		}
		if old&spillFlood != 0 {
			floodBorn++
		}
	}
	s.lost++
	// The lot falls on one of those that may go, the newcomer being the last.
	among := bucketSlots
	if floodBorn > 0 {
		among = floodBorn
	}
	if w&spillFlood != 0 && floodBorn == 0 {
		return // of a flood, among others
	}
	if w&spillFlood != 0 || floodBorn == 0 {
		among++
	}
	n = int(fold(h^s.lot, uint64(now)^s.lot>>32^w) >> 32 * uint64(among) >> 32)
	for i, old := range words {
		if floodBorn > 0 && old&spillFlood == 0 {
			continue
		}
		if n == 0 {
			words[i] = w
			return
		}
		n--
	}
}

// find returns the entry of a source and its place, or 0.
func (s *spill) find(h uint64, now uint32) (w uint64, at *uint64) {
	words, tag := s.bucket(h)
	for i, w := range words {
		if w>>spillTag == tag && w != 0 && !s.expired(w, now) {
			return w, &words[i]
		}
	}
	return 0, nil
}

// take returns the entry of a source, or 0, and frees it.
func (s *spill) take(h uint64, now uint32) uint64 {
	w, at := s.find(h, now)
	if at != nil {
		*at = 0
		s.used--
	}
	return w
}

// restore fills a fresh slot from an entry.
func (x *slot) restore(w uint64, now uint32) {
	unit := uint32(w>>spillTime) % spillTimes
	age := (now>>spillUnit - unit) % spillTimes
	x.last = now
	if age < spillTimes-spillLate {
		x.last = min(now, (now>>spillUnit-age)<<spillUnit+1<<(spillUnit-1))
	}
	x.first = x.last
	x.hard = float32(w>>spillHard&spillHardMost) / 2
	x.flags = uint16(w >> spillHard & spillHardMost << 8)
	weak := w >> spillWeak & spillWeakMost
	x.weak = uint16(weak * weakUnit / 2)
	x.caps = uint8(weak * 2)
	if w&spillFlood != 0 {
		x.flags |= flagFloodBorn
	}
	if w&spillMark != 0 {
		x.flags |= flagMarkOnce
	}
	n := int(w >> spillCount & spillPrints)
	width := spillWidth(n)
	for i := range n {
		x.prints[i] = uint16(w >> (width * i) & (1<<width - 1))
	}
	x.n = uint8(n)
	x.flags |= uint16(n) << flagRestored
}
