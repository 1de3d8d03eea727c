package pftest

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

// key is an address or network as a table holds it: host bits are zero, and 1.2.3.4 and ::ffff:1.2.3.4 are different.
type key struct {
	hi, lo uint64
	bits   uint8
	six    bool
}

func keyOf(p netip.Prefix) key {
	p = p.Masked()
	if p.Addr().Is4() {
		a := p.Addr().As4()
		return key{lo: uint64(binary.BigEndian.Uint32(a[:])), bits: uint8(p.Bits())}
	}
	a := p.Addr().As16()
	return key{hi: binary.BigEndian.Uint64(a[:8]), lo: binary.BigEndian.Uint64(a[8:]), bits: uint8(p.Bits()), six: true}
}

// root says whether k is an address for which PF's radix tree has a leaf of its own: 0.0.0.0 and :: cannot be added.
func (k key) root() bool { return k.hi == 0 && k.lo == 0 && k.bits == k.full() }

func (k key) addr() netip.Addr {
	if !k.six {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], uint32(k.lo))
		return netip.AddrFrom4(a)
	}
	var a [16]byte
	binary.BigEndian.PutUint64(a[:8], k.hi)
	binary.BigEndian.PutUint64(a[8:], k.lo)
	return netip.AddrFrom16(a)
}

func (k key) full() uint8 {
	if k.six {
		return 128
	}
	return 32
}

// mask returns the network of n bits that holds k.
func (k key) mask(n uint8) key {
	k.bits = n
	if !k.six {
		k.lo &= uint64(^uint32(0)) << (32 - n) & 0xffffffff
		return k
	}
	switch {
	case n == 0:
		k.hi, k.lo = 0, 0
	case n <= 64:
		k.hi &= ^uint64(0) << (64 - n)
		k.lo = 0
	case n < 128:
		k.lo &= ^uint64(0) << (128 - n)
	}
	return k
}

// before orders keys as a walk over PF's radix tree meets them: IPv4 first, by address, longer networks of one address first.
func (k key) compare(o key) int {
	switch {
	case k.six != o.six:
		if o.six {
			return -1
		}
		return 1
	case k.hi != o.hi:
		return cmpU(k.hi, o.hi)
	case k.lo != o.lo:
		return cmpU(k.lo, o.lo)
	case k.bits != o.bits:
		return cmpU(uint64(o.bits), uint64(k.bits))
	}
	return 0
}

func cmpU(a, b uint64) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

// appendText writes k as inet_ntop(3) and pfctl do: the mask only where it is not the host's.
func (k key) appendText(b []byte) []byte {
	if k.six && k.hi == 0 && k.lo>>32 == 0 && k.lo>>16 != 0 { // inet_ntop(3) writes ::1.2.3.4
		b = append(b, "::"...)
		b = key{lo: k.lo, bits: 32}.addr().AppendTo(b)
	} else {
		b = k.addr().AppendTo(b)
	}
	if k.bits < k.full() {
		b = append(b, '/')
		b = strconv.AppendUint(b, uint64(k.bits), 10)
	}
	return b
}

func (k key) String() string { return string(k.appendText(nil)) }

// address is one entry of an address list on the command line or in a file.
type address struct {
	key
	not    bool
	weight int
	fb     byte // feedback letter
}

// addrError is why an address could not be taken: text is printed as it is, and einval says whether errno was set.
type addrError struct {
	text       string
	einval     bool
	unfinished bool // the list ends where a number should follow
}

func (e *addrError) Error() string { return e.text }

// parseAddress reads one address as pfctl's append_addr does; an interface or a name may stand for several. Names are never
// looked up: localhost is the only one known.
func (pf *PF) parseAddress(s string, hostOnly bool) ([]address, *addrError) {
	not := false
	rest := s
	for strings.HasPrefix(rest, "!") {
		not = !not
		rest = rest[1:]
	}
	pre, err := pf.host(rest)
	if err != nil {
		return nil, err
	}
	out := make([]address, 0, len(pre))
	for _, p := range pre {
		if !p.IsValid() || (hostOnly && (not || p.Bits() != p.Addr().BitLen())) {
			return nil, &addrError{einval: true}
		}
		out = append(out, address{key: keyOf(p), not: not})
	}
	return out, nil
}

// host resolves what stands for an address: interface, number, name, in pfctl's order. An invalid Prefix in the answer is a mask
// that does not fit its family.
func (pf *PF) host(s string) ([]netip.Prefix, *addrError) {
	name, mask, hasMask := strings.Cut(s, "/")
	width := -1
	if hasMask {
		if !pf.prof.OpenBSD {
			n, err := strconv.ParseInt(mask, 0, 64) // strtol(3): 010 is 8
			if err != nil || n < 0 || n > 128 || strings.ContainsAny(mask, "_oOb") {
				return nil, &addrError{text: "invalid netmask '/" + mask + "'"}
			}
			width = int(n)
		} else if n, why := strtonum(mask, 0, 128); why != "" {
			return nil, &addrError{text: "netmask is " + why + ": /" + mask}
		} else {
			width = int(n)
		}
	}
	if list, ok := pf.ifaceAddrs(name); ok {
		return widths(list, width), nil
	}
	if a, ok := number(name, hasMask); ok {
		return widths([]netip.Prefix{netip.PrefixFrom(a, a.BitLen())}, width), nil
	}
	if name == "localhost" {
		return widths([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")}, width), nil
	}
	return nil, &addrError{text: "no IP address found for " + s}
}

func widths(list []netip.Prefix, width int) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, p := range list {
		if width >= 0 {
			p = netip.PrefixFrom(p.Addr(), width) // invalid if too wide
		}
		out[i] = p
	}
	return out
}

// ifaceAddrs gives the addresses of "self", an interface, or interface:network.
func (pf *PF) ifaceAddrs(s string) ([]netip.Prefix, bool) {
	name, mod, _ := strings.Cut(s, ":")
	if mod != "" && mod != "network" && mod != "0" {
		return nil, false
	}
	var out []netip.Prefix
	found := false
	for _, i := range pf.ifs {
		if name != "self" && name != i.Name && (name != "egress" || i.Name == "lo0") {
			continue
		}
		found = true
		for _, p := range i.Addrs {
			if mod != "" && p.Addr().IsLinkLocalUnicast() && p.Addr().Is6() {
				continue
			}
			if mod != "network" {
				p = netip.PrefixFrom(p.Addr(), p.Addr().BitLen())
			}
			out = append(out, p)
		}
	}
	return out, found
}

// number reads an address in digits as inet_aton(3) and inet_net_pton(3) (short is then a network's prefix: 10.11/16) do. A zone
// is dropped, as pfctl drops it.
func number(s string, short bool) (netip.Addr, bool) {
	if strings.Contains(s, ":") {
		a, err := netip.ParseAddr(s)
		return a.WithZone(""), err == nil
	}
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var v uint64
	for i, p := range parts {
		if p == "" || strings.ContainsAny(p, "_+-") {
			return netip.Addr{}, false
		}
		n, err := strconv.ParseUint(p, 0, 32)
		if err != nil {
			return netip.Addr{}, false
		}
		last := i == len(parts)-1 && !short
		switch {
		case !last && n > 255, last && bits.Len64(n) > 8*(4-i):
			return netip.Addr{}, false
		case last:
			v |= n
		default:
			v |= n << (24 - 8*i)
		}
	}
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], uint32(v))
	return netip.AddrFrom4(a), true
}
