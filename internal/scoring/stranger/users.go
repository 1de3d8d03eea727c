package stranger

import (
	"net/netip"
	"time"
)

// users are the classes of people: must-not, whatever they do wrong.
func users() []class {
	return []class{
		{"cgnat", false, 40, (*gen).cgnat},
		{"cgnat_pool", false, 3, (*gen).cgnatPool},
		{"crowd24", false, 4, (*gen).crowd24},
		{"browser", false, 60, (*gen).browser},
		{"mistyped", false, 60, (*gen).mistyped},
		{"gave_up", false, 30, (*gen).gaveUp},
		{"old_password", false, 10, (*gen).oldPassword},
		{"old_login", false, 10, (*gen).oldLogin},
		{"office", false, 20, (*gen).office},
	}
}

// honest are ports that people ask for by mistake.
var honest = []uint16{80, 443, 8080, 8443, 21, 993, 465, 587, 110, 143, 8000, 1194, 5222, 10000, 8883, 9443}

// cgnat: hundreds of people behind one address: log-ins that succeed, some typos, some wrong ports, many late packets.
func (g *gen) cgnat() { g.shared(g.label(g.public())) }

// cgnatPool: the same, where a provider shares out a whole /24 to its customers.
func (g *gen) cgnatPool() {
	for _, a := range g.net24(g.between(40, 200)) {
		g.shared(g.label(a))
	}
}

func (g *gen) shared(a netip.Addr) {
	doors := sample(g, g.between(1, 5), g.doors(sample(g, 4, g.v4), honest))
	for _, d := range doors {
		g.client(a).knock(g.within(time.Minute), d.Addr(), d.Port())
		if g.chance(.3) { // once more, from another machine
			g.client(a).knock(g.within(time.Minute), d.Addr(), d.Port())
		}
	}
	for range g.between(0, 6) {
		at, user := g.within(time.Minute), pick(g, people...)
		if g.chance(.5) {
			g.imapIn(at, a, user)
		} else {
			g.sshIn(at, a, user, g.r.IntN(3)/2)
		}
	}
	g.late(a, g.between(10, 60))
}

// late sends so many late packets of connections to our services.
func (g *gen) late(a netip.Addr, n int) {
	for range n {
		s := g.client(a)
		s.segment(g.within(time.Minute), g.host(a), g.ephemeral(), pick[uint16](g, 443, 80, 993), pick[uint8](g, 0x10, 0x11, 0x18, 0x14, 0x04), g.r.Uint32(), g.r.Uint32(), nil)
	}
}

// crowd24: many customers of one provider, neighbours in a /24, whose bookmark leads to a machine that serves no more.
func (g *gen) crowd24() {
	dst := g.host(netip.AddrFrom4([4]byte{}))
	over := g.lasting(hour, 10*hour)
	from := g.within(over)
	ports := []uint16{443, 80, 8080, 8443}[:g.between(1, 4)] // what their browsers try
	for _, a := range g.net24(g.between(15, 60)) {
		s := g.client(g.label(a))
		for range g.between(1, 3) {
			at := from + g.lasting(0, over)
			for i, port := range ports {
				if i == 0 || g.chance(.7) {
					s.knock(at+time.Duration(i)*time.Second, dst, port)
				}
			}
		}
	}
}

// browser: tries 80, 443, 8080 and 8443 of a machine that does not answer, and again later.
func (g *gen) browser() {
	a := g.label(g.anyFamily())
	s, dst := g.client(a), g.host(a)
	for range g.between(1, 4) {
		at := g.within(hour)
		for _, port := range []uint16{443, 80, 8080, 8443}[:g.between(2, 4)] {
			s.knock(at, dst, port)
			at += g.lasting(100*time.Millisecond, 20*time.Second)
		}
	}
}

// mistyped: one to four wrong passwords, then the right one.
func (g *gen) mistyped() {
	a := g.label(g.anyFamily())
	at, user, n := g.within(hour), pick(g, people...), g.between(1, 4)
	switch g.between(0, 3) {
	case 0:
		g.sshIn(at, a, user, min(n, 3))
	case 1:
		g.sshFail(at, a, user, true, min(n, 3))
		g.sshIn(at+g.lasting(20*time.Second, 5*time.Minute), a, user, 0)
	case 2:
		for range n {
			g.imapFail(at, a, user+"@example.org")
			at += g.lasting(5*time.Second, 40*time.Second)
		}
		g.imapIn(at, a, user+"@example.org")
	default:
		for range n {
			g.basicFail(at, a, user, true)
			at += g.lasting(3*time.Second, 40*time.Second)
		}
		g.get(at, a, "/intern/", 200, "Mozilla/5.0")
	}
}

// gaveUp: two or three wrong passwords, or a wrong name, and no more.
func (g *gen) gaveUp() {
	a := g.label(g.anyFamily())
	at := g.within(hour)
	if g.chance(.6) {
		g.sshFail(at, a, pick(g, people...), g.chance(.6), g.between(2, 3))
		return
	}
	for range g.between(2, 3) {
		g.nginxFail(at, a, pick(g, people...), true)
		at += g.lasting(3*time.Second, 30*time.Second)
	}
}

// oldPassword: a mail program with an old password tries on, every few minutes, all day.
func (g *gen) oldPassword() {
	a, user, gap := g.label(g.public()), pick(g, people...)+"@example.org", g.lasting(4*time.Minute, 15*time.Minute)
	for at := g.within(8 * hour); at < g.span; at += gap {
		g.imapFail(at, a, user)
	}
}

// oldLogin: the same of a program that logs in by ssh, under one person's name.
func (g *gen) oldLogin() {
	a, user, gap := g.label(g.public()), pick(g, people...), g.lasting(4*time.Minute, 30*time.Minute)
	for at := g.within(8 * hour); at < g.span; at += gap {
		g.sshFail(at, a, user, true, 1)
	}
}

// office: everybody of one address mistypes the password once on a working day, and then logs in.
func (g *gen) office() {
	a, from := g.label(g.anyFamily()), g.within(12*hour)
	for _, user := range people {
		g.sshIn(from+g.lasting(0, 9*hour), a, user, 1)
	}
}
