package report

import (
	"hash/fnv"
	"math"
	"math/bits"
	"net/netip"
)

// distinct counts different addresses: exactly up to a bound, beyond it by estimate (HyperLogLog, Flajolet et al. 2007, with 2^14
// registers: a standard error of 0.8 %).
type distinct struct {
	exact     map[netip.Addr]struct{}
	limit     int
	registers []uint8
}

const registerBits = 14

func newDistinct(limit int) *distinct {
	return &distinct{exact: make(map[netip.Addr]struct{}), limit: limit}
}

func (d *distinct) add(a netip.Addr) {
	if d.registers == nil {
		if d.exact[a] = struct{}{}; len(d.exact) <= d.limit {
			return
		}
		d.registers = make([]uint8, 1<<registerBits)
		for known := range d.exact {
			d.estimate(known)
		}
		d.exact = nil
		return
	}
	d.estimate(a)
}

func (d *distinct) estimate(a netip.Addr) {
	h := fnv.New64a()
	b := a.As16()
	h.Write(b[:])
	x := h.Sum64() // FNV's high bits are weak: mix them (MurmurHash3's finalizer)
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	i := x >> (64 - registerBits)
	rank := uint8(bits.LeadingZeros64(x<<registerBits|1<<(registerBits-1)) + 1)
	d.registers[i] = max(d.registers[i], rank)
}

// count returns how many there were, and whether that is exact.
func (d *distinct) count() (n uint64, exact bool) {
	if d.registers == nil {
		return uint64(len(d.exact)), true
	}
	m := float64(len(d.registers))
	sum, empty := 0.0, 0.0
	for _, r := range d.registers {
		sum += math.Ldexp(1, -int(r))
		if r == 0 {
			empty++
		}
	}
	e := 0.7213 / (1 + 1.079/m) * m * m / sum
	if e <= 2.5*m && empty > 0 {
		e = m * math.Log(m/empty)
	}
	return uint64(e + .5), false
}
