package detect

import (
	"encoding/binary"
	"math"
)

// How the entries of the fixed tables are saved.

var le = binary.LittleEndian

func (s *slot) width() int { return 64 }
func (s *slot) used() bool { return s.last != 0 || s.n != 0 }

func (s *slot) append(b []byte) []byte {
	b = le.AppendUint64(le.AppendUint64(b, s.hi), s.lo)
	b = le.AppendUint32(b, math.Float32bits(s.hard))
	b = le.AppendUint32(le.AppendUint32(b, s.last), s.first)
	b = le.AppendUint16(le.AppendUint16(le.AppendUint16(le.AppendUint16(b, s.weak), s.trapHour), s.trapBits), s.flags)
	b = append(b, s.ttlMin, s.ttlMax, s.n, s.caps)
	for _, p := range s.prints {
		b = le.AppendUint16(b, p)
	}
	return b
}

func (s *slot) parse(b []byte) {
	*s = slot{
		hi: le.Uint64(b), lo: le.Uint64(b[8:]), hard: math.Float32frombits(le.Uint32(b[16:])), last: le.Uint32(b[20:]), first: le.Uint32(b[24:]),
		weak: le.Uint16(b[28:]), trapHour: le.Uint16(b[30:]), trapBits: le.Uint16(b[32:]), flags: le.Uint16(b[34:]),
		ttlMin: b[36], ttlMax: b[37], n: b[38], caps: b[39],
	}
	for i := range s.prints {
		s.prints[i] = le.Uint16(b[40+2*i:])
	}
	if s.hard != s.hard || s.hard < 0 || s.hard > 1<<20 {
		s.hard = 0
	}
}

func (t *trail) width() int { return 24 + 24*trailKnocks }
func (t *trail) used() bool { return t.n != 0 }

func (t *trail) append(b []byte) []byte {
	b = le.AppendUint64(le.AppendUint64(b, t.hi), t.lo)
	b = le.AppendUint32(le.AppendUint32(b, t.last), t.n)
	for i := range t.knocks {
		k := &t.knocks[i]
		b = append(b, k.addr[:]...)
		b = le.AppendUint16(le.AppendUint32(b, k.at), k.port)
		b = append(b, k.proto, uint8(k.kind))
	}
	return b
}

func (t *trail) parse(b []byte) {
	*t = trail{hi: le.Uint64(b), lo: le.Uint64(b[8:]), last: le.Uint32(b[16:]), n: le.Uint32(b[20:])}
	for i := range t.knocks {
		k, c := &t.knocks[i], b[24+24*i:]
		copy(k.addr[:], c)
		k.at, k.port, k.proto, k.kind = le.Uint32(c[16:]), le.Uint16(c[20:]), c[22], Kind(c[23])
	}
}

func (c *company) width() int { return 20 + companyParts*(12+32) + 2*len(c.began) }
func (c *company) used() bool { return c.part != 0 }

func (c *company) append(b []byte) []byte {
	b = le.AppendUint32(le.AppendUint64(le.AppendUint64(b, c.hi), c.lo), c.part)
	for i := range companyParts {
		b = le.AppendUint16(le.AppendUint16(b, c.doors[i]), c.whole[i])
		b = le.AppendUint64(b, c.targets[i])
		for _, w := range c.members[i] {
			b = le.AppendUint64(b, w)
		}
	}
	for _, n := range c.began {
		b = le.AppendUint16(b, n)
	}
	return b
}

func (c *company) parse(b []byte) {
	*c = company{hi: le.Uint64(b), lo: le.Uint64(b[8:]), part: le.Uint32(b[16:])}
	for i := range companyParts {
		p := b[20+(12+32)*i:]
		c.doors[i], c.whole[i], c.targets[i] = le.Uint16(p), le.Uint16(p[2:]), le.Uint64(p[4:])
		for w := range c.members[i] {
			c.members[i][w] = le.Uint64(p[12+8*w:])
		}
	}
	for i := range c.began {
		c.began[i] = le.Uint16(b[20+(12+32)*companyParts+2*i:])
	}
}

func (v *victim) width() int { return 16 }
func (v *victim) used() bool { return v.tag != 0 }

func (v *victim) append(b []byte) []byte {
	return le.AppendUint32(le.AppendUint32(le.AppendUint32(le.AppendUint32(b, v.tag), v.first), v.last), v.n)
}

func (v *victim) parse(b []byte) {
	*v = victim{tag: le.Uint32(b), first: le.Uint32(b[4:]), last: le.Uint32(b[8:]), n: le.Uint32(b[12:])}
}

func (c *contact) width() int { return 16 }
func (c *contact) used() bool { return c.spoke != 0 }

func (c *contact) append(b []byte) []byte {
	return le.AppendUint32(le.AppendUint32(le.AppendUint64(b, c.hash()), c.spoke), c.state())
}

func (c *contact) parse(b []byte) {
	*c = contact{low: le.Uint32(b), high: le.Uint16(b[4:])}
	c.set(le.Uint32(b[8:]), min(le.Uint32(b[12:]), le.Uint32(b[8:])))
}
