package detect

// An entry of the spill is one word, from its highest bit on:
//
//	19  more of the source's hash: with the bucket's bits, some four sources in a hundred thousand are taken for another
//	11  time of the last knock that counted, in units of some 34 minutes
//	 1  whether a knock carried a tool's mark
//	 4  doors of probes and stealth probes, in halves
//	 2  doors of UDP and ICMP, in halves
//	 1  whether it was first seen in a flood
//	 2  how many fingerprints of its targets are kept, less one
//	24  the newest of them: one of 16 bits, two of 12, three of 8 or four of 6
//
// A free entry is 0.
const (
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
	spillPrints   = 4 // fingerprints at most
)

// spillWidth is how many bits of each fingerprint are kept where there are n, from 1 on.
func spillWidth(n int) int { return int(spillWidths[n-1]) }

var spillWidths = [spillPrints]uint8{16, 24 / 2, 24 / 3, 24 / 4}

// entry packs what is known of a source, but for its tag; 0 is nothing.
func (x *slot) entry() uint64 {
	hard := min(uint64(x.hard*2+0.5), spillHardMost)
	weak := min((uint64(x.weak)*2+weakUnit-1)/weakUnit, spillWeakMost)
	if hard|weak == 0 {
		return 0
	}
	w := hard<<spillHard | weak<<spillWeak | spillTimeOf(x.last)
	if x.flags&flagFloodBorn != 0 {
		w |= spillFlood
	}
	if x.flags&flagMarkOnce != 0 {
		w |= spillMark
	}
	n := max(min(int(x.n), spillPrints), 1)
	var prints [spillPrints]uint16
	for i := range n {
		prints[i] = x.prints[(max(int(x.n)-n, 0)+i)%len(x.prints)]
	}
	return w | packTargets(prints[:n])
}

func spillTimeOf(seconds uint32) uint64 { return uint64(seconds>>spillUnit) % spillTimes << spillTime }

// packTargets returns the part of an entry that tells of targets, of 1 to spillPrints fingerprints from the oldest on.
func packTargets(prints []uint16) uint64 {
	n := len(prints)
	width := spillWidth(n)
	w := uint64(n-1) << spillCount
	for i, p := range prints {
		w |= uint64(p) & (1<<width - 1) << (width * i)
	}
	return w
}

// keptTargets returns the fingerprints that an entry keeps, and how many they are.
func keptTargets(w uint64) (prints [spillPrints]uint16, n int) {
	n = int(w>>spillCount&(spillPrints-1)) + 1
	width := spillWidth(n)
	for i := range n {
		prints[i] = uint16(w >> (width * i) & (1<<width - 1))
	}
	return prints, n
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
	prints, n := keptTargets(w)
	copy(x.prints[:], prints[:])
	x.n = uint8(n)
	if nameless(w) {
		x.flags |= flagCredit
	}
	x.flags |= uint16(n-1) << flagRestored
}

// nameless says whether an entry counts doors whose targets it does not keep.
func nameless(w uint64) bool {
	return w>>spillHard&spillHardMost/2 > w>>spillCount&(spillPrints-1)+1
}

// repeats says whether an entry keeps the fingerprint of a target.
func repeats(w uint64, print uint16) bool {
	prints, n := keptTargets(w)
	print &= 1<<spillWidth(n) - 1
	for _, p := range prints[:n] {
		if p == print {
			return true
		}
	}
	return false
}

// knockAgain is the entry w with one more door.
func knockAgain(w uint64, print uint16, now uint32) uint64 {
	return withTarget(w, print)&^((spillTimes-1)<<spillTime) + 2<<spillHard | spillTimeOf(now)
}

// withTarget is the entry w that keeps one more target, the oldest going where there is no room.
func withTarget(w uint64, print uint16) uint64 {
	prints, n := keptTargets(w)
	if n == len(prints) {
		copy(prints[:], prints[1:])
		n--
	}
	prints[n] = print
	return w&^(spillFlood-1) | packTargets(prints[:n+1])
}
