package pflogwrite

import (
	"encoding/binary"
	"net/netip"
)

// IP protocol numbers that the helpers below fill in.
const (
	ProtocolICMP   = 1
	ProtocolTCP    = 6
	ProtocolUDP    = 17
	ProtocolICMPv6 = 58
)

// IP describes the IP header of a packet; its addresses choose the version and must be of one family.
type IP struct {
	Source, Destination netip.Addr
	TTL                 uint8  // 0 is written as 64
	ID                  uint16 // IPv4 identification; IPv6 fragment identification
	Protocol            uint8  // of the payload; set by TCP, UDP, ICMP and ICMPv6
	FragmentOffset      uint16 // in units of 8 bytes
	MoreFragments       bool
	DontFragment        bool        // IPv4 only
	Options             []byte      // IPv4 options, a multiple of 4 bytes
	Extensions          []Extension // IPv6 extension headers in front of the payload (and of a fragment header, if one is due)
}

// Extension is an IPv6 extension header. The first byte of Data is overwritten by the number of what follows it, so Data must
// be a whole header as RFC 8200 section 4 lays it out.
type Extension struct {
	Protocol uint8 // number of this header: 0 hop-by-hop, 43 routing, 51 authentication, 60 destination options
	Data     []byte
}

// TCP describes a TCP segment.
type TCP struct {
	SourcePort, DestinationPort uint16
	Seq, Ack                    uint32
	Flags                       uint8  // capture.FlagSYN and so on
	Window                      uint16 // 0 is written as 1024
	Options                     []byte // a multiple of 4 bytes
	Payload                     []byte
}

// Raw returns an IP packet around payload.
func Raw(ip IP, payload []byte) []byte {
	if ip.TTL == 0 {
		ip.TTL = 64
	}
	if ip.Source.Is4() {
		return raw4(ip, payload)
	}
	return raw6(ip, payload)
}

func raw4(ip IP, payload []byte) []byte {
	size := 20 + len(ip.Options)
	b := make([]byte, size, size+len(payload))
	b[0] = 4<<4 | byte(size/4)
	binary.BigEndian.PutUint16(b[2:], uint16(size+len(payload)))
	binary.BigEndian.PutUint16(b[4:], ip.ID)
	offset := ip.FragmentOffset & 0x1fff
	if ip.MoreFragments {
		offset |= 0x2000
	}
	if ip.DontFragment {
		offset |= 0x4000
	}
	binary.BigEndian.PutUint16(b[6:], offset)
	b[8], b[9] = ip.TTL, ip.Protocol
	src, dst := ip.Source.As4(), ip.Destination.As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	copy(b[20:], ip.Options)
	binary.BigEndian.PutUint16(b[10:], fold(sum(0, b)))
	return append(b, payload...)
}

func raw6(ip IP, payload []byte) []byte {
	chain := ip.Extensions
	if ip.FragmentOffset != 0 || ip.MoreFragments {
		f := make([]byte, 8)
		offset := ip.FragmentOffset << 3
		if ip.MoreFragments {
			offset |= 1
		}
		binary.BigEndian.PutUint16(f[2:], offset)
		binary.BigEndian.PutUint32(f[4:], uint32(ip.ID))
		chain = append(chain[:len(chain):len(chain)], Extension{44, f})
	}
	b := make([]byte, 40, 40+len(payload)+64)
	b[0] = 6 << 4
	b[6], b[7] = ip.Protocol, ip.TTL
	src, dst := ip.Source.As16(), ip.Destination.As16()
	copy(b[8:], src[:])
	copy(b[24:], dst[:])
	next := 6 // where the number of the following header goes
	for _, e := range chain {
		b[next] = e.Protocol
		next = len(b)
		b = append(b, e.Data...)
		b[next] = ip.Protocol
	}
	b = append(b, payload...)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)-40))
	return b
}

// TCPPacket returns an IP packet that holds the segment, with its checksum.
func TCPPacket(ip IP, t TCP) []byte {
	ip.Protocol = ProtocolTCP
	size := 20 + len(t.Options)
	b := make([]byte, size, size+len(t.Payload))
	binary.BigEndian.PutUint16(b[0:], t.SourcePort)
	binary.BigEndian.PutUint16(b[2:], t.DestinationPort)
	binary.BigEndian.PutUint32(b[4:], t.Seq)
	binary.BigEndian.PutUint32(b[8:], t.Ack)
	b[12], b[13] = byte(size/4)<<4, t.Flags
	if t.Window == 0 {
		t.Window = 1024
	}
	binary.BigEndian.PutUint16(b[14:], t.Window)
	copy(b[20:], t.Options)
	b = append(b, t.Payload...)
	binary.BigEndian.PutUint16(b[16:], transportSum(ip, b))
	return Raw(ip, b)
}

// UDPPacket returns an IP packet that holds a datagram, with its checksum.
func UDPPacket(ip IP, sourcePort, destinationPort uint16, payload []byte) []byte {
	ip.Protocol = ProtocolUDP
	b := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(b[0:], sourcePort)
	binary.BigEndian.PutUint16(b[2:], destinationPort)
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload)))
	b = append(b, payload...)
	check := transportSum(ip, b)
	if check == 0 {
		check = 0xffff // RFC 768: zero would say "no checksum"
	}
	binary.BigEndian.PutUint16(b[6:], check)
	return Raw(ip, b)
}

// ICMPPacket returns an IP packet that holds an ICMP message, or an ICMPv6 message if the addresses are IPv6: type, code, the
// four bytes behind the checksum (for an echo: identifier and sequence number) and the rest.
func ICMPPacket(ip IP, kind, code uint8, rest uint32, payload []byte) []byte {
	b := make([]byte, 8, 8+len(payload))
	b[0], b[1] = kind, code
	binary.BigEndian.PutUint32(b[4:], rest)
	b = append(b, payload...)
	if ip.Source.Is4() {
		ip.Protocol = ProtocolICMP
		binary.BigEndian.PutUint16(b[2:], fold(sum(0, b)))
	} else {
		ip.Protocol = ProtocolICMPv6
		binary.BigEndian.PutUint16(b[2:], transportSum(ip, b))
	}
	return Raw(ip, b)
}

// transportSum is the checksum over the pseudo header and the segment, whose own checksum field must be zero.
func transportSum(ip IP, segment []byte) uint16 {
	s := sum(0, ip.Source.AsSlice())
	s = sum(s, ip.Destination.AsSlice())
	s += uint32(ip.Protocol) + uint32(len(segment))
	return fold(sum(s, segment))
}

// sum adds b to the running one's complement sum of RFC 1071.
func sum(s uint32, b []byte) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}
