package simulate

import (
	"encoding/binary"
	"net/netip"

	"pfwarden/capture"
)

// sender is somebody who sends packets or tries passwords.
type sender struct {
	w       *world
	label   *label // nil: nobody to be scored
	random  random
	address netip.Addr
	ttl     uint8
}

// ttls draws a hop limit as it arrives, from a usual initial value: 64, 128 or 255, 5 to 25 hops away.
func (s *sender) ttls() uint8 {
	first := [...]int{64, 64, 64, 128, 255}[s.random.n(5)]
	return uint8(first - s.random.from(5, 25))
}

func (s *sender) note(at int64) {
	if l := s.label; l != nil {
		if l.last == 0 { // one that changes its address is labelled by the first, which is in the traffic
			l.first, l.address = at, s.address
		}
		l.last = at
	}
}

// host is one of the addresses behind the gateway.
func (s *sender) host() netip.Addr { return s.w.places.host(s.random.n(s.w.o.Hosts)) }

// packet is one record of PF's log to be.
type packet struct {
	source, destination         netip.Addr
	sourcePort, destinationPort uint16
	protocol                    uint8
	flags                       uint8
	ttl                         uint8
	kind, code                  uint8 // ICMP
	pass, out                   bool
	id                          uint16
	seq                         uint32
	payload                     int
}

// blocked begins a packet from the sender to one of ours that PF blocked on its way in.
func (s *sender) blocked(to netip.Addr, protocol uint8) packet {
	r := s.random.next()
	return packet{source: s.address, destination: to, protocol: protocol, ttl: s.ttl, id: uint16(r), seq: uint32(r >> 16)}
}

func (s *sender) send(at int64, p *packet) {
	s.note(at)
	s.w.out.packet(at, p)
}

// syn is a plain knock.
func (s *sender) syn(at int64, to netip.Addr, port uint16) {
	s.tcp(at, to, s.random.port(), port, capture.FlagSYN)
}

func (s *sender) tcp(at int64, to netip.Addr, from, port uint16, flags uint8) {
	p := s.blocked(to, protoTCP)
	p.sourcePort, p.destinationPort, p.flags = from, port, flags
	s.send(at, &p)
}

func (s *sender) udp(at int64, to netip.Addr, from, port uint16, payload int) {
	p := s.blocked(to, protoUDP)
	p.sourcePort, p.destinationPort, p.payload = from, port, payload
	s.send(at, &p)
}

func (s *sender) icmp(at int64, to netip.Addr, kind, code uint8) {
	p := s.blocked(to, protoICMP)
	p.kind, p.code, p.payload = kind, code, 28
	s.send(at, &p)
}

// tool is whose fingerprint a SYN carries.
type tool uint8

const (
	plain   tool = iota
	mirai        // sequence number = destination (its published source code)
	masscan      // IP id = destination ^ port ^ sequence number (its source code)
)

func (s *sender) knock(at int64, to netip.Addr, port uint16, t tool) {
	p := s.blocked(to, protoTCP)
	p.sourcePort, p.destinationPort, p.flags = s.random.port(), port, capture.FlagSYN
	if to.Is4() {
		b := to.As4()
		destination := binary.BigEndian.Uint32(b[:])
		switch t {
		case mirai:
			p.seq = destination
		case masscan:
			p.id = uint16(destination ^ uint32(port) ^ p.seq)
		}
	}
	s.send(at, &p)
}

// connects is a connection to one of our servers that PF lets in and logs.
func (s *sender) connects(at int64, to netip.Addr, port uint16) (from uint16) {
	p := s.blocked(to, protoTCP)
	p.sourcePort, p.destinationPort, p.flags, p.pass = s.random.port(), port, capture.FlagSYN, true
	s.send(at, &p)
	return p.sourcePort
}

// contacted is a connection from one of ours to the sender that PF lets out and logs.
func (s *sender) contacted(at int64, from netip.Addr, port uint16) {
	r := s.random.next()
	s.w.out.packet(at, &packet{
		source: from, destination: s.address, sourcePort: s.random.port(), destinationPort: port, protocol: protoTCP, flags: capture.FlagSYN,
		ttl: 63, id: uint16(r), seq: uint32(r >> 16), pass: true, out: true,
	})
}
