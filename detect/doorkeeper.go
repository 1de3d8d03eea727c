package detect

import (
	"math"
	"math/bits"
)

// doorkeeper remembers which sources knocked once, in two generations of a blocked Bloom filter (Putze, Sanders, Singler 2007: all bits of an
// item lie in one cache line, here those of both generations). A generation lasts half a day, or until it is half full, whichever comes first.
type doorkeeper struct {
	blocks  [][blockWords]uint64 // the lower half of each word belongs to one generation, the upper half to the other
	young   int                  // which of the two is written to
	mask    uint64               // of blocks
	set     int                  // bits set in the young generation
	started uint32               // seconds at which it began
	rotated uint64               // rotations
}

const (
	blockWords     = 8
	itemBits       = 4         // bits of an item in either generation, each in a pair of words of its own
	eachGeneration = 1<<32 | 1 // the lowest bit of either generation in a word
	doorkeeperLife = 12 * 3600 // seconds
	doorkeeperFull = 2         // one of so many bits is set
	doorkeeperSure = 5         // one of so many bits at most: of pairs, one in 3125 is there by chance
)

func newDoorkeeper(bytes int) *doorkeeper {
	blocks := ceilPower(max(bytes/(blockWords*4), 64))
	return &doorkeeper{blocks: make([][blockWords]uint64, blocks), mask: uint64(blocks - 1)}
}

// An item has itemBits bits in the generation that it is marked in, chosen by its hash. That a source is taken for known by mistake lets it in on
// its first packet, which costs a slot; that its target is taken for one it knocked on before costs it a door, which might save it: so pairs have
// one bit more.

// block returns a block of both generations.
func (d *doorkeeper) block(i uint64) *[blockWords]uint64 {
	return &d.blocks[i&d.mask]
}

// held tells in which generations all bits of an item are set: the lowest bit of each half of a word is that generation's.
func held(words *[blockWords]uint64, h uint64) uint64 {
	return eachGeneration & (words[0+h>>5&1] >> (h & 31)) & (words[2+h>>11&1] >> (h >> 6 & 31)) &
		(words[4+h>>17&1] >> (h >> 12 & 31)) & (words[6+h>>23&1] >> (h >> 18 & 31))
}

// heldPair is held for a pair, which has a bit more.
func heldPair(words *[blockWords]uint64, h uint64) uint64 {
	return held(words, h) & (words[h>>29&(blockWords-1)] >> (h >> 24 & 31))
}

// has says whether it knows a source and its pair with a target, by their hashes; both have their bits in one block.
func (d *doorkeeper) has(block, source, pair uint64) (known, same bool) {
	words := d.block(block)
	return held(words, source) != 0, heldPair(words, pair) != 0
}

// surely says whether both a source and its pair with a target are in the young generation; no, once that is so full that pairs may be there by
// chance.
func (d *doorkeeper) surely(block, source, pair uint64) bool {
	if d.set > d.bits()/doorkeeperSure {
		return false
	}
	words := d.block(block)
	return held(words, source)&heldPair(words, pair)>>(32*d.young)&1 == 1
}

// mark notes a source and its pair with a target.
func (d *doorkeeper) mark(block, source, pair uint64) {
	words := d.block(block)
	for i := range uint64(itemBits) {
		d.put(&words[2*i+source>>5&1], source)
		d.put(&words[2*i+pair>>5&1], pair)
		source, pair = source>>6, pair>>6
	}
	d.put(&words[pair>>5&(blockWords-1)], pair)
}

// put sets a bit of the young generation, by the lowest five bits of a hash.
func (d *doorkeeper) put(w *uint64, h uint64) {
	bit := uint64(1) << (h & 31) << (32 * d.young)
	if *w&bit == 0 {
		d.set++
	}
	*w |= bit
}

// fill is the share of bits that are set in the generation being written.
func (d *doorkeeper) fill() float64 { return float64(d.set) / float64(d.bits()) }

// bits is how many bits a generation has.
func (d *doorkeeper) bits() int { return len(d.blocks) * blockWords * 32 }

// turn begins a new generation where the current one is old or full.
func (d *doorkeeper) turn(now uint32) {
	if d.started == 0 {
		d.started = now
	}
	if old := now > d.started && now-d.started >= doorkeeperLife; !old && d.set < d.bits()/doorkeeperFull {
		return
	}
	d.young ^= 1
	d.clear(d.young)
	d.set, d.started = 0, now
	d.rotated++
}

func ceilPower(n int) int {
	if n <= 1 {
		return 1
	}
	return 1 << bits.Len(uint(n-1))
}

// clear empties a generation.
func (d *doorkeeper) clear(generation int) {
	keep := uint64(math.MaxUint32) << (32 * (generation ^ 1))
	for i := range d.blocks {
		for j := range d.blocks[i] {
			d.blocks[i][j] &= keep
		}
	}
}
