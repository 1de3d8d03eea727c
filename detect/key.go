package detect

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// key names a source: the first bits of a 16-byte address (IPv4 mapped), the rest zero.
type key struct{ hi, lo uint64 }

// maskKey returns a's key at the given prefix lengths.
func maskKey(a netip.Addr, bits4, bits6 int) key {
	if a.Is4() {
		return key{0, mapped4(a) &^ (1<<(32-bits4) - 1)}
	}
	b := a.As16()
	k := key{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
	if a.Is4In6() {
		return k.mask(96 + bits4)
	}
	return k.mask(bits6)
}

// mapped4 returns the lower half of the IPv6 form of an IPv4 address; the upper half is 0.
func mapped4(a netip.Addr) uint64 {
	b := a.As4()
	return 0xffff<<32 | uint64(binary.BigEndian.Uint32(b[:]))
}

func (k key) mask(n int) key {
	if n < 64 {
		return key{k.hi &^ (1<<(64-n) - 1), 0}
	}
	if n < 128 {
		k.lo &^= 1<<(128-n) - 1
	}
	return k
}

func (k key) is4() bool { return k.hi == 0 && k.lo>>32 == 0xffff }

// addr returns the first address of the key.
func (k key) addr() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], k.hi)
	binary.BigEndian.PutUint64(b[8:], k.lo)
	return netip.AddrFrom16(b).Unmap()
}

func (k key) prefix(bits4, bits6 int) netip.Prefix {
	n := bits6
	if k.is4() {
		n = bits4
	}
	return netip.PrefixFrom(k.addr(), n)
}

// keyed is a hash under a secret seed: fast, and not to be steered by somebody who neither knows the seed nor sees the hash. It is no
// cryptographic function; what it protects is only which sources share a bucket.
type keyed struct{ a, b, c uint64 }

func newKeyed(seed uint64) keyed {
	// SplitMix64 (Steele, Lea, Flood 2014) spreads the seed over three words.
	next := func() uint64 {
		seed += 0x9e3779b97f4a7c15
		z := seed
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return z ^ z>>31
	}
	return keyed{next(), next(), next() | 1}
}

// fold multiplies to 128 bits and xors the halves.
func fold(x, y uint64) uint64 {
	hi, lo := bits.Mul64(x, y)
	return hi ^ lo
}

func (h keyed) key(k key) uint64 {
	return fold(fold(k.hi^h.a, k.lo^h.b)^h.c, k.lo^h.a^0xa0761d6478bd642f)
}

// target hashes what a source knocked on; tag keeps different uses apart.
func (h keyed) target(t *Target, tag uint64) uint64 {
	var x, y uint64
	if t.Address.Is4() {
		y = mapped4(t.Address)
	} else {
		b := t.Address.As16()
		x, y = binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	}
	z := uint64(t.Port) | uint64(t.Protocol)<<16 | tag<<24
	return fold(fold(x^h.b, y^h.c)^z, h.a^z<<32)
}
