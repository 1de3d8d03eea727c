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
	return append(appendHeader(nil, ip, len(payload)), payload...)
}

// appendHeader appends the IP header of a packet with size bytes of payload.
func appendHeader(dst []byte, ip IP, size int) []byte {
	if ip.TTL == 0 {
		ip.TTL = 64
	}
	if ip.Source.Is4() {
		return header4(dst, ip, size)
	}
	return header6(dst, ip, size)
}

func header4(dst []byte, ip IP, payload int) []byte {
	size, start := 20+len(ip.Options), len(dst)
	dst = append(dst, make([]byte, size)...)
	b := dst[start:]
	b[0] = 4<<4 | byte(size/4)
	binary.BigEndian.PutUint16(b[2:], uint16(size+payload))
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
	from, to := ip.Source.As4(), ip.Destination.As4()
	copy(b[12:], from[:])
	copy(b[16:], to[:])
	copy(b[20:], ip.Options)
	binary.BigEndian.PutUint16(b[10:], fold(sum(0, b)))
	return dst
}

func header6(dst []byte, ip IP, payload int) []byte {
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
	start := len(dst)
	dst = append(dst, make([]byte, 40)...)
	b := dst[start:]
	b[0] = 6 << 4
	b[6], b[7] = ip.Protocol, ip.TTL
	from, to := ip.Source.As16(), ip.Destination.As16()
	copy(b[8:], from[:])
	copy(b[24:], to[:])
	next := start + 6 // where the number of the following header goes
	for _, e := range chain {
		dst[next] = e.Protocol
		next = len(dst)
		dst = append(dst, e.Data...)
		dst[next] = ip.Protocol
	}
	binary.BigEndian.PutUint16(dst[start+4:], uint16(len(dst)-start-40+payload))
	return dst
}

// TCPPacket returns an IP packet that holds the segment, with its checksum.
func TCPPacket(ip IP, t TCP) []byte { return AppendTCP(nil, ip, t) }

// AppendTCP appends what TCPPacket returns to dst.
func AppendTCP(dst []byte, ip IP, t TCP) []byte {
	ip.Protocol = ProtocolTCP
	size := 20 + len(t.Options)
	dst = appendHeader(dst, ip, size+len(t.Payload))
	start := len(dst)
	dst = append(dst, make([]byte, size)...)
	b := dst[start:]
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
	dst = append(dst, t.Payload...)
	binary.BigEndian.PutUint16(dst[start+16:], transportSum(ip, dst[start:]))
	return dst
}

// UDPPacket returns an IP packet that holds a datagram, with its checksum.
func UDPPacket(ip IP, sourcePort, destinationPort uint16, payload []byte) []byte {
	return AppendUDP(nil, ip, sourcePort, destinationPort, payload)
}

// AppendUDP appends what UDPPacket returns to dst.
func AppendUDP(dst []byte, ip IP, sourcePort, destinationPort uint16, payload []byte) []byte {
	ip.Protocol = ProtocolUDP
	dst = appendHeader(dst, ip, 8+len(payload))
	start := len(dst)
	dst = append(dst, make([]byte, 8)...)
	b := dst[start:]
	binary.BigEndian.PutUint16(b[0:], sourcePort)
	binary.BigEndian.PutUint16(b[2:], destinationPort)
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload)))
	dst = append(dst, payload...)
	check := transportSum(ip, dst[start:])
	if check == 0 {
		check = 0xffff // RFC 768: zero would say "no checksum"
	}
	binary.BigEndian.PutUint16(dst[start+6:], check)
	return dst
}

// ICMPPacket returns an IP packet that holds an ICMP message, or an ICMPv6 message if the addresses are IPv6: type, code, the
// four bytes behind the checksum (for an echo: identifier and sequence number) and the rest.
func ICMPPacket(ip IP, kind, code uint8, rest uint32, payload []byte) []byte {
	return AppendICMP(nil, ip, kind, code, rest, payload)
}

// AppendICMP appends what ICMPPacket returns to dst.
func AppendICMP(dst []byte, ip IP, kind, code uint8, rest uint32, payload []byte) []byte {
	if ip.Protocol = ProtocolICMP; !ip.Source.Is4() {
		ip.Protocol = ProtocolICMPv6
	}
	dst = appendHeader(dst, ip, 8+len(payload))
	start := len(dst)
	dst = append(dst, kind, code, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, rest)
	dst = append(dst, payload...)
	check := fold(sum(0, dst[start:]))
	if !ip.Source.Is4() {
		check = transportSum(ip, dst[start:])
	}
	binary.BigEndian.PutUint16(dst[start+2:], check)
	return dst
}

// transportSum is the checksum over the pseudo header and the segment, whose own checksum field must be zero.
func transportSum(ip IP, segment []byte) uint16 {
	var s uint32
	if ip.Source.Is4() {
		from, to := ip.Source.As4(), ip.Destination.As4()
		s = sum(sum(0, from[:]), to[:])
	} else {
		from, to := ip.Source.As16(), ip.Destination.As16()
		s = sum(sum(0, from[:]), to[:])
	}
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
