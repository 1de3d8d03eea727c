package privsep

import "net/netip"

// Refresh asks anew what belongs to this machine. What cannot be found out keeps its last answer.
func (g *Guard) Refresh() {
	s := g.settings.Load()
	list := append([]netip.Prefix(nil), s.Never...)
	list = append(list, nobody()...)
	if s.NeverDefaults && g.o.Defaults != nil {
		found, err := g.o.Defaults()
		if err != nil {
			g.log.Debug("what is never banned is not known completely", "error", err)
		}
		if err != nil && g.never.Load() != nil {
			list = append(list, *g.never.Load()...)
		}
		for _, prefixes := range found {
			list = append(list, prefixes...)
		}
	}
	list = distinct(list)
	g.never.Store(&list)
}

// nobody are addresses that can be nobody's source: RFC 6890.
func nobody() []netip.Prefix {
	return []netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom4([4]byte{}), 8), netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{224}), 4), netip.PrefixFrom(netip.IPv6Unspecified(), 128),
		netip.PrefixFrom(netip.IPv6Loopback(), 128), netip.PrefixFrom(netip.AddrFrom16([16]byte{0xff}), 8),
	}
}

func distinct(list []netip.Prefix) []netip.Prefix {
	seen := make(map[netip.Prefix]bool, len(list))
	out := list[:0]
	for _, p := range list {
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	return out
}

// protects says why an address is left alone, "" if it is not.
func (g *Guard) protects(p netip.Prefix) string {
	if p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 16 {
		return "too wide"
	}
	for _, n := range *g.never.Load() {
		if n.Overlaps(p) {
			return "never-listed: " + n.String()
		}
	}
	return ""
}
