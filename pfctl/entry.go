package pfctl

import (
	"fmt"
	"net/netip"
)

// Table is one of the driver's tables by its part: Banned, Suspects, or the name of a table of Config.PortTables.
type Table string

// The two tables that every anchor has. What they are called in PF is a matter of Config.
const (
	Banned   Table = "banned"   // proven attackers: everything is dropped, states are killed
	Suspects Table = "suspects" // spoofable sources: new inbound connections are dropped, states live on
)

// Entry is one address or network that should be in a table.
type Entry struct {
	Table      Table
	Prefix     netip.Prefix
	KillStates bool // end its connections once it is in the table; only for proven sources
}

// Canonical returns p in the form in which it is given to PF: IPv4 unmapped, host bits zero. A prefix that PF would misread, or that would block the
// world, is an error that wraps ErrRefused.
func Canonical(p netip.Prefix) (netip.Prefix, error) {
	a, bits := p.Addr(), p.Bits()
	switch {
	case !p.IsValid():
		return p, fmt.Errorf("%w: %v is not an address or network", ErrRefused, p)
	case a.Is4In6():
		if bits < 96 {
			return p, fmt.Errorf("%w: %v holds all of IPv4", ErrRefused, p)
		}
		a, bits = a.Unmap(), bits-96
	}
	out := netip.PrefixFrom(a, bits).Masked()
	if why := special(out); why != "" {
		return out, fmt.Errorf("%w: %v %s", ErrRefused, out, why)
	}
	return out, nil
}

// special says why a network must not be blocked by anyone: it is everything, or holds addresses that are no other host's.
func special(p netip.Prefix) string {
	if p.Bits() == 0 {
		return "is the whole address family"
	}
	for _, s := range [...]struct {
		net netip.Prefix
		why string
	}{
		{v4(127, 8), "is loopback"}, {netip.PrefixFrom(netip.IPv6Loopback(), 128), "is loopback"},
		{v4(0, 8), "is no host's address"}, {netip.PrefixFrom(netip.IPv6Unspecified(), 128), "is no host's address"},
		{v4(224, 4), "is multicast"}, {netip.PrefixFrom(netip.AddrFrom16([16]byte{0xff}), 8), "is multicast"},
		{netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), 32), "is the broadcast address"},
	} {
		if s.net.Overlaps(p) {
			return s.why
		}
	}
	return ""
}

func v4(first byte, bits int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{first}), bits)
}
