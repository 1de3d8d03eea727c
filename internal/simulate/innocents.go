package simulate

import (
	"time"

	"pfwarden/capture"
)

// backscatter: somebody floods a victim with SYNs forged in our name; the victim's answers come to us.
func backscatter(w *world, n int) {
	for range n {
		s := w.sender()
		service := pick(&s.random, []uint16{80, 443, 22, 53, 25565, 3389, 6667})
		answer := s.random.float()
		gap := s.random.span(time.Second, 60*time.Second)
		w.repeat(s.anytime(time.Hour), s.random.from(30, 300), func(at int64, _ int) {
			to := s.host()
			switch {
			case answer < .6:
				s.tcp(at, to, service, uint16(s.random.from(1024, 65535)), capture.FlagSYN|capture.FlagACK)
			case answer < .8:
				s.tcp(at, to, service, uint16(s.random.from(1024, 65535)), capture.FlagRST|capture.FlagACK)
			case answer < .9:
				s.tcp(at, to, service, uint16(s.random.from(1024, 65535)), capture.FlagRST)
			default:
				s.icmp(at, to, 3, byte(s.random.from(0, 3)))
			}
		}, func() int64 { return s.random.exponential(time.Duration(gap)) })
	}
}

// lateTCP: the server still sends, and sends again, when PF has dropped the state.
func lateTCP(w *world, n int) {
	last := []uint8{capture.FlagACK, capture.FlagACK | capture.FlagPSH, capture.FlagACK | capture.FlagFIN, capture.FlagRST, capture.FlagRST | capture.FlagACK,
		capture.FlagACK | capture.FlagFIN | capture.FlagPSH}
	for range n {
		s := w.sender()
		to, service := s.host(), pick(&s.random, []uint16{443, 443, 443, 80, 993, 5222, 22})
		flags := pick(&s.random, last)
		left, wait := s.random.from(2, 12), int64(300*time.Millisecond)
		port := s.random.port()
		w.begins(s.anytime(time.Hour), func(at int64) int64 {
			s.tcp(at, to, service, port, flags)
			if left--; left == 0 {
				return done
			}
			wait = min(wait*2, int64(60*time.Second)) // retransmissions back off (RFC 6298)
			if s.random.chance(.2) {                  // the next connection of the same pair
				wait, port = int64(300*time.Millisecond), s.random.port()
			}
			return at + wait
		})
	}
}

func lateUDP(w *world, n int) {
	for range n {
		s := w.sender()
		to, service := s.host(), pick(&s.random, []uint16{53, 53, 123, 443, 443, 3478, 500})
		w.repeat(s.anytime(time.Hour), s.random.from(2, 20), func(at int64, _ int) {
			s.udp(at, to, service, uint16(s.random.from(1024, 65535)), 80)
		}, func() int64 { return s.random.exponential(30 * time.Second) })
	}
}

// forge is a scan that somebody else forges in the sender's name, with every sign that would help.
func (s *sender) forge(at int64) {
	t := tool(s.random.n(3))
	s.ttl = s.ttls() // the forger's distance
	gap := s.random.span(10*time.Millisecond, 20*time.Second)
	s.w.repeat(at, s.random.from(40, 120), func(at int64, i int) { s.knock(at, s.host(), uint16(20+i*3), t) },
		func() int64 { return s.random.exponential(time.Duration(gap)) })
}

func framedContact(w *world, n int) {
	for range n {
		s := w.sender()
		ours := s.host()
		spoke := s.anytime(22 * time.Hour)
		room := min(int64(20*time.Hour), max(w.end-spoke-int64(time.Hour), int64(time.Minute)))
		forged := spoke + int64(time.Second) + int64(s.random.float()*float64(room))
		w.begins(spoke, func(at int64) int64 {
			s.contacted(at, ours, pick(&s.random, []uint16{443, 25, 53, 993}))
			return done
		})
		s.forge(forged)
	}
}

func framedStranger(w *world, n int) {
	for range n {
		s := w.sender()
		s.forge(s.anytime(time.Hour))
	}
}

// retriers ask for one door, each time with a stack's retransmissions after 1, 3 and 7 seconds.
func retriers(w *world, n int) {
	for range n {
		s := w.sender()
		to, door := s.host(), pick(&s.random, []uint16{25, 110, 143, 443, 587, 993, 1194, 1723, 5060, 5222, 8080, 8883})
		every := time.Duration(s.random.span(time.Minute, 15*time.Minute))
		rounds, again := s.random.from(20, 120), 0
		port := s.random.port()
		w.begins(s.anytime(6*time.Hour), func(at int64) int64 {
			s.tcp(at, to, port, door, capture.FlagSYN)
			if again++; again < 4 {
				return at + int64(time.Second)<<(again-1)
			}
			again, port = 0, s.random.port()
			if rounds--; rounds == 0 {
				return done
			}
			return at + s.random.span(every*9/10, every*11/10)
		})
	}
}

func reflectionVictims(w *world, n int) {
	for range n {
		s := w.sender()
		service := pick(&s.random, []uint16{53, 123, 161, 389, 1900, 11211})
		gap := s.random.span(100*time.Millisecond, 20*time.Second)
		w.repeat(s.anytime(time.Hour), s.random.from(80, 400), func(at int64, _ int) {
			s.udp(at, s.host(), uint16(s.random.from(1024, 65535)), service, 40)
		}, func() int64 { return s.random.exponential(time.Duration(gap)) })
	}
}

// peers look for somebody of ours who left a swarm: by uTP and DHT over UDP, some by TCP as well, all at one port of one address.
func peers(w *world, n int) {
	const swarm = 10000
	for i := range n {
		together := newRandom(w.o.Seed, "p2p swarm", uint64(i/swarm))
		to := w.places.host(together.n(w.o.Hosts))
		door := uint16(together.from(6881, 60000))
		s := w.sender()
		port := uint16(s.random.from(1025, 65535))
		w.repeat(s.anytime(0), s.random.from(1, 5), func(at int64, i int) {
			if i == 1 && s.random.chance(.3) {
				s.syn(at, to, door)
				return
			}
			s.udp(at, to, port, door, 62)
		}, func() int64 { return s.random.exponential(10 * time.Minute) })
	}
}

// shared addresses have many honest users: they use our servers, and now and then ask for a door that is closed.
func shared(w *world, n int) {
	for range n {
		s := w.sender()
		s.daily(1, 10, func(at int64) { s.connects(at, w.httpd(), 443) })
		s.daily(0, 4, func(at int64) { s.syn(at, s.host(), pick(&s.random, []uint16{80, 443, 25, 993, 8080, 5060})) })
		if s.random.chance(.3) {
			w.begins(s.anytime(0), func(at int64) int64 {
				s.contacted(at, w.sshd(), 443)
				return done
			})
		}
	}
}

const maxFloodLabels = 10_000

// forged sends n sources' one knock each, evenly over the flood's time.
func (w *world) forged(n int, base uint64, delay time.Duration, labelled bool) {
	span := int64(w.o.FloodSpan)
	from := w.start + (w.end-w.start-span)/2 + int64(delay)
	every := max(1, n/maxFloodLabels)
	s := w.unlabelled(w.places.flooder(base))
	i := 0
	w.begins(from, func(at int64) int64 {
		s.address, s.ttl = w.places.flooder(base+uint64(i)), uint8(s.random.from(40, 60))
		s.label = nil
		if labelled && i%every == 0 {
			s.label = &label{address: s.address, class: "flood"}
			if base > 0 {
				s.label.class = "evict"
			}
			w.labels = append(w.labels, s.label)
		}
		s.syn(at, s.host(), uint16(s.random.from(1, 65535)))
		if i++; i >= n {
			return done
		}
		return from + int64(float64(i)/float64(n)*float64(span))
	})
}

func floods(w *world, n int) {
	if n > 0 {
		w.forged(n, 0, 0, true)
	}
}

func evictors(w *world, n int) {
	if n == 0 {
		return
	}
	for i := range 3 {
		w.forged(n, maxFlood, time.Duration(i)*20*time.Second, i == 0)
	}
}
