package probe

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"pfwarden/capture"
	"pfwarden/detect"
)

// IP protocol numbers and ICMP types (IANA).
const (
	protoICMP  = 1
	protoTCP   = 6
	protoUDP   = 17
	protoICMP6 = 58
	icmpEcho   = 8
	icmp6Echo  = 128
)

// amplifierPorts are UDP services that answer with more than they are asked (Rossow: Amplification hell, 2014, and later finds).
var amplifierPorts = []uint16{17, 19, 53, 69, 111, 123, 137, 161, 389, 427, 520, 623, 1434, 1900, 3283, 3702, 5353, 10001, 11211, 27015, 37810}

// replyPorts are UDP services whose answers come late: name servers, clocks, QUIC, STUN, IKE, tunnels.
var replyPorts = []uint16{53, 67, 123, 443, 500, 784, 853, 1194, 1812, 1813, 3478, 3479, 3480, 3481, 4500, 5349, 5350, 8853, 19302, 19303, 19305, 51820}

// servicePorts are TCP services on ports that are not a system's own, from where answers come late and backscatter comes from.
var servicePorts = []uint16{
	1194, 1433, 1723, 1883, 2083, 2222, 3128, 3306, 3389, 5060, 5061, 5222, 5223, 5228, 5269, 5432, 5900, 6379, 6667, 6697, 8000, 8006, 8008, 8080, 8081, 8443, 8883, 8888, 9418, 9443,
	25565, 27015, 27017,
}

const (
	firstEphemeral   = 1024
	longestSYN       = 120 // bytes of IP: an IPv6 header with a little of extensions, or the longest IPv4 one, and the longest TCP one, without data
	reflectedEntries = 1 << 12
	reflectedPorts   = 3 // source ports from which on somebody asks amplifiers in the name of a victim
	swarmEntries     = 1 << 12
	swarmSources     = 24 // of 64 bits: some 30 sources that all send to one high port of one address
	swarmLife        = 24 * 3600
	flagsAll         = capture.FlagFIN | capture.FlagSYN | capture.FlagRST | capture.FlagPSH | capture.FlagACK | capture.FlagURG
)

// kind names what a blocked inbound packet is evidence of.
func (c *Classifier) kind(p *capture.Packet) detect.Kind {
	switch {
	case c.anchor != "" && p.Anchor == c.anchor:
		return detect.Knock
	case detect.Bogon(p.Source) || c.own[p.Source] || p.Source == p.Destination: // the last is a "land" packet: nobody asks himself through a gateway
		return detect.Forged
	case p.Source.Is4In6(): // never on a wire (RFC 4942, 2.2), and a ban would be of the IPv4 address that it names
		return detect.Forged
	}
	switch p.Protocol {
	case protoTCP:
		return c.tcp(p)
	case protoUDP:
		return c.udp(p)
	case protoICMP:
		if p.Has&capture.HasICMPType != 0 && p.ICMPType == icmpEcho && !shared(p.Destination) {
			return detect.Sweep
		}
	case protoICMP6:
		if p.Has&capture.HasICMPType != 0 && p.ICMPType == icmp6Echo && !shared(p.Destination) {
			return detect.Sweep
		}
	}
	return detect.Other
}

func (c *Classifier) tcp(p *capture.Packet) detect.Kind {
	if p.Has&capture.HasTCPFlags == 0 {
		switch {
		case p.Fragment && p.Has&capture.HasPorts == 0:
			return detect.Other
		case c.answers(p):
			return detect.Late
		}
		return detect.UnknownFlags // also a first fragment too short for them, which only tools make (RFC 1858)
	}
	flags := p.TCPFlags & flagsAll // ECE and CWR are negotiated in honest SYNs (RFC 3168)
	switch {
	case flags == capture.FlagSYN:
		return detect.Probe
	case flags&capture.FlagRST != 0, flags&(capture.FlagSYN|capture.FlagACK) == capture.FlagSYN|capture.FlagACK:
		return detect.Backscatter
	case flags&capture.FlagACK != 0:
		return detect.Late
	default:
		// Without ACK, RST or a plain SYN: no segment that RFC 9293 knows, so no late one either.
		return detect.Stealth
	}
}

// answers says whether a TCP packet whose flags were cut off looks like a server's: late answers and backscatter must count nothing, and FreeBSD's
// pflogd, which keeps 116 bytes, cuts the flags of every IPv6 packet off. A probe from a service's port is missed there.
func (c *Classifier) answers(p *capture.Packet) bool {
	if p.Has&capture.HasPorts == 0 {
		return false
	}
	return c.serves(p.SourcePort) || p.Length > longestSYN // to whatever port: who floods a server forges low ports too
}

// asks says whether a TCP packet whose flags were cut off looks like a client's first one.
func (c *Classifier) asks(p *capture.Packet) bool {
	return p.Has&capture.HasPorts != 0 && !p.Fragment && c.serves(p.DestinationPort) && !c.serves(p.SourcePort) && p.Length <= longestSYN
}

// serves says whether a TCP port is one of which servers are known.
func (c *Classifier) serves(port uint16) bool { return port < firstEphemeral || c.services.has(port) }

func (c *Classifier) udp(p *capture.Packet) detect.Kind {
	if p.Has&capture.HasPorts == 0 || shared(p.Destination) {
		return detect.Other
	}
	sport, dport := p.SourcePort, p.DestinationPort
	if c.replies.has(sport) && (dport >= firstEphemeral || dport == sport) {
		return detect.Late
	}
	if c.amplifiers.has(dport) {
		if c.reflects(p.Source, sport) {
			return detect.Reflection
		}
		return detect.UDPProbe
	}
	if dport >= firstEphemeral && c.swarming(p) {
		return detect.PeerToPeer
	}
	return detect.UDPProbe
}

// shared says whether a packet to a reached everybody on the wire: such a packet is no knock.
func shared(a netip.Addr) bool {
	if a.Is4() {
		b := a.As4()
		return b[0] >= 224
	}
	return a.IsMulticast()
}

// reflected counts the source ports with which one source asks amplifiers. A scanner keeps one or a few; who forges requests in the name of a
// victim takes many.
type reflected struct {
	source uint32
	ports  uint64
}

func (c *Classifier) reflects(source netip.Addr, port uint16) bool {
	h := mix(source, 0)
	e := &c.reflected[h&(reflectedEntries-1)]
	if tag := uint32(h>>32) | 1; e.source != tag {
		*e = reflected{source: tag}
	}
	e.ports |= 1 << (uint64(port) * 0x9e3779b97f4a7c15 >> 58)
	return bits.OnesCount64(e.ports) >= reflectedPorts
}

// swarm counts the sources that send to one high UDP port of one address: after somebody of ours left a file-sharing swarm it goes on knocking.
type swarm struct {
	target  uint32
	since   uint32
	sources uint64
}

func (c *Classifier) swarming(p *capture.Packet) bool {
	h := mix(p.Destination, uint64(p.DestinationPort))
	e := &c.swarms[h&(swarmEntries-1)]
	now := uint32(p.Time.Unix())
	if tag := uint32(h>>32) | 1; e.target != tag || now-e.since > swarmLife {
		*e = swarm{target: tag, since: now}
	}
	e.sources |= 1 << (mix(p.Source, 1) >> 58)
	return bits.OnesCount64(e.sources) >= swarmSources
}

// mix hashes an address; it labels only, so that nothing is won by steering it.
func mix(a netip.Addr, salt uint64) uint64 {
	b := a.As16()
	hi, lo := bits.Mul64(binary.BigEndian.Uint64(b[:8])^0xa0761d6478bd642f^salt, binary.BigEndian.Uint64(b[8:])^0xe7037ed1a0b428db)
	h := (hi ^ lo) * 0x9e3779b97f4a7c15
	return h ^ h>>29
}
