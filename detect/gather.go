package detect

import "math/bits"

// gather watches, in 8 bytes each, the prefixes of which a source has knocked twice, until so many of their sources did that they are worth an
// entry among the companies. Most prefixes never get there, and least of all those out of which somebody forges sources at random: so these
// push each other out here and do not touch the companies. Where a bucket is full, prefixes that only one source is known of go first, by lot.
//
// An entry is one word: 20 bits of the prefix's hash, 12 bits for the two hours' part in which it was counted last, and 32 bits of which each
// stands for some of its sources. A free entry is 0.
type gather struct {
	word []uint64
	mask uint64
}

const (
	gatherMembers = 4 // of 32 bits
	gatherTag     = 44
	gatherPart    = 32
	gatherParts   = 1<<12 - 1
)

func newGather(n int) gather {
	n = max(ceilPower(n), bucketSlots)
	return gather{make([]uint64, n), uint64(n/bucketSlots - 1)}
}

// member notes a source, by its hash, of the prefix with the hash h, and says how many of its sources are known.
func (g *gather) member(h, source uint64, part uint32) int {
	i := (h >> 24 & g.mask) * bucketSlots
	words := (*[bucketSlots]uint64)(g.word[i : i+bucketSlots])
	now := uint64(part & gatherParts)
	bit := uint64(1) << (source >> 7 & 31)
	single := 0
	for i, w := range words {
		if old := (now - w>>gatherPart) & gatherParts; w != 0 && old >= companyParts && old < gatherParts-companyParts {
			words[i], w = 0, 0
		}
		switch {
		case w>>gatherTag == h>>gatherTag && w != 0:
			words[i] = h>>gatherTag<<gatherTag | now<<gatherPart | w&(1<<gatherPart-1) | bit
			return bits.OnesCount32(uint32(words[i]))
		case bits.OnesCount32(uint32(w)) < 2:
			single++
		}
	}
	w := h>>gatherTag<<gatherTag | now<<gatherPart | bit
	// One of those that may go, a free one first.
	best := -1
	n := uint32(source>>40) % uint32(max(single, 1))
	for i, old := range words {
		if old == 0 {
			best = i
			break
		}
		if bits.OnesCount32(uint32(old)) < 2 {
			if n == 0 {
				best = i
			}
			n--
		}
	}
	if best < 0 {
		best = int(source >> 37 & (bucketSlots - 1))
	}
	words[best] = w
	return 1
}
