package config

import (
	"net/netip"
	"slices"
	"strings"
)

// NeverList splits the never-list into prefixes (masked, IPv4 unmapped, an address as a prefix of full length) and the names
// that are still to be resolved.
func (c *Config) NeverList() (prefixes []netip.Prefix, names []string) {
	for _, s := range c.Never {
		if p, ok := prefixOf(s); ok {
			prefixes = append(prefixes, p)
		} else {
			names = append(names, strings.TrimSuffix(s, "."))
		}
	}
	return prefixes, names
}

// prefixOf reads an address or a prefix in the form that PF and the detector know.
func prefixOf(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap().WithZone("")
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

// coversAll tells whether the prefixes leave no address of the family of zero outside; zero is that family's first address.
func coversAll(prefixes []netip.Prefix, zero netip.Addr) bool {
	var family []netip.Prefix
	for _, p := range prefixes {
		if p.Addr().Is4() == zero.Is4() {
			family = append(family, p)
		}
	}
	slices.SortFunc(family, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	next := zero // first address not known to be covered
	for _, p := range family {
		if next.Less(p.Addr()) {
			return false
		}
		end := last(p)
		if end.Less(next) {
			continue
		}
		if next = end.Next(); !next.IsValid() {
			return true
		}
	}
	return false
}

// last returns the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b) // its length is that of an address
	return a
}
