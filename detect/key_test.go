package detect

import (
	"encoding/binary"
	"math"
	"net/netip"
	"testing"
)

// TestKeyedSpreads: addresses that differ little, as those of one scanner's networks do, lie in the buckets of a table as if thrown at random, by
// each part of their hash that something is chosen by.
func TestKeyedSpreads(t *testing.T) {
	const n, buckets = 1 << 16, 1 << 12
	v4 := func(at uint32) netip.Addr {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], at)
		return netip.AddrFrom4(b)
	}
	v6 := func(network uint32, host uint64) netip.Addr {
		b := [16]byte{0x20, 0x01, 0x0d, 0xb8}
		binary.BigEndian.PutUint32(b[4:], network)
		binary.BigEndian.PutUint64(b[8:], host)
		return netip.AddrFrom16(b)
	}
	tests := []struct {
		name  string
		bits6 int
		addr  func(i int) netip.Addr
	}{
		{"one /16", 64, func(i int) netip.Addr { return v4(198<<24 + 51<<16 + uint32(i)) }},
		{"one of each /24", 64, func(i int) netip.Addr { return v4(uint32(i) << 8) }},
		{"one of each /16 and more", 64, func(i int) netip.Addr { return v4(uint32(i) << 12) }},
		{"networks of one /48", 64, func(i int) netip.Addr { return v6(uint32(i), 0) }},
		{"hosts of one /64", 128, func(i int) netip.Addr { return v6(0, uint64(i)) }},
		{"far bits of one /64", 128, func(i int) netip.Addr { return v6(0, uint64(i)<<16) }},
	}
	parts := map[string]func(h uint64) uint64{
		"bucket": func(h uint64) uint64 { return h },
		"door":   func(h uint64) uint64 { return h >> 20 },
		"tag":    func(h uint64) uint64 { return h >> spillHash },
		"high":   func(h uint64) uint64 { return h >> 52 },
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(8) {
				h := newKeyed(seed)
				for part, of := range parts {
					var count [buckets]int
					for i := range n {
						count[of(h.key(maskKey(tt.addr(i), 32, tt.bits6)))%buckets]++
					}
					const expected = float64(n) / buckets
					sum := 0.
					for _, c := range count {
						sum += (float64(c) - expected) * (float64(c) - expected) / expected
					}
					// The chi-square statistic of k degrees of freedom has mean k and variance 2k. Spread more evenly than at random is as good.
					if z := (sum - (buckets - 1)) / math.Sqrt(2*(buckets-1)); z > 8 {
						t.Errorf("seed %d, %s: %.1f deviations above chance", seed, part, z)
					}
				}
			}
		})
	}
}
