package stranger

import (
	"net/netip"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog/pflogwrite"
)

// answers are the classes of must-not sources that send answers: to us, or to somebody who wrote our address into a packet.
func answers() []class {
	return []class{
		{"backscatter", false, 60, (*gen).backscatter},
		{"icmp_errors", false, 80, (*gen).icmpErrors},
		{"late_tcp", false, 250, (*gen).lateTCP},
		{"late_udp", false, 120, (*gen).lateUDP},
		{"reflection", false, 30, (*gen).reflection},
		{"ftp_data", false, 12, (*gen).ftpData},
		{"framed", false, 40, (*gen).framed},
		{"framed_login", false, 8, (*gen).framedLogin},
		{"framed_bare", false, 3, (*gen).framedBare},
	}
}

// backscatter: the victim of a flood with forged sources answers us among others.
func (g *gen) backscatter() {
	a := g.label(g.anyFamily())
	s := g.client(a)
	port := pick[uint16](g, 80, 443, 22, 25, 53, 6667, 25565, 30120, g.ephemeral())
	flags := pick[uint8](g, capture.FlagSYN|capture.FlagACK, capture.FlagRST, capture.FlagRST|capture.FlagACK)
	over := g.lasting(time.Minute, 10*hour)
	from, again := g.within(over), g.chance(.5)
	for range g.between(20, 300) {
		at, dst, dport := from+g.lasting(0, over), g.host(a), uint16(g.between(1, 65535))
		if g.chance(.1) { // the flood was stopped upstream meanwhile
			s.icmp(at, dst, 3, 13, pflogwrite.TCPPacket(pflogwrite.IP{Source: dst, Destination: a}, pflogwrite.TCP{SourcePort: dport, DestinationPort: port, Flags: capture.FlagSYN}))
			continue
		}
		seq, ack := g.r.Uint32(), g.r.Uint32()
		s.segment(at, dst, port, dport, flags, seq, ack, nil)
		if again && flags&capture.FlagSYN != 0 { // a SYN-ACK that nobody acknowledged comes again
			s.segment(at+time.Second, dst, port, dport, flags, seq, ack, nil)
			s.segment(at+3*time.Second, dst, port, dport, flags, seq, ack, nil)
		}
	}
}

// icmpErrors: routers and hosts say what they could not deliver, and what was too large.
func (g *gen) icmpErrors() {
	a := g.label(g.anyFamily())
	s := g.client(a)
	at := g.within(hour)
	for range g.between(3, 60) {
		dst := g.host(a)
		inner := pflogwrite.UDPPacket(pflogwrite.IP{Source: dst, Destination: a}, g.ephemeral(), 53, nil)
		kind, code := pick[uint8](g, 3, 11, 5, 4, 12), uint8(g.between(0, 4))
		if !dst.Is4() {
			kind, code = pick[uint8](g, 1, 2, 3, 4), 0
		}
		s.icmp(at, dst, kind, code, inner)
		at += g.lasting(time.Millisecond, 3*time.Minute)
	}
}

// lateTCP: the other end of connections whose state has gone: data again and again, acknowledgements, ends and resets.
func (g *gen) lateTCP() {
	a := g.label(g.anyFamily())
	s := g.client(a)
	const ack = capture.FlagACK
	ends := []uint8{ack, ack | capture.FlagPSH, ack | capture.FlagFIN, ack | capture.FlagFIN | capture.FlagPSH, capture.FlagRST, ack | capture.FlagRST, ack | capture.FlagECE, ack | capture.FlagPSH | capture.FlagCWR, ack | capture.FlagURG}
	server := g.chance(.5)
	for range g.between(1, 12) { // connections
		dst, sport, dport := g.host(a), g.ephemeral(), pick[uint16](g, 80, 443, 22, 25, 993)
		if server {
			sport, dport = pick[uint16](g, 80, 443, 993, 5222, 8443), g.ephemeral()
		}
		at, wait := g.within(hour), g.lasting(200*time.Millisecond, 2*time.Second)
		flags, seq := pick(g, ends...), g.r.Uint32()
		for range g.between(1, 9) {
			s.segment(at, dst, sport, dport, flags, seq, g.r.Uint32(), make([]byte, g.between(0, 200)))
			at += wait
			wait *= 2
			if g.chance(.2) {
				flags = pick(g, ends...)
			}
		}
	}
}

// lateUDP: answers of servers that came after the state was gone.
func (g *gen) lateUDP() {
	a := g.label(g.anyFamily())
	s := g.client(a)
	port := pick[uint16](g, 53, 53, 123, 443, 443, 443, 3478)
	for range g.between(1, 10) {
		at, dst, dport := g.within(time.Minute), g.host(a), g.ephemeral()
		for range g.between(1, 12) {
			s.udp(at, dst, port, dport, g.between(30, 1200))
			at += g.lasting(time.Millisecond, 4*time.Second)
		}
	}
}

// reflection: somebody asks amplifiers in the name of his victim.
func (g *gen) reflection() {
	a := g.label(g.anyFamily())
	s := g.client(a)
	port := pick[uint16](g, 53, 53, 123, 1900, 11211, 161, 389, 19, 111, 3702)
	one, fixed := g.chance(.3), uint16(g.between(1024, 65535))
	over := g.lasting(time.Minute, 4*hour)
	from := g.within(over)
	for range g.between(40, 400) {
		sport := uint16(g.between(1024, 65535))
		if one {
			sport = fixed
		}
		s.udp(from+g.lasting(0, over), g.host(a), sport, port, g.between(8, 60))
	}
}

// ftpData: active transfers from a server that one of us has logged in to: from port 20 to a new port each.
func (g *gen) ftpData() {
	a := g.label(g.public())
	s := g.client(a)
	s.flags, s.sport = capture.FlagSYN, func() uint16 { return 20 }
	at := g.within(3 * hour)
	g.contact(at, a)
	dst := g.host(a)
	for range g.between(5, 60) {
		at += g.lasting(time.Second, 2*time.Minute)
		s.knock(at, dst, g.ephemeral())
	}
}

// frame forges scans in the name of the address, from the time on, within about twelve hours.
func (g *gen) frame(a netip.Addr, from time.Duration) {
	for range g.between(1, 3) {
		s := g.scanner(a)
		if g.chance(.2) {
			s = g.mirai(a)
		}
		s.ttl = uint8(g.between(30, 240))
		doors := g.doors(g.hosts(a), g.ports(g.between(2, 20)))
		if len(doors) < 15 {
			doors = g.doors(g.hosts(a), g.ports(30))
		}
		doors = doors[:min(len(doors), g.between(15, 200))]
		at, gap := from+g.lasting(0, 4*hour), g.lasting(5*time.Second, hour)/time.Duration(len(doors))
		for _, d := range doors {
			s.knock(at, d.Addr(), d.Port())
			at += gap
		}
	}
}

// framed: a partner whom we connect to now and then.
func (g *gen) framed() {
	a := g.label(g.anyFamily())
	at := g.within(20 * hour)
	g.contact(at, a)
	for range g.between(0, 4) {
		g.contact(at+g.lasting(0, 12*hour), a)
	}
	g.frame(a, at+g.lasting(time.Minute, 14*hour))
}

// framedLogin: somebody who logs in to us, and whom we never connect to.
func (g *gen) framedLogin() {
	a := g.label(g.public())
	at := g.within(20 * hour)
	for i := range g.between(1, 4) {
		g.sshIn(at+time.Duration(i)*hour, a, pick(g, people...), 0)
	}
	g.frame(a, at+g.lasting(5*hour, 12*hour))
}

// framedBare: nothing tells that this is a friend; the design allows a few of them a short while in suspects.
func (g *gen) framedBare() { g.frame(g.label(g.public()), g.within(8*hour)) }
