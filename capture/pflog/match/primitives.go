package match

import (
	"net/netip"

	"pfwarden/capture"
)

// protocol is a protocol word: an IP version, a transport protocol, or the zero value for any.
type protocol struct {
	version uint8
	number  uint8
	fixed   bool // number counts
}

const (
	protocolICMP  = 1
	protocolTCP   = 6
	protocolUDP   = 17
	protocolICMP6 = 58
)

var protocols = map[string]protocol{ // read only
	"ip":    {version: 4},
	"ip6":   {version: 6},
	"tcp":   {number: protocolTCP, fixed: true},
	"udp":   {number: protocolUDP, fixed: true},
	"icmp":  {number: protocolICMP, fixed: true},
	"icmp6": {number: protocolICMP6, fixed: true},
}

func (w protocol) test(p *capture.Packet) bool {
	return (w.version == 0 || w.version == p.IPVersion) &&
		(!w.fixed || w.number == p.Protocol && p.Has&capture.HasProtocol != 0)
}

// ends says which end of a flow has to match.
type ends uint8

const (
	eitherEnd ends = iota
	sourceEnd
	destinationEnd
	bothEnds
)

// joined applies the ends.
func (e ends) joined(source, destination bool) bool {
	switch e {
	case sourceEnd:
		return source
	case destinationEnd:
		return destination
	case bothEnds:
		return source && destination
	}
	return source || destination
}

// flow returns the addresses that the qualifiers speak of, or nil if the packet does not have them.
func (q *qualifiers) flow(p *capture.Packet) *capture.Flow {
	if !q.nat {
		return &p.Flow
	}
	if p.Has&capture.HasTranslated == 0 {
		return nil
	}
	return &p.Translated
}

// addresses matches addresses within a prefix.
func (q qualifiers) addresses(prefix netip.Prefix) Filter {
	if !q.nat && q.protocol == (protocol{}) { // the usual case
		switch q.ends {
		case sourceEnd:
			return func(p *capture.Packet) bool { return prefix.Contains(p.Source) }
		case destinationEnd:
			return func(p *capture.Packet) bool { return prefix.Contains(p.Destination) }
		}
	}
	return func(p *capture.Packet) bool {
		f := q.flow(p)
		return f != nil && q.protocol.test(p) && q.ends.joined(prefix.Contains(f.Source), prefix.Contains(f.Destination))
	}
}

// ports matches ports from low to high.
func (q qualifiers) ports(low, high uint16) Filter {
	within := func(port uint16) bool { return low <= port && port <= high }
	if q.nat {
		return func(p *capture.Packet) bool {
			f := q.flow(p)
			return f != nil && translatedPorts(p) && q.protocol.test(p) && q.ends.joined(within(f.SourcePort), within(f.DestinationPort))
		}
	}
	return func(p *capture.Packet) bool {
		return p.Has&capture.HasPorts != 0 && q.protocol.test(p) && q.ends.joined(within(p.SourcePort), within(p.DestinationPort))
	}
}

// translatedPorts tells whether the port fields of the translated pair are ports: for ICMP they hold an id and a type.
func translatedPorts(p *capture.Packet) bool {
	return p.Protocol != protocolICMP && p.Protocol != protocolICMP6
}
