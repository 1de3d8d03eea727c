package pflog

import (
	"encoding/binary"
	"net/netip"

	"pfwarden/capture"
)

// IP protocol numbers that matter here.
const (
	protoHopByHop    = 0
	protoICMP        = 1
	protoTCP         = 6
	protoUDP         = 17
	protoDCCP        = 33
	protoRouting     = 43
	protoFragment    = 44
	protoAH          = 51
	protoICMPv6      = 58
	protoDestination = 60
	protoSCTP        = 132
	protoUDPLite     = 136
)

// maxExtensions bounds the chain of IPv6 extension headers.
const maxExtensions = 16

// ip4 reads an IPv4 packet of which b was captured and which had wire bytes. PF logs malformed packets too, so lengths that make
// no sense cost the fields after them, not the record.
func (d *Decoder) ip4(p *capture.Packet, b []byte, wire uint32) Cause {
	p.Length = wire
	if len(b) < 20 {
		return d.cut4(p, b, wire)
	}
	b0 := b[:20]
	total := uint32(binary.BigEndian.Uint16(b0[2:]))
	if total != 0 { // zero: left to the network card to fill in
		p.Length = total
	}
	p.IPID = binary.BigEndian.Uint16(b0[4:])
	fragment := binary.BigEndian.Uint16(b0[6:])
	p.TTL, p.Protocol = b0[8], b0[9]
	p.Has |= capture.HasTTL | capture.HasProtocol
	p.Source = netip.AddrFrom4([4]byte(b0[12:16]))
	p.Destination = netip.AddrFrom4([4]byte(b0[16:20]))
	p.Fragment = fragment&0x3fff != 0 // more fragments, or an offset
	header := uint32(b0[0]&15) * 4
	end := min(p.Length, wire) // of the packet on the wire, without what lies after it
	if fragment&0x1fff != 0 || header < 20 || end <= header {
		return Accepted
	}
	captured := min(uint32(len(b)), end)
	transport(p, b[min(header, captured):captured], end > captured)
	return Accepted
}

// cut4 reads what there is of a cut IPv4 header.
func (d *Decoder) cut4(p *capture.Packet, b []byte, wire uint32) Cause {
	if !d.Partial {
		return CutIP
	}
	p.Truncated = wire > uint32(len(b))
	if len(b) >= 4 {
		if total := uint32(binary.BigEndian.Uint16(b[2:])); total != 0 {
			p.Length = total
		}
	}
	if len(b) >= 9 {
		p.TTL = b[8]
		p.Has |= capture.HasTTL
	}
	if len(b) >= 10 {
		p.Protocol = b[9]
		p.Has |= capture.HasProtocol
	}
	if len(b) >= 16 {
		p.Source = netip.AddrFrom4([4]byte(b[12:16]))
	}
	return Accepted
}

// ip6 reads an IPv6 packet with its extension headers (RFC 8200).
func (d *Decoder) ip6(p *capture.Packet, b []byte, wire uint32) Cause {
	p.Length = wire
	if len(b) < 40 {
		return d.cut6(p, b, wire)
	}
	b0 := b[:40]
	if payload := uint32(binary.BigEndian.Uint16(b0[4:])); payload != 0 { // zero: a jumbogram, or left to the network card
		p.Length = 40 + payload
	}
	p.TTL = b0[7]
	p.Has |= capture.HasTTL | capture.HasProtocol
	p.Source = netip.AddrFrom16([16]byte(b0[8:24]))
	p.Destination = netip.AddrFrom16([16]byte(b0[24:40]))
	end := min(p.Length, wire)
	captured := min(uint32(len(b)), end)
	rest, cut := b[min(40, captured):captured], end > captured

	next := b0[6]
	for range maxExtensions {
		p.Protocol = next
		var size int
		switch next {
		case protoHopByHop, protoRouting, protoDestination:
			if len(rest) >= 2 {
				size = (int(rest[1]) + 1) * 8
			}
		case protoAH:
			if len(rest) >= 2 {
				size = (int(rest[1]) + 2) * 4
			}
		case protoFragment:
			size = 8
			if len(rest) >= size {
				offset := binary.BigEndian.Uint16(rest[2:])
				p.Fragment = offset&0xfff9 != 0 // an offset, or more fragments
				if offset&0xfff8 != 0 {
					p.Protocol = rest[0]
					return Accepted
				}
			}
		default:
			transport(p, rest, cut)
			return Accepted
		}
		if size == 0 || len(rest) < size {
			if len(rest) > 0 { // what follows the header stands in its first byte, even if the rest of it is cut off
				p.Protocol = rest[0]
			}
			p.Truncated = cut
			return Accepted
		}
		next, rest = rest[0], rest[size:]
	}
	return Accepted
}

// cut6 reads what there is of a cut IPv6 header.
func (d *Decoder) cut6(p *capture.Packet, b []byte, wire uint32) Cause {
	if !d.Partial {
		return CutIP
	}
	p.Truncated = wire > uint32(len(b))
	if len(b) >= 6 {
		if payload := uint32(binary.BigEndian.Uint16(b[4:])); payload != 0 {
			p.Length = 40 + payload
		}
	}
	if len(b) >= 7 {
		p.Protocol = b[6]
		p.Has |= capture.HasProtocol
	}
	if len(b) >= 8 {
		p.TTL = b[7]
		p.Has |= capture.HasTTL
	}
	if len(b) >= 24 {
		p.Source = netip.AddrFrom16([16]byte(b[8:24]))
	}
	return Accepted
}

// transport reads the fields of the transport header as far as it was captured; cut says that the packet had more bytes than b.
func transport(p *capture.Packet, b []byte, cut bool) {
	switch p.Protocol {
	case protoTCP:
		switch {
		case len(b) >= 14:
			p.TCPFlags = b[13]
			p.Has |= capture.HasTCPFlags
			fallthrough
		case len(b) >= 8:
			p.TCPSeq = binary.BigEndian.Uint32(b[4:])
			p.Has |= capture.HasTCPSeq
		}
		p.Truncated = cut && len(b) < 14
		ports(p, b)
	case protoUDP, protoSCTP, protoDCCP, protoUDPLite:
		p.Truncated = cut && len(b) < 4
		ports(p, b)
	case protoICMP, protoICMPv6:
		if len(b) == 0 {
			p.Truncated = cut
			return
		}
		p.ICMPType = b[0]
		p.Has |= capture.HasICMPType
	}
}

func ports(p *capture.Packet, b []byte) {
	if len(b) < 4 {
		return
	}
	p.SourcePort = binary.BigEndian.Uint16(b)
	p.DestinationPort = binary.BigEndian.Uint16(b[2:])
	p.Has |= capture.HasPorts
}

// hasPorts tells whether a protocol's header starts with two port numbers.
func hasPorts(protocol uint8) bool {
	switch protocol {
	case protoTCP, protoUDP, protoSCTP, protoDCCP, protoUDPLite:
		return true
	}
	return false
}
