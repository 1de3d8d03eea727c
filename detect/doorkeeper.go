package detect

import "math/bits"

// doorkeeper remembers which sources knocked once, in two generations of a blocked Bloom filter (Putze, Sanders, Singler 2007: all bits of an
// item lie in one cache line). A generation lasts half a day, or until it is half full, whichever comes first.
type doorkeeper struct {
	words   []uint64 // blocks of both generations, side by side
	young   int      // which of the two is written to
	mask    uint64   // of blocks
	set     int      // bits set in the young generation
	started uint32   // seconds at which it began
	rotated uint64   // rotations
}

const (
	blockWords         = 8
	doorkeeperLife     = 12 * 3600 // seconds
	doorkeeperMaxShare = 0.5
)

func newDoorkeeper(bytes int) *doorkeeper {
	blocks := ceilPower(max(bytes/(blockWords*8), 64))
	return &doorkeeper{words: make([]uint64, blocks*blockWords*2), mask: uint64(blocks - 1)}
}

// item is four bits in the block that block chooses.
func (d *doorkeeper) item(gen int, block, h uint64) (words *[blockWords]uint64, at [4]uint16) {
	i := (block&d.mask)*blockWords*2 + uint64(gen*blockWords)
	words = (*[blockWords]uint64)(d.words[i : i+blockWords])
	for n := range at {
		at[n] = uint16(h>>(9*n)) & 511
	}
	return words, at
}

func (d *doorkeeper) mark(block, h uint64) {
	words, at := d.item(d.young, block, h)
	for _, b := range at {
		bit := uint64(1) << (b & 63)
		if words[b>>6]&bit == 0 {
			words[b>>6] |= bit
			d.set++
		}
	}
}

func (d *doorkeeper) has(block, h uint64) bool {
	for gen := range 2 {
		words, at := d.item(gen, block, h)
		if words[at[0]>>6]&(1<<(at[0]&63)) != 0 && words[at[1]>>6]&(1<<(at[1]&63)) != 0 &&
			words[at[2]>>6]&(1<<(at[2]&63)) != 0 && words[at[3]>>6]&(1<<(at[3]&63)) != 0 {
			return true
		}
	}
	return false
}

// fill is the share of bits that are set in the generation being written.
func (d *doorkeeper) fill() float64 { return float64(d.set) / float64(len(d.words)*32) }

// turn begins a new generation where the current one is old or full.
func (d *doorkeeper) turn(now uint32) {
	if d.started == 0 {
		d.started = now
	}
	if old := now > d.started && now-d.started >= doorkeeperLife; !old && d.fill() < doorkeeperMaxShare {
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
