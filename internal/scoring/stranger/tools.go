package stranger

import (
	"encoding/binary"
	"net/netip"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog/pflogwrite"
)

// TCP options of common senders of SYNs.
var (
	optionsLinux   = []byte{2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7}
	optionsWindows = []byte{2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2}
	optionsMSS     = []byte{2, 4, 5, 0xb4}
)

// sender is a source of packets with the habits of its program or system.
type sender struct {
	g       *gen
	addr    netip.Addr
	ttl     uint8
	window  uint16
	options []byte
	flags   uint8
	repeats []time.Duration // when an unanswered probe is sent again
	moves   bool            // a repeat comes from another source port (nmap), not from the same (every system's stack)

	sport func() uint16
	seq   func(dst netip.Addr) uint32
	id    func(dst netip.Addr, dport uint16, seq uint32) uint16
}

// client is a sender with an ordinary system's stack, which asks again for a while.
func (g *gen) client(addr netip.Addr) *sender {
	s := &sender{
		g: g, addr: addr, ttl: uint8(64 - g.between(5, 25)), window: 64240, options: optionsLinux, flags: capture.FlagSYN,
		repeats: []time.Duration{time.Second, 3 * time.Second, 7 * time.Second}[:g.between(1, 3)],
		sport:   g.ephemeral,
		seq:     func(netip.Addr) uint32 { return g.r.Uint32() },
		id:      func(netip.Addr, uint16, uint32) uint16 { return uint16(g.r.Uint32()) },
	}
	switch g.between(0, 9) {
	case 0: // a system that asks for explicit congestion notification
		s.flags |= capture.FlagECE | capture.FlagCWR
	case 1, 2, 3:
		s.ttl, s.window, s.options = s.ttl+64, 8192, optionsWindows
	}
	return s
}

// nmap is a sender that scans as nmap does: one source port, a small window, unanswered probes again from the next port.
func (g *gen) nmap(addr netip.Addr) *sender {
	s := g.client(addr)
	port := uint16(g.between(33000, 63000))
	s.window, s.options, s.moves, s.flags = 1024, optionsMSS, true, capture.FlagSYN
	s.ttl = uint8(g.between(30, 58))
	s.repeats = []time.Duration{1100 * time.Millisecond, 2300 * time.Millisecond}[:g.between(0, 2)]
	s.sport = func() uint16 { return port }
	seq := g.r.Uint32()
	s.seq = func(netip.Addr) uint32 { return seq }
	return s
}

// masscan is a sender with masscan's mark in the IP id; newer forks lack it.
func (g *gen) masscan(addr netip.Addr) *sender {
	s := g.client(addr)
	port := pick(g, uint16(61000), g.ephemeral())
	s.window, s.options, s.repeats, s.flags, s.ttl = 1024, nil, nil, capture.FlagSYN, uint8(255-g.between(8, 25))
	s.sport = func() uint16 { return port }
	s.id = func(dst netip.Addr, dport uint16, seq uint32) uint16 { return uint16(low(dst) ^ uint32(dport) ^ seq) }
	return s
}

// zmap is a sender as ZMap 2 to 4: a range of source ports, IP id 54321 or, since 4.1, random.
func (g *gen) zmap(addr netip.Addr) *sender {
	s := g.client(addr)
	s.window, s.options, s.repeats, s.flags, s.ttl = 65535, optionsMSS, nil, capture.FlagSYN, uint8(255-g.between(8, 25))
	if g.chance(.5) {
		s.id = func(netip.Addr, uint16, uint32) uint16 { return 54321 }
	} else {
		s.ttl = uint8(64 - g.between(8, 25))
	}
	return s
}

// raw is a home-made SYN sender: random everything.
func (g *gen) raw(addr netip.Addr) *sender {
	s := g.client(addr)
	s.window, s.options, s.flags, s.repeats = uint16(g.between(1024, 65535)), nil, capture.FlagSYN, nil
	s.sport = func() uint16 { return uint16(g.between(1025, 65535)) }
	return s
}

// mirai is raw with the bot's mark: the sequence number is the destination.
func (g *gen) mirai(addr netip.Addr) *sender {
	s := g.raw(addr)
	s.seq = low
	return s
}

// scanner draws one of the tools.
func (g *gen) scanner(addr netip.Addr) *sender {
	switch g.between(0, 9) {
	case 0, 1, 2:
		return g.zmap(addr)
	case 3, 4:
		return g.masscan(addr)
	case 5, 6:
		return g.nmap(addr)
	case 7:
		return g.raw(addr)
	}
	return g.client(addr)
}

// low is the last 32 bits of an address.
func low(a netip.Addr) uint32 { b := a.AsSlice(); return binary.BigEndian.Uint32(b[len(b)-4:]) }

// knock sends a probe of the sender's flags, and its repeats. One that reaches a service passes, and is not logged.
func (s *sender) knock(at time.Duration, dst netip.Addr, dport uint16) {
	if s.flags&capture.FlagSYN != 0 && s.g.open[netip.AddrPortFrom(dst, dport)] {
		return
	}
	sport, seq := s.sport(), s.seq(dst)
	s.segment(at, dst, sport, dport, s.flags, seq, 0, nil)
	for i, later := range s.repeats {
		port := sport
		if s.moves {
			port += uint16(i) + 1
		}
		s.segment(at+later, dst, port, dport, s.flags, seq, 0, nil)
	}
}

// segment sends one TCP segment that is blocked.
func (s *sender) segment(at time.Duration, dst netip.Addr, sport, dport uint16, flags uint8, seq, ack uint32, payload []byte) {
	t := pflogwrite.TCP{SourcePort: sport, DestinationPort: dport, Seq: seq, Ack: ack, Flags: flags, Window: s.window, Payload: payload}
	if flags&capture.FlagSYN != 0 {
		t.Options = s.options
	}
	s.g.block(at, s.addr, pflogwrite.TCPPacket(pflogwrite.IP{Source: s.addr, Destination: dst, TTL: s.ttl, ID: s.id(dst, dport, seq), DontFragment: len(s.options) > 4}, t))
}

// udp sends one datagram that is blocked.
func (s *sender) udp(at time.Duration, dst netip.Addr, sport, dport uint16, size int) {
	s.g.block(at, s.addr, pflogwrite.UDPPacket(pflogwrite.IP{Source: s.addr, Destination: dst, TTL: s.ttl, ID: uint16(s.g.r.Uint32())}, sport, dport, make([]byte, size)))
}

// icmp sends one ICMP message that is blocked.
func (s *sender) icmp(at time.Duration, dst netip.Addr, kind, code uint8, payload []byte) {
	s.g.block(at, s.addr, pflogwrite.ICMPPacket(pflogwrite.IP{Source: s.addr, Destination: dst, TTL: s.ttl}, kind, code, s.g.r.Uint32(), payload))
}

// echo sends one echo request.
func (s *sender) echo(at time.Duration, dst netip.Addr) {
	kind := uint8(8)
	if !dst.Is4() {
		kind = 128
	}
	s.icmp(at, dst, kind, 0, make([]byte, 32))
}
