package detect

import (
	"math"
	"math/bits"
)

// spill keeps, in 8 bytes each, what is known of the sources that had to leave the table of slots, and of those that wait for a slot (waiting.go).
// There are spillShare of these entries for every slot, so that somebody who forges a million sources of a few knocks each pushes out nobody's
// doors: they only move.
//
// Where a bucket is full, what goes is drawn by lot, of the sources first seen in a flood before all others. So whoever wants others forgotten
// has to choose: at a rate that no flood mode notices it takes days to turn the table over, and what a flood brings can only displace what
// came in a flood. The lot spares those past half a threshold as long as they are half of a bucket at most, so that a few more knocks cannot
// make the spill somebody's own. It is a hash under the detector's secret seed.
//
// Each bucket of slots has spillShare buckets of its own here, side by side, and a source's tag there says which of them is its own.
type spill struct {
	buckets [][bucketSlots]uint64
	mask    uint64 // of buckets of slots
	life    uint32 // units after which an entry is as good as none
	lot     uint64 // secret
	safe    uint64 // half a threshold, in halves of doors

	used int
	lost uint64 // entries, or newcomers, that had to go
}

const (
	spillShare = 4       // entries for a slot
	spillUnit  = 11      // log2 of seconds
	spillTimes = 1 << 11 // units until times come round again
	spillLate  = 4       // units by which records may come late
)

func newSpill(slots int, threshold, forget float64, lot uint64) spill {
	return spill{
		safe:    uint64(min(math.Ceil(threshold), spillHardMost)),
		buckets: make([][bucketSlots]uint64, spillShare*slots/bucketSlots), mask: uint64(slots/bucketSlots - 1), lot: lot,
		life: uint32(min(max(math.Ceil(forget/(1<<spillUnit)), 1), spillTimes-2*spillLate)),
	}
}

// bucket of the source with the hash h.
func (s *spill) bucket(h uint64) *[bucketSlots]uint64 {
	return &s.buckets[h&s.mask*spillShare+tagOf(h)>>1%spillShare]
}

// spillTagOf is what tells the source with the hash h from others of its bucket.
func spillTagOf(h uint64) uint64 { return h >> spillHash & spillTagMask }

// len is how many entries there are.
func (s *spill) len() int { return len(s.buckets) * bucketSlots }

// alive says of what times the entries are that still count at time now: of so many units, from one on.
func (s *spill) alive(now uint32) (since, units uint32) {
	return now>>spillUnit - s.life, s.life + 1 + spillLate
}

// dated says whether the time of an entry is one of so many units, from one on.
func dated(w uint64, since, units uint32) bool {
	return (uint32(w>>spillTime)-since)%spillTimes < units
}

// put keeps what is known of a source that leaves the table of slots.
func (s *spill) put(x *slot, h uint64, now uint32) {
	if w := x.entry(); w != 0 {
		s.keep(w, h, now)
	}
}

// keep makes an entry of what is known of a source that has none. Where its bucket is full the lot says who goes, the newcomer included.
func (s *spill) keep(w, h uint64, now uint32) {
	words := s.bucket(h)
	w |= spillTagOf(h) << spillTag
	since, units := s.alive(now)
	some, each := w, w
	for i, old := range words {
		if old == 0 || !dated(old, since, units) {
			s.used += boolInt(old == 0)
			words[i] = w
			return
		}
		some |= old
		each &= old
	}
	s.lost++
	among := uint64(everybody)
	if (some^each)&spillFlood != 0 || some>>spillHard&spillHardMost >= s.safe { // else all are alike, as they are while a flood lasts
		among = s.eligible(words, w)
	}
	if i := drawn(among, fold(h^s.lot, uint64(now)^s.lot>>32^w)); i != newcomer {
		words[i] = w
	}
}

const (
	newcomer  = bucketSlots // bit of who asks for an entry of a full bucket, beside those of the entries
	everybody = 1<<(bucketSlots+1) - 1
)

// eligible returns the bits of those of a full bucket and a newcomer w among whom one has to go.
func (s *spill) eligible(words *[bucketSlots]uint64, w uint64) uint64 {
	room := spillHardMost + 1 - s.safe
	safe, flood := (w>>spillHard&spillHardMost+room)>>4<<newcomer, w/spillFlood&1<<newcomer
	for i, old := range words {
		safe |= (old>>spillHard&spillHardMost + room) >> 4 << i
		flood |= old / spillFlood & 1 << i
	}
	among, spared := flood, safe
	if flood == 0 {
		among = everybody
	}
	if bits.OnesCount64(safe) > protectedMost {
		spared ^= everybody
	}
	if among&^spared != 0 {
		among &^= spared
	}
	return among
}

// drawn returns the number of one of the bits of among, which is not 0, by the upper half of a lot.
func drawn(among, lot uint64) int {
	n := int(lot >> 32 * uint64(bits.OnesCount64(among)) >> 32)
	if among&(among+1) == 0 { // all of the lowest
		return n
	}
	for ; n > 0; n-- {
		among &= among - 1
	}
	return bits.TrailingZeros64(among)
}

// find returns the entry of a source, or nil.
func (s *spill) find(h uint64, now uint32) *uint64 {
	words, tag := s.bucket(h), spillTagOf(h)
	for i := range words {
		if words[i]>>spillTag != tag {
			continue
		}
		if since, units := s.alive(now); words[i] != 0 && dated(words[i], since, units) {
			return &words[i]
		}
	}
	return nil
}

// take frees an entry and returns what it was.
func (s *spill) take(entry *uint64) uint64 {
	w := *entry
	*entry = 0
	s.used--
	return w
}
