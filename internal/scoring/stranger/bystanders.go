package stranger

import (
	"net/netip"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog/pflogwrite"
)

// bystanders are the classes of must-not sources that run by themselves.
func bystanders() []class {
	return []class{
		{"retrier", false, 60, (*gen).retrier},
		{"p2p", false, 12, (*gen).p2p},
		{"monitor", false, 25, (*gen).monitor},
		{"monitor_fleet", false, 3, (*gen).monitorFleet},
		{"monitor_login", false, 10, (*gen).monitorLogin},
		{"traceroute", false, 25, (*gen).traceroute},
		{"vpn", false, 30, (*gen).vpn},
		{"noise", false, 15, (*gen).noise},
		{"mtu", false, 20, (*gen).mtu},
		{"crawler", false, 20, (*gen).crawler},
		{"balancer", false, 6, (*gen).balancer},
		{"resolver", false, 60, (*gen).resolver},
		{"greylisted", false, 15, (*gen).greylisted},
		{"ident", false, 20, (*gen).ident},
		{"pf_drops", false, 20, (*gen).pfDrops},
		{"lan_client", false, 10, (*gen).lanClient},
	}
}

// retrier: wants one service that is gone, and does not give up, for days.
func (g *gen) retrier() {
	a := g.label(g.anyFamily())
	s := g.client(a)
	port := pick[uint16](g, 25, 25, 25, 443, 80, 8080, 22, 993, 5222, 8883, 1194)
	hosts := sample(g, pick(g, 1, 1, 1, 2), g.hosts(a))
	gap := g.lasting(time.Minute, 40*time.Minute)
	for at := g.lasting(0, gap); at < g.span; at += g.lasting(gap/2, gap*3/2) {
		for _, dst := range hosts {
			s.knock(at, dst, port)
		}
	}
}

// p2p: a swarm remembers an address of ours, at one port, TCP and UDP, IPv4 and IPv6.
func (g *gen) p2p() {
	port := uint16(g.between(6881, 60000))
	i := g.r.IntN(len(g.v4))
	over := g.lasting(3*hour, 20*hour)
	from := g.within(over)
	for range g.between(40, 200) {
		a := g.label(g.anyFamily())
		s, dst := g.client(a), g.v4[i]
		if !a.Is4() {
			dst = g.v6[i]
		}
		tcp, udp := g.chance(.6), g.chance(.7)
		sport := pick(g, port, uint16(g.between(1024, 65535)))
		for range g.between(1, 6) {
			at := from + g.lasting(0, over)
			if tcp {
				s.knock(at, dst, port)
			}
			if udp || !tcp {
				s.udp(at, dst, sport, port, g.between(20, 120))
				if g.chance(.3) {
					s.udp(at+time.Second, dst, sport, port+1, 20)
				}
			}
		}
	}
}

// monitor: asks every few minutes whether three to five services are up that are not, with an echo request beside.
func (g *gen) monitor() {
	a := g.label(g.anyFamily())
	g.watch(a, g.watched(a))
}

// monitorFleet: a service asks from twenty or more machines of one network in turn.
func (g *gen) monitorFleet() {
	nodes := g.net24(g.between(15, 40))
	doors := g.watched(nodes[0])
	for _, a := range nodes {
		g.watch(g.label(a), doors)
	}
}

// watched draws three to five doors that somebody has a service watch.
func (g *gen) watched(a netip.Addr) []netip.AddrPort {
	return sample(g, g.between(3, 5), g.doors(sample(g, 3, g.hosts(a)), []uint16{80, 443, 25, 587, 993, 143, 110, 21, 8080, 8443, 22, 5432}))
}

func (g *gen) watch(a netip.Addr, doors []netip.AddrPort) {
	s := g.client(a)
	gap := pick(g, time.Minute, 5*time.Minute, 15*time.Minute)
	ping := g.chance(.5)
	for at := g.lasting(0, gap); at < g.span; at += gap {
		for i, d := range doors {
			s.knock(at+time.Duration(i)*100*time.Millisecond, d.Addr(), d.Port())
			if ping {
				s.echo(at, d.Addr())
			}
		}
	}
}

// monitorLogin: connects to services that are up, and closes at once: sshd and Dovecot log that, every time.
func (g *gen) monitorLogin() {
	a := g.label(g.public())
	gap := pick(g, 30*time.Second, time.Minute, 5*time.Minute)
	what := g.between(0, 3)
	for at := g.within(2 * hour); at < g.span; at += gap {
		port, pid := g.ephemeral(), g.between(2000, 60000)
		switch what {
		case 0:
			g.write(authLog, at, a, "sshd[%d]: Connection closed by %s port %d [preauth]", pid, a, port)
		case 1:
			g.write(authLog, at, a, "sshd[%d]: Did not receive identification string from %s port %d", pid, a, port)
		case 2:
			g.write(mailLog, at, a, "dovecot: imap-login: Disconnected (no auth attempts in 0 secs): user=<>, rip=%s, lip=%s, TLS handshaking: Connection closed, session=<%x>", a, g.ssh, g.r.Uint64())
		default:
			g.write(mailLog, at, a, "postfix/smtpd[%d]: connect from monitor.example.net[%s]", pid, a)
			g.write(mailLog, at, a, "postfix/smtpd[%d]: lost connection after CONNECT from monitor.example.net[%s]", pid, a)
			g.write(mailLog, at, a, "postfix/smtpd[%d]: disconnect from monitor.example.net[%s] commands=0/0", pid, a)
		}
	}
}

// traceroute: by UDP, by echo request or by SYN, to one or two of us.
func (g *gen) traceroute() {
	a := g.label(g.anyFamily())
	s := g.client(a)
	kind := g.between(0, 2)
	for range g.between(1, 2) {
		at, dst := g.within(hour), g.host(a)
		port := uint16(33434)
		for ttl := range g.between(8, 30) {
			s.ttl = uint8(ttl/3 + 1)
			switch kind {
			case 0:
				s.udp(at, dst, g.ephemeral(), port, 32)
				port++
			case 1:
				s.echo(at, dst)
			default:
				s.segment(at, dst, g.ephemeral(), pick[uint16](g, 80, 443), capture.FlagSYN, g.r.Uint32(), 0, nil)
			}
			at += g.lasting(50*time.Millisecond, 5*time.Second)
		}
	}
}

// vpn: a client whose gateway is gone tries on.
func (g *gen) vpn() {
	a := g.label(g.anyFamily())
	s, dst := g.client(a), g.host(a)
	kind := g.between(0, 3)
	wait := 2 * time.Second
	for at, n := g.within(4*hour), 0; at < g.span && n < 150; n++ {
		switch kind {
		case 0:
			s.udp(at, dst, 500, 500, 300)
			s.udp(at+time.Second, dst, 4500, 4500, 300)
		case 1:
			s.udp(at, dst, g.ephemeral(), 1194, 42)
			s.knock(at, dst, 1194)
		case 2:
			s.udp(at, dst, 51820, 51820, 148)
		default: // ESP without a port
			g.block(at, a, pflogwrite.Raw(pflogwrite.IP{Source: a, Destination: dst, Protocol: 50}, make([]byte, 80)))
			s.udp(at, dst, 500, 500, 300)
		}
		at += wait
		wait = min(wait*2, 5*time.Minute)
	}
}

// noise: what a provider's segment is full of: DHCP, discovery, name services, multicast routing.
func (g *gen) noise() {
	var a, dst netip.Addr
	var sport, dport uint16
	switch g.between(0, 4) {
	case 0:
		a, dst, sport, dport = netip.AddrFrom4([4]byte{10, byte(g.r.Uint32()), 0, 1}), netip.MustParseAddr("255.255.255.255"), 67, 68
	case 1:
		a, dst, sport, dport = g.public(), netip.MustParseAddr("224.0.0.251"), 5353, 5353
	case 2:
		a, dst, sport, dport = netip.AddrFrom4([4]byte{100, 64, byte(g.r.Uint32()), byte(g.r.Uint32())}), netip.MustParseAddr("203.0.113.255"), 138, 138
	case 3:
		a, dst, sport, dport = g.public(), netip.MustParseAddr("239.255.255.250"), g.ephemeral(), 1900
	default:
		a = g.public()
		dst, sport, dport = g.host(a), 123, 123
	}
	s := g.client(g.label(a))
	gap := g.lasting(30*time.Second, 10*time.Minute)
	for at := g.lasting(0, gap); at < g.span; at += gap {
		s.udp(at, dst, sport, dport, 64)
	}
}

// mtu: a router on the way says that a packet was too large, or a peer probes the path with data again and again.
func (g *gen) mtu() {
	a := g.label(g.anyFamily())
	s, dst := g.client(a), g.host(a)
	at := g.within(hour)
	for range g.between(5, 40) {
		inner := pflogwrite.TCPPacket(pflogwrite.IP{Source: dst, Destination: a}, pflogwrite.TCP{SourcePort: 443, DestinationPort: g.ephemeral(), Flags: capture.FlagACK})
		if dst.Is4() {
			s.icmp(at, dst, 3, 4, inner)
		} else {
			s.icmp(at, dst, 2, 0, inner)
		}
		s.segment(at, dst, g.ephemeral(), 443, capture.FlagACK, g.r.Uint32(), g.r.Uint32(), make([]byte, 1000))
		at += g.lasting(time.Second, time.Minute)
	}
}

// crawler: a search engine asks for pages that are gone, and for machines that never served any.
func (g *gen) crawler() {
	a := g.label(g.anyFamily())
	s := g.client(a)
	for _, dst := range sample(g, g.between(1, 3), g.hosts(a)) {
		for _, port := range []uint16{80, 443} {
			s.knock(g.within(hour), dst, port)
		}
	}
	at := g.within(hour)
	for range g.between(20, 120) {
		path := pick(g, "/robots.txt", "/", "/old/page", "/news/", "/images/logo.png", "/sitemap.xml") + pick(g, "", "?p=7", "a.html", "b.html")
		g.get(at, a, path, pick(g, 200, 200, 301, 404), "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
		at += g.lasting(5*time.Second, time.Minute)
	}
}

// balancer: health checks of back ends that are down, every few seconds.
func (g *gen) balancer() {
	a := g.label(g.public())
	s := g.client(a)
	doors := g.doors(sample(g, g.between(1, 3), g.v4), []uint16{pick[uint16](g, 80, 443, 8080)})
	from := g.within(2 * hour)
	for at := from; at < from+2*hour; at += 10 * time.Second {
		for _, d := range doors {
			s.knock(at, d.Addr(), d.Port())
		}
	}
}

// resolver: somebody's DNS server believes that two of us serve a zone; asks from a new port each time, sometimes by TCP.
func (g *gen) resolver() {
	a := g.label(g.anyFamily())
	s := g.client(a)
	for range g.between(2, 30) {
		at := g.within(time.Minute)
		for _, dst := range g.hosts(a)[:min(2, len(g.v4))] {
			s.udp(at, dst, uint16(g.between(1024, 65535)), 53, g.between(30, 60))
			if g.chance(.2) {
				s.knock(at+2*time.Second, dst, 53)
			}
		}
	}
}

// greylisted: a mail server that is told to come again, for each of its recipients, and then delivers.
func (g *gen) greylisted() {
	a := g.label(g.anyFamily())
	at := g.within(hour)
	for range g.between(1, 4) {
		pid := g.between(2000, 60000)
		g.write(mailLog, at, a, "postfix/smtpd[%d]: connect from mail.example.net[%s]", pid, a)
		for i := range g.between(1, 6) {
			g.write(mailLog, at+time.Duration(i)*100*time.Millisecond, a, "postfix/smtpd[%d]: NOQUEUE: reject: RCPT from mail.example.net[%s]: 450 4.2.0 <%s@example.org>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/example.org.html; from=<list@example.net> to=<%s@example.org> proto=ESMTP helo=<mail.example.net>", pid, a, people[i], people[i])
		}
		g.write(mailLog, at+time.Second, a, "postfix/smtpd[%d]: disconnect from mail.example.net[%s] ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4", pid, a)
		at += g.lasting(90*time.Second, 10*time.Minute)
	}
}

// ident: servers that we connected to ask who we are, and mail servers call back.
func (g *gen) ident() {
	a := g.label(g.public())
	s, dst := g.client(a), g.host(a)
	for range g.between(1, 8) {
		at := g.within(hour)
		if g.chance(.7) {
			g.contact(at, a)
		}
		s.knock(at+time.Second, dst, pick[uint16](g, 113, 113, 25))
	}
}

// pfDrops: honest SYNs that PF itself dropped, for want of memory or at a limit of states.
func (g *gen) pfDrops() {
	a := g.label(g.public())
	at := g.within(hour)
	reason := pick[capture.Reason](g, 5, 7, 12, 13) // memory, congestion, state-limit, src-limit on every system
	for range g.between(8, 30) {
		ip := pflogwrite.TCPPacket(pflogwrite.IP{Source: a, Destination: g.host(a), TTL: 51}, pflogwrite.TCP{SourcePort: g.ephemeral(), DestinationPort: pick[uint16](g, 80, 443, 25, 22), Flags: capture.FlagSYN, Seq: g.r.Uint32()})
		g.log(packet{at: at, ip: ip, iface: outside, action: capture.ActionBlock, reason: reason, dir: capture.In}, a)
		at += g.lasting(time.Second, time.Minute)
	}
}

// lanClient: one of our own machines runs into a rule against outgoing connections, inside or on the way out.
func (g *gen) lanClient() {
	a := g.label(netip.AddrFrom4([4]byte{10, 20, byte(g.between(0, 200)), byte(g.between(2, 250))}))
	dir, iface := capture.In, inside
	if g.chance(.5) {
		dir, iface = capture.Out, outside
	}
	at := g.within(3 * hour)
	for range g.between(10, 80) {
		ip := pflogwrite.TCPPacket(pflogwrite.IP{Source: a, Destination: g.public(), TTL: 64}, pflogwrite.TCP{SourcePort: g.ephemeral(), DestinationPort: pick[uint16](g, 25, 6667, 6881, 4444, 8333), Flags: capture.FlagSYN, Seq: g.r.Uint32()})
		g.log(packet{at: at, ip: ip, iface: iface, action: capture.ActionBlock, dir: dir}, a)
		at += g.lasting(time.Second, 3*time.Minute)
	}
}
