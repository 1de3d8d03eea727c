package detect

import "math/bits"

// doorkeeper remembers which sources knocked once, in two generations of a blocked Bloom filter (Putze, Sanders, Singler 2007: all bits of an
// item lie in one cache line, here those of both generations). A generation lasts half a day, or until it is half full, whichever comes first.
type doorkeeper struct {
	words   []uint64 // blocks of both generations, side by side, 64 bytes together
	young   int      // which of the two is written to
	mask    uint64   // of blocks
	set     int      // bits set in the young generation
	started uint32   // seconds at which it began
	rotated uint64   // rotations
}

const (
	blockWords     = 4
	doorkeeperLife = 12 * 3600 // seconds
	doorkeeperFull = 2         // one of so many bits is set
)

func newDoorkeeper(bytes int) *doorkeeper {
	blocks := ceilPower(max(bytes/(blockWords*8), 64))
	return &doorkeeper{words: make([]uint64, blocks*blockWords*2), mask: uint64(blocks - 1)}
}

// Bits of an item. That a source is taken for known by mistake lets it in on its first packet, which costs a slot; that its target is taken for
// one it knocked on before costs it a door, which might save it: so pairs have a bit more.
const (
	sourceBits = 4
	pairBits   = 5
)

// block returns the block of a generation that an item's bits lie in; each bit is chosen by eight bits of the item's hash.
func (d *doorkeeper) block(gen int, block uint64) *[blockWords]uint64 {
	i := (block&d.mask)*blockWords*2 + uint64(gen*blockWords)
	return (*[blockWords]uint64)(d.words[i : i+blockWords])
}

func (d *doorkeeper) mark(block, h uint64, bits int) {
	words := d.block(d.young, block)
	for range bits {
		w := &words[h>>6&(blockWords-1)]
		d.set += int(^*w >> (h & 63) & 1)
		*w |= 1 << (h & 63)
		h >>= 8
	}
}

func (d *doorkeeper) has(block, h uint64, bits int) bool {
	first, second := d.block(0, block), d.block(1, block)
	inFirst, inSecond := uint64(1), uint64(1)
	for range bits {
		w := h >> 6 & (blockWords - 1)
		inFirst &= first[w] >> (h & 63)
		inSecond &= second[w] >> (h & 63)
		h >>= 8
	}
	return inFirst|inSecond == 1
}

// fill is the share of bits that are set in the generation being written.
func (d *doorkeeper) fill() float64 { return float64(d.set) / float64(d.bits()) }

// bits is how many bits a generation has.
func (d *doorkeeper) bits() int { return len(d.words) * 32 }

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

func (d *doorkeeper) clear(gen int) {
	for i := gen * blockWords; i < len(d.words); i += 2 * blockWords {
		clear(d.words[i : i+blockWords])
	}
}
