package detect

import "math/bits"

// gather watches, in 8 bytes each, the prefixes of which a source has knocked twice, until so many of their sources did that they are worth an
// entry among the companies. Most prefixes never get there, and least of all those out of which somebody forges sources at random: so these
// push each other out here and do not touch the companies. Where a bucket is full, prefixes that only one source is known of go first, by lot.
//
// An entry is one word: 20 bits of the prefix's hash, 12 bits for the two hours' part in which it was counted last, and 32 bits of which each
// stands for some of its sources. A free entry is 0.
type gather struct {
	buckets [][gatherWays]uint64
	mask    uint64
}

const (
	gatherMembers = 4 // of 32 bits
	gatherWays    = 4
	gatherTag     = 44
	gatherPart    = 32
	gatherParts   = 1<<12 - 1
)

func newGather(n int) gather {
	n = max(ceilPower(n), gatherWays)
	return gather{make([][gatherWays]uint64, n/gatherWays), uint64(n/gatherWays - 1)}
}

// bucket of the prefix with the hash h.
func (g *gather) bucket(h uint64) *[gatherWays]uint64 { return &g.buckets[h>>24&g.mask] }

// member notes a source, by its hash, of the prefix with the hash h, and says how many of its sources are known.
func (g *gather) member(h, source uint64, part uint32) int {
	words := g.bucket(h)
	now := uint64(part & gatherParts)
	bit := uint64(1) << (source >> 7 & 31)
	fresh := h>>gatherTag<<gatherTag | now<<gatherPart | bit
	for i, w := range words {
		if w>>gatherTag == h>>gatherTag && w != 0 {
			if !gatherExpired(w, now) {
				fresh |= w & (1<<gatherPart - 1)
			}
			words[i] = fresh
			return bits.OnesCount32(uint32(fresh))
		}
	}
	// One of those that may go, a free one first.
	single := 0
	for i, w := range words {
		if w == 0 || gatherExpired(w, now) {
			words[i] = fresh
			return 1
		}
		single |= boolInt(gatherSingle(w)) << i
	}
	if single == 0 {
		single = 1<<gatherWays - 1
	}
	words[drawn(uint64(single), source)] = fresh
	return 1
}

// gatherExpired says whether an entry is as good as none in the part now.
func gatherExpired(w, now uint64) bool {
	age := (now - w>>gatherPart) & gatherParts
	return age >= companyParts && age < gatherParts-companyParts
}

// gatherSingle says whether only one source of the entry's prefix is known.
func gatherSingle(w uint64) bool { return uint32(w)&(uint32(w)-1) == 0 }
