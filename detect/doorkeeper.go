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
	doorkeeperSure = 5         // one of so many bits at most: of pairs, one in 3125 is there by chance
)

func newDoorkeeper(bytes int) *doorkeeper {
	blocks := ceilPower(max(bytes/(blockWords*8), 64))
	return &doorkeeper{words: make([]uint64, blocks*blockWords*2), mask: uint64(blocks - 1)}
}

// An item has a bit in each of a block's words in the generation that it is marked in, chosen by its hash. That a source is taken for known by
// mistake lets it in on its first packet, which costs a slot; that its target is taken for one it knocked on before costs it a door, which might
// save it: so pairs have one bit more.

// block returns a block in both generations.
func (d *doorkeeper) block(i uint64) *[2 * blockWords]uint64 {
	return (*[2 * blockWords]uint64)(d.words[(i&d.mask)*blockWords*2:])
}

// has says whether it knows a source and its pair with a target, by their hashes; both have their bits in one block.
func (d *doorkeeper) has(block, source, pair uint64) (known, same bool) {
	words := d.block(block)
	same = held(words, 0, pair)&pairBit(words, 0, pair)|held(words, blockWords, pair)&pairBit(words, blockWords, pair) == 1
	return held(words, 0, source)|held(words, blockWords, source) == 1, same
}

// surely says whether both a source and its pair with a target are in the young generation; no, once that is so full that pairs may be there by
// chance.
func (d *doorkeeper) surely(block, source, pair uint64) bool {
	if d.set > d.bits()/doorkeeperSure {
		return false
	}
	words, young := d.block(block), d.young*blockWords
	return held(words, young, source)&held(words, young, pair)&pairBit(words, young, pair) == 1
}

// held is 1 where all bits of an item are set in the generation whose words begin at first.
func held(words *[2 * blockWords]uint64, first int, h uint64) uint64 {
	return words[first] >> (h & 63) & (words[first+1] >> (h >> 6 & 63)) & (words[first+2] >> (h >> 12 & 63)) & (words[first+3] >> (h >> 18 & 63)) & 1
}

// pairBit is a pair's bit more.
func pairBit(words *[2 * blockWords]uint64, first int, h uint64) uint64 {
	return words[first+int(h>>24&(blockWords-1))] >> (h >> 26 & 63) & 1
}

// mark notes a source and its pair with a target.
func (d *doorkeeper) mark(block, source, pair uint64) {
	words := d.block(block)[d.young*blockWords:][:blockWords]
	for i := range words {
		d.put(&words[i], source)
		d.put(&words[i], pair)
		source, pair = source>>6, pair>>6
	}
	d.put(&words[pair&(blockWords-1)], pair>>2)
}

func (d *doorkeeper) put(w *uint64, bit uint64) {
	d.set += int(^*w >> (bit & 63) & 1)
	*w |= 1 << (bit & 63)
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
