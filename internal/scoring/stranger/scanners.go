package stranger

import (
	"net/netip"
	"time"

	"pfwarden/capture"
)

// common are ports that scanners and bots of recent years ask for, roughly the most wanted first.
var common = []uint16{
	23, 22, 80, 443, 3389, 445, 8080, 2323, 1433, 3306, 5555, 6379, 8443, 5060, 7547, 37215, 81, 8000, 8888, 2375, 9200, 27017, 5900, 21, 25,
	110, 143, 1723, 5432, 8728, 8291, 11211, 52869, 2222, 139, 135, 161, 389, 636, 873, 993, 995, 1080, 1883, 2082, 3128, 4444, 5000, 5432, 5984,
	6443, 7001, 8008, 8081, 8090, 8181, 8545, 8649, 8834, 9000, 9001, 9042, 9090, 9100, 9443, 10000, 10250, 15672, 27018, 32764, 49152, 50070,
}

const hour = time.Hour

// scanners are the classes that are wanted for their blocked packets.
func scanners() []class {
	return []class{
		{"vert_fast", true, 20, (*gen).vertFast},
		{"horiz_fast", true, 60, (*gen).horizFast},
		{"mixed", true, 30, (*gen).mixed},
		{"vert_slow", true, 20, (*gen).vertSlow},
		{"horiz_slow", true, 30, (*gen).horizSlow},
		{"bots", true, 250, (*gen).bots},
		{"spread24", true, 8, (*gen).spread24},
		{"v6_iid", true, 8, (*gen).v6IID},
		{"v6_nets", true, 4, (*gen).v6Nets},
		{"dual", true, 10, (*gen).dual},
		{"stealth", true, 25, (*gen).stealth},
		// What the design only labels: no ban is wanted.
		{"udp_scan", false, 12, (*gen).udpScan},
		{"ack_scan", false, 12, (*gen).ackScan},
		{"ping_sweep", false, 12, (*gen).pingSweep},
	}
}

// vertFast: many ports of one machine within minutes.
func (g *gen) vertFast() {
	a := g.label(g.public())
	s := g.nmap(a)
	if g.chance(.3) {
		s = g.client(a) // a connect scan
	}
	dst, gap := g.host(a), g.lasting(2*time.Millisecond, 60*time.Millisecond)
	at := g.within(hour)
	for _, port := range g.ports(g.between(60, 600)) {
		s.knock(at, dst, port)
		at += gap
	}
}

// ports draws n ports: those scanners like first, then any.
func (g *gen) ports(n int) []uint16 {
	seen := map[uint16]bool{}
	var out []uint16
	for len(out) < n {
		p := common[g.r.IntN(len(common))]
		if g.chance(.5) || len(out) > len(common)/2 {
			p = uint16(g.between(1, 65535))
		}
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	return out
}

// wanted draws n ports that scanners like, the most wanted more often.
func (g *gen) wanted(n int) []uint16 { return sample(g, n, common[:g.between(max(n, 8), len(common))]) }

// doors are all pairs of addresses and ports, in random order.
func (g *gen) doors(hosts []netip.Addr, ports []uint16) []netip.AddrPort {
	var out []netip.AddrPort
	for _, h := range hosts {
		for _, p := range ports {
			out = append(out, netip.AddrPortFrom(h, p))
		}
	}
	g.r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// walk knocks on the doors one after the other within about the time, with pauses.
func (g *gen) walk(s *sender, doors []netip.AddrPort, over time.Duration, pauses int) {
	pause := map[int]time.Duration{}
	var paused time.Duration
	for range pauses {
		d := g.lasting(hour, 4*hour)
		pause[g.r.IntN(len(doors))] = d
		paused += d
	}
	gap := over / time.Duration(len(doors))
	at := g.within(over + paused)
	for i, d := range doors {
		at += pause[i]
		s.knock(at, d.Addr(), d.Port())
		at += g.lasting(gap/2, gap*3/2)
	}
}

// horizFast: one to three ports over all our addresses, as Internet-wide scans come by.
func (g *gen) horizFast() {
	a := g.label(g.public())
	g.walk(g.scanner(a), g.doors(g.v4, g.wanted(g.between(1, 3))), g.lasting(20*time.Second, 2*hour), 0)
}

// mixed: several ports on several machines, in no order.
func (g *gen) mixed() {
	a := g.label(g.public())
	doors := g.doors(g.v4, g.wanted(g.between(5, 20)))
	g.walk(g.scanner(a), doors[:min(len(doors), g.between(20, 300))], g.lasting(2*time.Minute, 6*hour), g.between(0, 1))
}

// vertSlow: one machine, minutes between the ports, hours of rest.
func (g *gen) vertSlow() {
	a := g.label(g.public())
	n := g.between(15, 60)
	g.walk(g.scanner(a), g.doors([]netip.Addr{g.host(a)}, g.ports(n)), time.Duration(n)*g.lasting(3*time.Minute, 14*time.Minute), g.between(0, 2))
}

// horizSlow: one port, minutes between the machines. With one machine it comes back every hour or two.
func (g *gen) horizSlow() {
	a := g.label(g.public())
	s := g.scanner(a)
	doors := g.doors(g.v4, g.wanted(1))
	switch {
	case len(g.v4) == 1:
		n := g.between(8, 18)
		for range n - 1 {
			doors = append(doors, doors[0])
		}
		g.walk(s, doors, time.Duration(n)*g.lasting(50*time.Minute, 75*time.Minute), 0)
	default:
		doors = doors[:min(len(doors), g.between(15, 100))]
		g.walk(s, doors, time.Duration(len(doors))*g.lasting(3*time.Minute, 12*time.Minute), g.between(0, 1))
	}
}

// families are the ports that one kind of bot asks for.
var families = [][]uint16{
	{23, 2323}, {23, 2323, 7547, 5555}, {37215, 52869, 23}, {22, 2222}, {445, 139}, {3389, 3388}, {6379, 2375, 2376}, {80, 81, 8080, 8443}, {1433, 3306}, {5555, 5037},
}

// bots: a few probes an hour, all day, at whatever comes; they restart, and are silent meanwhile.
func (g *gen) bots() {
	a := g.label(g.public())
	kind := g.r.IntN(len(families))
	s := g.raw(a)
	switch {
	case kind < 3 && g.chance(.7):
		s = g.mirai(a)
	case g.chance(.4):
		s = g.client(a)
	}
	n := g.between(8, 30) * g.o.Days
	gap := g.span / time.Duration(n+1)
	restart, rest := -1, time.Duration(0)
	if g.chance(.4) {
		restart, rest = g.r.IntN(n), g.lasting(2*hour, 6*hour)
	}
	at := g.lasting(0, gap)
	for i := range n {
		if i == restart {
			at += rest
		}
		s.knock(at, g.host(a), pick(g, families[kind]...))
		at += g.lasting(gap/3, gap*4/3)
	}
}

// spread24: a /24 whose members share the work: three probes each.
func (g *gen) spread24() {
	members := g.net24(40)
	ports := g.wanted(g.between(3, 6))
	over := g.lasting(hour, 5*hour)
	from := g.within(over)
	repeats := []time.Duration{time.Second}[:g.between(0, 1)]
	for _, m := range members {
		s := g.zmap(g.label(m))
		s.repeats = repeats
		doors := g.doors(sample(g, 8, g.v4), ports)
		for _, d := range doors[:3] {
			s.knock(from+g.lasting(0, over), d.Addr(), d.Port())
		}
	}
}

// v6IID: one /64, a new address for every probe or every few.
func (g *gen) v6IID() {
	base, subnet := g.net48(), g.between(0, 65535)
	doors := g.doors(sample(g, 40, g.v6), g.wanted(g.between(3, 10)))
	doors = doors[:min(len(doors), g.between(20, 120))]
	over := g.lasting(5*time.Minute, 5*hour)
	from, each := g.within(over), g.between(1, 4)
	var s *sender
	for i, d := range doors {
		if i%each == 0 {
			s = g.zmap(g.label(g.in48(base, subnet)))
		}
		s.knock(from+over*time.Duration(i)/time.Duration(len(doors)), d.Addr(), d.Port())
	}
}

// v6Nets: a /48 whose owner takes another /64 after a few probes.
func (g *gen) v6Nets() {
	base := g.net48()
	ports := g.wanted(g.between(3, 6))
	over := g.lasting(hour, 5*hour)
	from, nets := g.within(over), g.between(16, 40)
	for i := range nets {
		s := g.zmap(g.label(g.in48(base, i*g.between(1, 3))))
		doors := g.doors(sample(g, 8, g.v6), ports)
		at := from + over*time.Duration(i)/time.Duration(nets)
		for _, d := range doors[:min(len(doors), g.between(3, 6))] {
			s.knock(at, d.Addr(), d.Port())
			at += g.lasting(time.Second, time.Minute)
		}
	}
}

// dual: the same scan over both families.
func (g *gen) dual() {
	ports, over := g.wanted(g.between(4, 12)), g.lasting(2*time.Minute, hour)
	for _, a := range []netip.Addr{g.public(), g.public6()} {
		g.label(a)
		doors := g.doors(g.hosts(a), ports)
		g.walk(g.scanner(a), doors[:min(len(doors), 60)], over, 0)
	}
}

// stealth: probes without SYN, to get past simple filters.
func (g *gen) stealth() {
	a := g.label(g.public())
	s := g.nmap(a)
	s.flags = pick[uint8](g, capture.FlagFIN, 0, capture.FlagFIN|capture.FlagPSH|capture.FlagURG, capture.FlagSYN|capture.FlagFIN)
	doors := g.doors([]netip.Addr{g.host(a)}, g.ports(g.between(30, 200)))
	if g.chance(.4) && len(g.v4) > 1 {
		doors = g.doors(g.v4, g.wanted(g.between(4, 8)))
	}
	g.walk(s, doors, g.lasting(time.Minute, 2*hour), 0)
}

// udpScan: nmap -sU, or a sweep for amplifiers by somebody who uses an own address.
func (g *gen) udpScan() {
	a := g.label(g.public())
	s := g.nmap(a)
	ports := g.ports(g.between(30, 200))
	hosts := []netip.Addr{g.host(a)}
	if g.chance(.4) {
		hosts, ports = g.v4, sample(g, 2, []uint16{53, 123, 161, 389, 1900, 5060, 11211, 69, 137, 500})
	}
	at := g.within(hour)
	for _, d := range g.doors(hosts, ports) {
		s.udp(at, d.Addr(), s.sport(), d.Port(), g.between(0, 40))
		at += g.lasting(50*time.Millisecond, 2*time.Second)
	}
}

// ackScan: nmap -sA, -sW and -sM, which look like late packets, and are not told from them.
func (g *gen) ackScan() {
	a := g.label(g.public())
	s := g.nmap(a)
	s.flags = pick[uint8](g, capture.FlagACK, capture.FlagFIN|capture.FlagACK)
	g.walk(s, g.doors([]netip.Addr{g.host(a)}, g.ports(g.between(30, 300))), g.lasting(time.Minute, hour), 0)
}

// pingSweep: echo requests to all of us, once or again and again.
func (g *gen) pingSweep() {
	a := g.label(g.public())
	s := g.client(a)
	for range g.between(1, 3) {
		at := g.within(hour)
		for _, h := range g.v4 {
			s.echo(at, h)
			at += g.lasting(time.Millisecond, time.Second)
		}
	}
}
