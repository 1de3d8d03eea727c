package simulate

import (
	"encoding/binary"
	"net/netip"
)

// places hands out addresses: nobody gets one twice, and no two strangers share a /24 unless their class wants it.
type places struct {
	hosts          int
	base4          uint32 // of the hosts
	base6          [16]byte
	step, offset   uint64 // affine walk through the strangers' space
	fstep, foffset uint64 // through the flood's
}

// strangers' first octets: ordinary unicast space below 127 that is neither private, shared (RFC 6598), documentation nor ours. A flood forges its
// sources out of 128.0.0.0/2 instead, so that whoever scores can tell its sources without ten million labels.
const (
	firstOctet, lastOctet = 11, 99
	strangers             = (lastOctet - firstOctet + 1) << 24
	perClass              = 1 << 22 // senders of one class at most
	floodBase             = 128 << 24
	floodSpace            = 40 << 24 // 128.0.0.0 to 167.255.255.255
	maxFlood              = 20_000_000
)

func newPlaces(seed uint64, hosts int) places {
	r := newRandom(seed, "places", 0)
	p := places{hosts: hosts, base4: 203<<24 | 113<<8}
	switch {
	case hosts > 256:
		p.base4 = 198<<24 | 18<<16 // the benchmark range of RFC 2544
	case hosts <= 16:
		p.base4 |= 16 // 203.0.113.16 …
	}
	p.base6 = [16]byte{0x20, 0x01, 0x0d, 0xb8, 0x01, 0x13}
	p.step, p.offset = coprime(&r, strangers), r.next()%strangers
	p.fstep, p.foffset = coprime(&r, floodSpace), r.next()%floodSpace
	return p
}

// coprime gives a step that visits every number below m before it comes back, in strides that land far apart.
func coprime(r *random, m uint64) uint64 {
	for {
		step := m/3 + r.next()%(m/3)
		if gcd(step, m) == 1 {
			return step
		}
	}
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func addr4(v uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return netip.AddrFrom4(b)
}

// source is the address of a class's n-th sender.
func (p *places) source(class int, n uint64) netip.Addr {
	i := (uint64(class)*perClass + n%perClass) % strangers
	return addr4(uint32(firstOctet<<24 + (i*p.step+p.offset)%strangers))
}

// network is a /24 of strangers for a class of its own.
func (p *places) network(n uint64) uint32 {
	return uint32(100+n>>16&7)<<24 | uint32(n*40503+p.offset)&0xffff<<8 // 100.0.0.0 to 107.255.255.0
}

// network6 is a /48 of strangers.
func (p *places) network6(n uint64) [16]byte {
	b := [16]byte{0x2a}
	binary.BigEndian.PutUint32(b[1:], uint32(p.offset))
	b[5] = byte(n)
	b[4] = byte(n >> 8)
	return b
}

// flooder is the n-th forged source of a flood.
func (p *places) flooder(n uint64) netip.Addr {
	return addr4(uint32(floodBase + (n%floodSpace*p.fstep+p.foffset)%floodSpace))
}

// host is the n-th address behind the gateway.
func (p *places) host(n int) netip.Addr { return addr4(p.base4 + uint32(n%p.hosts)) }

// host6 is the same machine's IPv6 address.
func (p *places) host6(n int) netip.Addr {
	b := p.base6
	binary.BigEndian.PutUint16(b[14:], uint16(n%p.hosts+16))
	return netip.AddrFrom16(b)
}
