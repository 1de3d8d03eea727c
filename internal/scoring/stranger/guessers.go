package stranger

import (
	"net/netip"
	"time"
)

// lowGuessing is the class that only guessing.act finds.
const lowGuessing = "guess_low"

// guessers are the classes that are wanted for what servers logged, alone or together with blocked packets.
func guessers() []class {
	return []class{
		{"ssh_fast", true, 30, (*gen).sshFast},
		{"ssh_slow", true, 30, (*gen).sshSlow},
		{"ssh_slower", true, 20, (*gen).sshSlower},
		{"ssh_botnet", true, 2, (*gen).sshBotnet},
		{"ssh_seeker", true, 20, (*gen).sshSeeker},
		{"http_guess", true, 30, (*gen).httpGuess},
		{"http_probe", true, 20, (*gen).httpProbe},
		{"mail_guess", true, 40, (*gen).mailGuess},
		{"half_half", true, 30, (*gen).halfHalf},
		{lowGuessing, true, 2, (*gen).guessLow},
	}
}

// guess writes n failing log-ins, one in about every gap, from the time on.
func (g *gen) guess(at time.Duration, n int, gap time.Duration, fail func(at time.Duration)) {
	for range n {
		fail(at)
		at += g.lasting(gap*4/5, gap*6/5)
	}
}

// sshFast: seconds between passwords, several on a connection.
func (g *gen) sshFast() {
	a := g.label(g.anyFamily())
	g.guess(g.within(hour), g.between(5, 60), g.lasting(time.Second, 8*time.Second), func(at time.Duration) {
		g.sshFail(at, a, pick(g, guessed...), g.chance(.3), g.between(1, 3))
	})
}

// anyFamily draws a source of either family, IPv4 mostly.
func (g *gen) anyFamily() netip.Addr {
	if g.chance(.15) {
		return g.public6()
	}
	return g.public()
}

// sshSlow: a password in one to one and three quarters of a minute, for hours: just fast enough for five in ten minutes.
func (g *gen) sshSlow() {
	a, gap := g.label(g.anyFamily()), g.lasting(time.Minute, 105*time.Second)
	g.guess(g.within(6*hour), g.between(40, 200), gap, func(at time.Duration) { g.sshFail(at, a, pick(g, guessed...), g.chance(.2), 1) })
}

// sshSlower: a password in three to thirty minutes: any count of failures within minutes is blind to it.
func (g *gen) sshSlower() {
	a, gap, names := g.label(g.anyFamily()), g.lasting(3*time.Minute, 30*time.Minute), sample(g, g.between(7, 12), guessed)
	n := min(g.between(30, 100), int(20*hour/gap))
	g.guess(g.within(3*hour), n, gap, func(at time.Duration) { g.sshFail(at, a, pick(g, names...), g.chance(.2), 1) })
}

// sshBotnet: many addresses guess for the same names, each for some minutes.
func (g *gen) sshBotnet() {
	over := g.lasting(2*hour, 8*hour)
	from := g.within(over + hour)
	for range 40 {
		a, user := g.label(g.public()), pick(g, "root", "admin")
		g.guess(from+g.lasting(0, over), g.between(6, 15), g.lasting(10*time.Second, 70*time.Second), func(at time.Duration) { g.sshFail(at, a, user, user == "root", 1) })
	}
}

// sshSeeker: guesses too slowly for the log alone, while it looks for more servers: neither stream is enough by itself at first.
func (g *gen) sshSeeker() {
	a := g.label(g.public())
	s := g.client(a)
	doors := g.doors(sample(g, 6, g.v4), []uint16{22, 2222, 22222, 222, 2022})
	g.walk(s, doors[:min(len(doors), g.between(5, 10))], g.lasting(10*time.Minute, hour), 0)
	last := g.packets[len(g.packets)-1].at
	g.guess(last-10*time.Minute, g.between(20, 60), g.lasting(150*time.Second, 5*time.Minute), func(at time.Duration) { g.sshFail(at, a, pick(g, guessed...), false, 1) })
}

// httpGuess: passwords for a guarded page, fast or slow, at Apache or nginx.
func (g *gen) httpGuess() {
	a := g.label(g.anyFamily())
	gap, nginx := g.lasting(300*time.Millisecond, 5*time.Second), g.chance(.5)
	if g.chance(.4) {
		gap = g.lasting(40*time.Second, 100*time.Second)
	}
	g.guess(g.within(3*hour), g.between(10, 80), gap, func(at time.Duration) {
		if nginx {
			g.nginxFail(at, a, pick(g, guessed...), g.chance(.3))
		} else {
			g.basicFail(at, a, pick(g, guessed...), g.chance(.3))
		}
	})
}

// httpProbe: looks for holes in web applications that are not there.
func (g *gen) httpProbe() {
	a := g.label(g.anyFamily())
	paths := []string{"/.env", "/.git/config", "/wp-login.php", "/xmlrpc.php", "/phpmyadmin/index.php", "/cgi-bin/luci", "/boaform/admin/formLogin", "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
		"/HNAP1/", "/manager/html", "/actuator/env", "/solr/admin/info/system", "/owa/auth/logon.aspx", "/.aws/credentials", "/config.json", "/admin.php", "/shell.php", "/setup.cgi", "/backup.sql", "/server-status"}
	at := g.within(hour)
	for _, p := range sample(g, g.between(10, 20), paths) {
		g.get(at, a, p, 404, "Mozilla/5.0 zgrab/0.x")
		at += g.lasting(200*time.Millisecond, 10*time.Second)
	}
}

// mailGuess: passwords of mailboxes, at Postfix or Dovecot.
func (g *gen) mailGuess() {
	a, imap := g.label(g.anyFamily()), g.chance(.5)
	gap := g.lasting(2*time.Second, 20*time.Second)
	if g.chance(.5) {
		gap = g.lasting(time.Minute, 105*time.Second)
	}
	g.guess(g.within(3*hour), g.between(10, 60), gap, func(at time.Duration) {
		if imap {
			g.imapFail(at, a, pick(g, guessed...)+"@example.org")
		} else {
			g.saslFail(at, a)
		}
	})
}

// halfHalf: a few knocks, then a few passwords; each alone is too little.
func (g *gen) halfHalf() {
	a := g.label(g.public())
	s := g.scanner(a)
	at := g.within(2 * hour)
	n := g.between(4, 6)
	doors := g.doors(g.v4, sample(g, 10, common))
	for _, d := range doors {
		if n > 0 && !g.open[d] {
			s.knock(at, d.Addr(), d.Port())
			at += g.lasting(time.Second, 3*time.Minute)
			n--
		}
	}
	g.guess(at+g.lasting(0, 30*time.Minute), g.between(3, 4), g.lasting(10*time.Second, 100*time.Second), func(at time.Duration) {
		if g.chance(.7) {
			g.sshFail(at, a, pick(g, guessed...), false, 1)
		} else {
			g.basicFail(at, a, pick(g, guessed...), false)
		}
	})
}

// guessLow: hundreds of addresses, three passwords each, for one name.
func (g *gen) guessLow() {
	over := g.lasting(2*hour, 5*hour)
	from := g.within(over + hour)
	for range 60 {
		a := g.label(g.public())
		g.guess(from+g.lasting(0, over), g.between(3, 4), g.lasting(20*time.Second, 100*time.Second), func(at time.Duration) { g.sshFail(at, a, "root", true, 1) })
	}
}
