package stranger

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog/pflogwrite"
)

const (
	outside = "em0" // the interface with the default route
	inside  = "em1"
)

// gen is a trace in the making.
type gen struct {
	o     Options
	r     *rand.Rand
	class string // of what is being drawn
	want  bool
	span  time.Duration

	v4, v6 []netip.Addr // our addresses
	open   map[netip.AddrPort]bool
	ssh    netip.Addr // which our servers' logs are from
	used   map[netip.Addr]bool
	labels []*Label
	whose  map[netip.Addr]*Label

	packets []packet
	lines   map[string][]line
	style   style
}

func newGen(o Options) *gen {
	g := &gen{
		o: o, r: rand.New(rand.NewPCG(o.Seed, 0)), span: time.Duration(o.Days) * 24 * time.Hour,
		open: map[netip.AddrPort]bool{}, used: map[netip.Addr]bool{}, whose: map[netip.Addr]*Label{}, lines: map[string][]line{},
	}
	g.style = drawStyle(g.r)
	four, six := [4]byte{203, 0, 113, 0}, netip.MustParseAddr("2001:db8:77::").As16()
	for i := range o.Hosts {
		four[3], six[15] = byte(i), byte(i+1)
		if o.Hosts < 256 {
			four[3] = byte(16 + i)
		}
		g.v4, g.v6 = append(g.v4, netip.AddrFrom4(four)), append(g.v6, netip.AddrFrom16(six))
	}
	// Few machines serve anything; what reaches a service passes and is not logged.
	serve := func(share float64, ports ...uint16) {
		for range max(1, int(share*float64(o.Hosts))) {
			i := g.r.IntN(o.Hosts)
			for _, p := range ports {
				g.open[netip.AddrPortFrom(g.v4[i], p)], g.open[netip.AddrPortFrom(g.v6[i], p)] = true, true
			}
			if ports[0] == 22 {
				g.ssh = g.v4[i]
			}
		}
	}
	serve(.1, 80, 443)
	serve(.02, 25, 587, 993, 995)
	serve(.03, 22)
	return g
}

// between draws from lo to hi, both included.
func (g *gen) between(lo, hi int) int { return lo + g.r.IntN(hi-lo+1) }

// lasting draws a time from lo to hi.
func (g *gen) lasting(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(g.r.Int64N(int64(hi-lo)+1))
}

// within draws when something that takes d may begin, so that it ends before the trace does.
func (g *gen) within(d time.Duration) time.Duration {
	return time.Duration(g.r.Int64N(int64(max(g.span-d, 1))))
}

// chance is true with probability p.
func (g *gen) chance(p float64) bool { return g.r.Float64() < p }

// pick draws one of the values.
func pick[T any](g *gen, from ...T) T { return from[g.r.IntN(len(from))] }

// sample draws n of the values, or all, in random order.
func sample[T any](g *gen, n int, from []T) []T {
	out := make([]T, 0, min(n, len(from)))
	for _, i := range g.r.Perm(len(from))[:cap(out)] {
		out = append(out, from[i])
	}
	return out
}

// public draws an IPv4 address that nobody else in the trace has, of space that is routed.
func (g *gen) public() netip.Addr {
	for {
		a := netip.AddrFrom4([4]byte{byte(g.between(1, 223)), byte(g.r.Uint32()), byte(g.r.Uint32()), byte(g.between(1, 254))})
		if a.IsGlobalUnicast() && !a.IsPrivate() && a.As4()[0] != 127 && !reserved(a) && !g.used[a] {
			g.used[a] = true
			return a
		}
	}
}

func reserved(a netip.Addr) bool {
	for _, p := range []string{"192.0.0.0/16", "203.0.113.0/24", "198.18.0.0/15", "198.51.100.0/24", "100.64.0.0/10", "192.88.99.0/24"} {
		if netip.MustParsePrefix(p).Contains(a) {
			return true
		}
	}
	return false
}

// net24 draws an unused IPv4 /24 and returns n of its members.
func (g *gen) net24(n int) []netip.Addr {
	base := g.public().As4()
	var out []netip.Addr
	for _, i := range g.r.Perm(254)[:n] {
		base[3] = byte(i + 1)
		g.used[netip.AddrFrom4(base)] = true
		out = append(out, netip.AddrFrom4(base))
	}
	return out
}

// net48 draws an IPv6 /48 as a base address.
func (g *gen) net48() netip.Addr {
	a := [16]byte{0x2a, byte(g.r.Uint32()), byte(g.r.Uint32()), byte(g.r.Uint32()), byte(g.r.Uint32()), byte(g.r.Uint32())}
	return netip.AddrFrom16(a)
}

// in48 draws an address of the given /64 of a /48, with random interface bits.
func (g *gen) in48(base netip.Addr, subnet int) netip.Addr {
	a := base.As16()
	a[6], a[7] = byte(subnet>>8), byte(subnet)
	for i := 8; i < 16; i++ {
		a[i] = byte(g.r.Uint32())
	}
	return netip.AddrFrom16(a)
}

// public6 draws an IPv6 address in a /48 of its own.
func (g *gen) public6() netip.Addr { return g.in48(g.net48(), g.between(0, 65535)) }

// hosts are our addresses of a's family.
func (g *gen) hosts(a netip.Addr) []netip.Addr {
	if a.Is4() {
		return g.v4
	}
	return g.v6
}

// host draws one of our addresses of a's family.
func (g *gen) host(a netip.Addr) netip.Addr { h := g.hosts(a); return h[g.r.IntN(len(h))] }

// label notes that the address belongs to the class being drawn.
func (g *gen) label(a netip.Addr) netip.Addr {
	if g.whose[a] == nil {
		l := &Label{Address: a, Class: g.class, Want: g.want}
		g.whose[a] = l
		g.labels = append(g.labels, l)
	}
	return a
}

// seen dates the label of a source by a record of it.
func (g *gen) seen(a netip.Addr, at time.Duration) {
	l := g.whose[a]
	if l == nil {
		return
	}
	t := g.o.Start.Add(at)
	if l.First.IsZero() || t.Before(l.First) {
		l.First = t
	}
	if t.After(l.Last) {
		l.Last = t
	}
}

// block logs that a packet from outside was blocked.
func (g *gen) block(at time.Duration, from netip.Addr, ip []byte) {
	g.log(packet{at: at, ip: ip, iface: outside, action: capture.ActionBlock, dir: capture.In}, from)
}

func (g *gen) log(p packet, from netip.Addr) {
	if p.at < 0 || p.at >= g.span {
		return
	}
	g.packets = append(g.packets, p)
	g.seen(from, p.at)
}

// contact logs that one of our machines opened a connection to the address, which a "pass out log" rule tells.
func (g *gen) contact(at time.Duration, to netip.Addr) {
	var ip []byte
	header := pflogwrite.IP{Source: g.host(to), Destination: to, TTL: 63, ID: uint16(g.r.Uint32())}
	if g.chance(.2) {
		ip = pflogwrite.UDPPacket(header, g.ephemeral(), pick[uint16](g, 53, 123, 443), make([]byte, 40))
	} else {
		ip = pflogwrite.TCPPacket(header, pflogwrite.TCP{SourcePort: g.ephemeral(), DestinationPort: pick[uint16](g, 443, 80, 25, 22), Seq: g.r.Uint32(), Flags: capture.FlagSYN, Window: 64240})
	}
	g.log(packet{at: at, ip: ip, iface: outside, action: capture.ActionPass, dir: capture.Out}, netip.Addr{})
}

// ephemeral draws a source port as a client's system does.
func (g *gen) ephemeral() uint16 { return uint16(g.between(32768, 60999)) }

// write adds a line to a server's log; from is whom it is about.
func (g *gen) write(log string, at time.Duration, from netip.Addr, format string, args ...any) {
	if at < 0 || at >= g.span {
		return
	}
	g.lines[log] = append(g.lines[log], line{at: at, text: fmt.Sprintf(format, args...)})
	g.seen(from, at)
}
