package screen

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"
)

// Set is an immutable set of prefixes. The nil Set is empty.
type Set struct {
	table bart.Lite
	n     int
}

// NewSet makes a set. Prefixes are masked and IPv4-mapped ones unmapped; invalid ones are left out.
func NewSet(prefixes ...netip.Prefix) *Set {
	s := &Set{}
	for _, p := range prefixes {
		if p, ok := canonical(p); ok {
			s.table.Insert(p)
		}
	}
	s.n = s.table.Size()
	return s
}

// Len is the number of distinct prefixes.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return s.n
}

// Contains tells whether a prefix of the set holds a.
func (s *Set) Contains(a netip.Addr) bool {
	return s.Len() > 0 && a.IsValid() && s.table.Contains(a.Unmap().WithZone(""))
}

// Covers tells whether one prefix of the set holds all of p.
func (s *Set) Covers(p netip.Prefix) bool {
	if s.Len() == 0 {
		return false
	}
	p, ok := canonical(p)
	return ok && s.table.LookupPrefix(p)
}

// Overlaps tells whether p and a prefix of the set have an address in common.
func (s *Set) Overlaps(p netip.Prefix) bool {
	if s.Len() == 0 {
		return false
	}
	p, ok := canonical(p)
	return ok && s.table.OverlapsPrefix(p)
}

func canonical(p netip.Prefix) (netip.Prefix, bool) {
	if !p.IsValid() {
		return p, false
	}
	a, bits := p.Addr().WithZone(""), p.Bits()
	if a.Is4In6() {
		if bits < 96 {
			return p, false
		}
		a, bits = a.Unmap(), bits-96
	}
	return netip.PrefixFrom(a, bits).Masked(), true
}

// single is the prefix of one address.
func single(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen())
}

// ParsePrefix reads an address, a prefix, or an address with a dotted mask ("192.0.2.0/255.255.255.0"), with or without
// brackets around an IPv6 address.
func ParsePrefix(text string) (netip.Prefix, error) {
	host, mask, masked := strings.Cut(text, "/")
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if err != nil {
		return netip.Prefix{}, err
	}
	if !masked {
		return single(a), nil
	}
	p := netip.Prefix{}
	if m, err := netip.ParseAddr(mask); err == nil && m.Is4() && a.Is4() {
		bits := 0
		b := m.As4()
		word := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		for ; word&0x80000000 != 0; word <<= 1 {
			bits++
		}
		if word != 0 {
			return p, fmt.Errorf("mask %s has holes", mask)
		}
		p = netip.PrefixFrom(a, bits)
	} else if p, err = netip.ParsePrefix(a.WithZone("").String() + "/" + mask); err != nil {
		return netip.Prefix{}, err
	}
	p, ok := canonical(p)
	if !ok {
		return p, fmt.Errorf("prefix %q reaches beyond the IPv4-mapped addresses: write it as IPv4", text)
	}
	return p, nil
}
