package simulate

import (
	"fmt"
	"net/netip"
	"time"

	"pfwarden/capture"
)

// names are user names that guessers try; mistyping users have names of their own.
var names = []string{"root", "admin", "test", "oracle", "ubuntu", "postgres", "git", "pi", "user", "ftpuser", "deploy", "hadoop"}

// servers behind the gateway: sshd on the first address, httpd on the second where there is one.
func (w *world) sshd() netip.Addr  { return w.places.host(0) }
func (w *world) httpd() netip.Addr { return w.places.host(1) }

// tryPassword is one connection to sshd with one wrong password: three lines, of which one is the failure.
func (s *sender) tryPassword(at int64, user string) {
	from := s.connects(at, s.w.sshd(), 22)
	pid := 20000 + s.random.n(60000)
	known := user == "root"
	e := &s.w.out
	if known {
		e.auth(at, pid, fmt.Sprintf("Failed password for root from %s port %d ssh2", s.address, from))
		e.auth(at, pid, fmt.Sprintf("Connection closed by authenticating user root %s port %d [preauth]", s.address, from))
		return
	}
	e.auth(at, pid, fmt.Sprintf("Invalid user %s from %s port %d", user, s.address, from))
	e.auth(at, pid, fmt.Sprintf("Failed password for invalid user %s from %s port %d ssh2", user, s.address, from))
	e.auth(at, pid, fmt.Sprintf("Connection closed by invalid user %s %s port %d [preauth]", user, s.address, from))
}

// tryPage is one request with a wrong password.
func (s *sender) tryPage(at int64, user string) {
	from := s.connects(at, s.w.httpd(), 80)
	client := netip.AddrPortFrom(s.address, from).String()
	if s.random.chance(.4) {
		s.w.out.httpd(at, client, fmt.Sprintf("AH01618: user %s not found: /private/", user))
		return
	}
	s.w.out.httpd(at, client, fmt.Sprintf(`AH01617: user %s: authentication failure for "/private/": Password Mismatch`, user))
}

func (s *sender) try(at int64, web bool, user string) {
	if web {
		s.tryPage(at, user)
	} else {
		s.tryPassword(at, user)
	}
}

func bruteFast(w *world, n int) {
	for range n {
		s := w.sender()
		web, gap := s.random.chance(.4), s.random.span(500*time.Millisecond, 5*time.Second)
		w.repeat(s.anytime(10*time.Minute), s.random.from(20, 100), func(at int64, _ int) { s.try(at, web, pick(&s.random, names)) },
			func() int64 { return s.random.exponential(time.Duration(gap)) })
	}
}

func bruteSlow(w *world, n int) {
	for range n {
		s := w.sender()
		web, gap := s.random.chance(.4), s.random.span(60*time.Second, 115*time.Second)
		w.repeat(s.anytime(30*time.Minute), s.random.from(20, 60), func(at int64, _ int) { s.try(at, web, pick(&s.random, names)) },
			func() int64 { return s.random.span(time.Duration(gap)*9/10, time.Duration(gap)*11/10) })
	}
}

const guessers = 30 // of one user name

// group gives the user name and the time that the members of one guessing net share.
func (w *world) group(i int) (user string, from int64) {
	together := newRandom(w.o.Seed, w.class.Name+" group", uint64(i/guessers))
	return pick(&together, names), w.start + int64(together.float()*float64(max(w.end-w.start-int64(6*time.Hour), 0)))
}

func bruteDistributed(w *world, n int) {
	doors := []uint16{22, 2222, 222, 22222, 2022, 10022}
	for i := range n {
		user, from := w.group(i)
		s := w.sender()
		const knocks = 5
		ports := some(&s.random, doors[1:], knocks)
		w.repeat(from+s.random.span(0, 5*time.Hour), knocks+4, func(at int64, i int) {
			if i < knocks {
				s.syn(at, s.host(), ports[i])
				return
			}
			s.tryPassword(at, user)
		}, func() int64 { return s.random.span(5*time.Second, 90*time.Second) })
	}
}

func bruteOnly(w *world, n int) {
	for i := range n {
		user, from := w.group(i)
		s := w.sender()
		w.repeat(from+s.random.span(0, 5*time.Hour), 3, func(at int64, _ int) { s.tryPassword(at, user) },
			func() int64 { return s.random.span(20*time.Second, 2*time.Minute) })
	}
}

// mistyped: passwords are mistyped, and typed right in the end.
func mistyped(w *world, n int) {
	for i := range n {
		s := w.sender()
		user := fmt.Sprintf("user%03d", i)
		web := s.random.chance(.3)
		sessions := s.random.from(1, 3)
		wrong, session := s.random.from(1, 3), 0
		w.begins(s.anytime(9*time.Hour), func(at int64) int64 {
			if wrong > 0 {
				wrong--
				if web {
					s.tryPage(at, user)
				} else {
					from := s.connects(at, w.sshd(), 22)
					w.out.auth(at, 1000+s.random.n(9000), fmt.Sprintf("Failed password for %s from %s port %d ssh2", user, s.address, from))
				}
				return at + s.random.span(3*time.Second, 20*time.Second)
			}
			from := s.connects(at, w.sshd(), 22)
			w.out.auth(at, 1000+s.random.n(9000), fmt.Sprintf("Accepted password for %s from %s port %d ssh2", user, s.address, from))
			if session++; session >= sessions {
				return done
			}
			wrong = s.random.from(0, 3)
			return at + s.random.span(time.Hour, 4*time.Hour)
		})
	}
}

// monitoring services come every five minutes: open ports, an echo request, and one door that was closed since they were told of it.
func monitoring(w *world, n int) {
	for range n {
		s := w.sender()
		echo, closed := s.host(), s.host()
		w.begins(w.start+s.random.span(0, 5*time.Minute), func(at int64) int64 {
			from := s.connects(at, w.sshd(), 22)
			w.out.auth(at, 1000+s.random.n(9000), fmt.Sprintf("Connection closed by %s port %d", s.address, from))
			s.connects(at, w.httpd(), 443)
			s.icmp(at, echo, 8, 0)
			s.tcp(at, closed, s.random.port(), 8443, capture.FlagSYN)
			return at + int64(5*time.Minute)
		})
	}
}
