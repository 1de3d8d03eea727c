package detect

import (
	"math"
	"math/bits"
)

// slot is what is known of one source that knocked: 64 bytes, one cache line.
type slot struct {
	hi, lo   uint64     // key
	hard     float32    // doors of probes and stealth probes, decayed to last
	last     uint32     // seconds of the newest knock that counted
	first    uint32     // seconds of the first
	weak     uint16     // doors of UDP and ICMP in 1/weakUnit, decayed to last
	trapHour uint16     // hour of the newest knock on a trap port
	trapBits uint16     // trap targets of that hour
	flags    uint16     //
	ttlMin   uint8      // of knocks that counted
	ttlMax   uint8      //
	n        uint8      // fingerprints ever kept; the newest len(prints) are there
	caps     uint8      // new UDP targets (low nibble) and ICMP destinations (high nibble) that counted
	prints   [12]uint16 // fingerprints of targets
}

const (
	weakUnit = 8192
	weakCap  = 8 // quarters of a door

	flagStopped   = 1 << 0 // a gate stopped the verdict that is due
	flagFloodBorn = 1 << 1 // first seen in flood mode
	flagMark      = 1 << 2 // carries a known tool's mark: Mirai's, or masscan's twice
	flagRestored  = 3      // and the bit above: how many of the first fingerprints came back from the spill, cut to spillWidth bits, less one (one is not cut)
	flagVictim    = 1 << 5 // looks like the victim of somebody else's attack
	flagMarkOnce  = 1 << 7 // one knock carried a mark: of anybody's knocks one in 65536 looks like masscan's
	flagCredit    = 1 << 6 // its score holds the door that it was marked for before it was admitted
)

func (s *slot) key() key { return key{s.hi, s.lo} }

// knocks is how many knocks counted.
func (s *slot) knocks() int {
	n := min(int(s.n), 228)
	if s.flags&flagCredit != 0 {
		n++
	}
	return max(n, int(math.Ceil(s.undecayed()))) // of those from the spill some fingerprints are gone
}

// count adds w to the doors that are counted without decay, in halves, in the upper byte of the flags.
func (s *slot) count(w float32) {
	s.flags += min(uint16(w*2), 255-s.flags>>8) << 8
}

// uncount takes w off again.
func (s *slot) uncount(w float32) { s.flags -= min(uint16(w*2), s.flags>>8) << 8 }

// undecayed is how many doors of probes and stealth probes were ever counted.
func (s *slot) undecayed() float64 { return float64(s.flags>>8) / 2 }

// seen says whether a target's fingerprint is kept.
func (s *slot) seen(print uint16) bool {
	if r := int(s.flags >> flagRestored & (spillPrints - 1)); r > 0 {
		mask := uint16(1<<spillWidth(r+1) - 1)
		for _, p := range s.prints[:r+1] {
			if p == print&mask {
				return true
			}
		}
	}
	for _, p := range s.prints[:min(int(s.n), len(s.prints))] {
		if p == print {
			return true
		}
	}
	return false
}

func (s *slot) keep(print uint16) {
	s.prints[int(s.n)%len(s.prints)] = print
	s.n++
	if int(s.n) > len(s.prints) { // the oldest were written over
		s.flags &^= (spillPrints - 1) << flagRestored
	}
	if s.n == 240 { // a multiple of len(prints): stay "full" for ever
		s.n = 228
	}
}

// slots is the table of sources: buckets of eight, found by hash. Beside the slots lie one byte of the hash of each, so that a look-up touches
// one slot, and the rank of each, so that choosing whom to evict touches none but the one that goes: memory is what a packet waits for.
type slots struct {
	slot []slot
	tags []uint64 // one byte a slot, 0 = free
	rank []uint32 // rankOf each slot
	mask uint64
	used int

	halfLife float64 // seconds
	half     int64   // rank of half the threshold, but for the time

	evicted uint64
}

const (
	bucketSlots   = 8
	protectedMost = bucketSlots / 2    // slots of a bucket that may be safe from eviction
	everyByte     = 0x0101010101010101 // tags have this bit set
)

func newSlots(n int, threshold, halfLife float64) *slots {
	n = max(ceilPower(n), bucketSlots)
	return &slots{
		slot: make([]slot, n), tags: make([]uint64, n/bucketSlots), rank: make([]uint32, n), mask: uint64(n/bucketSlots - 1),
		halfLife: halfLife, half: int64(roughLog2(float32(threshold/2)) * halfLife),
	}
}

func tagOf(h uint64) uint64 { return h>>56 | 1 }

// tagged marks, by the highest bit of its byte, each slot of h's bucket that has h's tag, and now and then one above such a slot: the key decides.
func (t *slots) tagged(h uint64) uint64 {
	x := t.tags[h&t.mask] ^ tagOf(h)*everyByte
	return (x - everyByte) &^ x & (everyByte << 7)
}

// find returns the slot of k, or nil.
func (t *slots) find(k key, h uint64) *slot {
	first := h & t.mask * bucketSlots
	for m := t.tagged(h); m != 0; m &= m - 1 {
		s := &t.slot[first+uint64(bits.TrailingZeros64(m)>>3)]
		if s.hi == k.hi && s.lo == k.lo {
			return s
		}
	}
	return nil
}

// free counts the free slots of h's bucket.
func (t *slots) free(h uint64) int { return bucketSlots - bits.OnesCount64(t.tags[h&t.mask]&everyByte) }

// full says whether h's bucket has no free slot.
func (t *slots) full(h uint64) bool { return t.tags[h&t.mask]&everyByte == everyByte }

// remove frees s.
func (t *slots) remove(k key, h uint64) {
	b := h & t.mask
	for i := range uint64(bucketSlots) {
		s := &t.slot[b*bucketSlots+i]
		if t.tags[b]>>(8*i)&0xff != 0 && s.hi == k.hi && s.lo == k.lo {
			*s = slot{}
			t.tags[b] &^= 0xff << (8 * i)
			t.used--
			return
		}
	}
}

// roughLog2 is log2 of a positive number, by its exponent and a straight line through its fraction: monotone, and wrong by at most 0.09.
func roughLog2(v float32) float64 { return float64(int64(math.Float32bits(v))-127<<23) / (1 << 23) }

// rankOf is the second at which the slot's score will have decayed to one door, or was one: it orders slots by their decayed scores, the same at
// all times. The lowest bit is clear for sources first seen in a flood.
func (t *slots) rankOf(s *slot) uint32 {
	at := int64(s.last) + int64(roughLog2(max(s.hard+float32(s.weak)/weakUnit, 1.0/64))*t.halfLife)
	r := uint32(min(max(at, 0), math.MaxUint32)) &^ 1
	if s.flags&flagFloodBorn == 0 {
		r |= 1
	}
	return r
}

// ranked notes the rank of s, which is in h's bucket, after a change of its score, its time or its flags.
func (t *slots) ranked(s *slot, h uint64) {
	first := (h & t.mask) * bucketSlots
	for i := first; i < first+bucketSlots; i++ {
		if &t.slot[i] == s {
			t.rank[i] = t.rankOf(s)
			return
		}
	}
}

// admit returns a fresh slot for k, which has none. Where the bucket is full the smallest score goes: of sources first seen in a flood before
// others, of those past half their threshold only if more than protectedMost of the bucket are (so that somebody who forges many such sources
// holds half of the table at most).
func (t *slots) admit(k key, h uint64, now uint32) (s *slot, gone slot, evicted bool) {
	b := h & t.mask
	first := int(b) * bucketSlots
	at := first + bits.TrailingZeros64(^t.tags[b]&everyByte)>>3
	if at == first+bucketSlots {
		at = first + t.least(b, now)
		gone, evicted = t.slot[at], true
		t.evicted++
		t.used--
	}
	s = &t.slot[at]
	*s = slot{hi: k.hi, lo: k.lo}
	t.rank[at] = 0
	t.tags[b] = t.tags[b]&^(0xff<<(8*(at-first))) | tagOf(h)<<(8*(at-first))
	t.used++
	return s, gone, evicted
}

// least chooses among the slots of the full bucket b; those past half their threshold at time now are protected while they are few.
func (t *slots) least(b uint64, now uint32) int {
	// A source of a flood sorts before all others, whatever its score.
	const others = 1 << 32
	safe := t.half + int64(now)
	protected := 0
	best, bestProtected := 0, 0
	low, lowProtected := int64(math.MaxInt64), int64(math.MaxInt64)
	for i, r := range (*[bucketSlots]uint32)(t.rank[b*bucketSlots:]) {
		v := int64(r) + int64(r&1)*others
		if int64(r) > safe {
			protected++
			if v < lowProtected {
				bestProtected, lowProtected = i, v
			}
		} else if v < low {
			best, low = i, v
		}
	}
	if protected > protectedMost {
		return bestProtected
	}
	return best
}
