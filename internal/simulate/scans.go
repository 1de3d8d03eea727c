package simulate

import (
	"encoding/binary"
	"net/netip"
	"time"

	"pfwarden/capture"
)

// Ports that scanners ask for. Which ones go together follows what bots have in their code; see docs/simulate.md.
var (
	popular = []uint16{22, 23, 80, 443, 445, 3389, 5900, 8080, 8443, 1433, 3306, 5432, 6379, 2323, 5555, 7547, 8291, 9200, 2375, 5060}
	iot     = []uint16{23, 2323, 80, 81, 8080, 8443, 5555, 7547, 7574, 37215, 49152, 52869, 60001}
	windows = []uint16{135, 139, 445, 1433, 3306, 3389, 5432, 5900, 6379}
	servers = []uint16{22, 2222, 80, 443, 6443, 8080, 8443, 8888, 9200, 2375, 2376, 5900, 10250, 27017}
)

// anytime gives a time from the beginning until room is left before the end.
func (s *sender) anytime(room time.Duration) int64 {
	last := s.w.end - int64(room)
	if last <= s.w.start {
		return s.w.start
	}
	return s.w.start + int64(s.random.float()*float64(last-s.w.start))
}

// repeat calls act n times, with pauses as pause gives them.
func (w *world) repeat(at int64, n int, act func(at int64, i int), pause func() int64) {
	i := 0
	w.begins(at, func(at int64) int64 {
		act(at, i)
		if i++; i >= n {
			return done
		}
		return at + max(pause(), 1)
	})
}

func fastVertical(w *world, n int) {
	for range n {
		s := w.sender()
		to, gap := s.host(), s.random.span(2*time.Millisecond, 300*time.Millisecond)
		ports := s.random.from(1, 60000)
		w.repeat(s.anytime(5*time.Minute), 300, func(at int64, i int) { s.syn(at, to, uint16(ports+i*7)) },
			func() int64 { return s.random.exponential(time.Duration(gap)) })
	}
}

func slowVertical(w *world, n int) {
	for range n {
		s := w.sender()
		// The polite timings of nmap: -T1 waits 15 s, -T0 five minutes.
		to, gap := s.host(), pick(&s.random, []time.Duration{15 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute})
		ports := some(&s.random, popular, len(popular))
		w.repeat(s.anytime(30*gap), s.random.from(30, 100), func(at int64, i int) {
			port := uint16(1024 + i)
			if i < len(ports) {
				port = ports[i]
			}
			s.syn(at, to, port)
		}, func() int64 { return s.random.span(gap*9/10, gap*11/10) })
	}
}

func horizontal(w *world, n int) {
	for range n {
		s := w.sender()
		hosts := w.o.Hosts
		ports := some(&s.random, popular, s.random.from(1, 2))
		step := 1
		if hosts > 7 {
			step = int(coprime(&s.random, uint64(hosts)))
		}
		gap := s.random.span(5*time.Millisecond, 2*time.Second)
		first, t := s.random.n(hosts), tool(s.random.n(3)/2*2) // a third by masscan
		total := min(hosts, 4096) * len(ports)
		w.repeat(s.anytime(time.Hour), total, func(at int64, i int) {
			s.knock(at, w.places.host((first+i/len(ports)*step)%hosts), ports[i%len(ports)], t)
		}, func() int64 { return s.random.exponential(time.Duration(gap)) })
	}
}

// daily sends low to high times a day, at times of a Poisson process, for as long as the simulation goes.
func (s *sender) daily(low, high int, act func(at int64)) {
	w := s.w
	left, until := 0, w.start
	next := func(at int64) int64 {
		for {
			if t := s.random.spread(at, until, left); t != done {
				left--
				return t
			}
			if until >= w.end {
				return done
			}
			at, until = until, until+int64(day)
			left = s.random.from(low, high)
		}
	}
	if first := next(w.start); first != done {
		w.begins(first, func(at int64) int64 {
			act(at)
			return next(at)
		})
	}
}

func bots(w *world, n int) {
	for range n {
		s := w.sender()
		var (
			ports []uint16
			t     = plain
		)
		switch f := s.random.float(); {
		case f < .4: // Mirai: nine of ten probes to 23, the tenth to 2323
			ports, t = []uint16{23, 23, 23, 23, 23, 23, 23, 23, 23, 2323}, mirai
		case f < .65:
			ports = some(&s.random, iot, s.random.from(6, 12))
		case f < .85:
			ports = some(&s.random, windows, s.random.from(4, 8))
		default:
			ports = some(&s.random, servers, s.random.from(5, 12))
		}
		s.daily(8, 30, func(at int64) { s.knock(at, s.host(), pick(&s.random, ports), t) })
	}
}

func onePortBots(w *world, n int) {
	for range n {
		s := w.sender()
		port := pick(&s.random, []uint16{445, 22, 23, 3389, 1433, 5555, 6379, 8080})
		s.daily(8, 30, func(at int64) { s.syn(at, s.host(), port) })
	}
}

const (
	spreadMembers  = 64 // of a /24
	spreadMembers6 = 32 // of a /48
)

func spread24(w *world, n int) {
	const members = spreadMembers
	for i := range n {
		network := w.places.network(uint64(i / members))
		s := w.at(addr4(network | uint32(1+i%members*3)))
		together := newRandom(w.o.Seed, "spread24 network", uint64(i/members)) // the network's own time
		from := w.start + int64(together.float()*float64(max(w.end-w.start-int64(4*time.Hour), 0)))
		ports := some(&s.random, popular, 6)
		w.repeat(from+s.random.span(0, 2*time.Hour), 3, func(at int64, i int) { s.syn(at, s.host(), ports[i]) },
			func() int64 { return s.random.span(time.Minute, 40*time.Minute) })
	}
}

// in6 gives an address of a /64.
func in6(network [16]byte, host uint64) netip.Addr {
	binary.BigEndian.PutUint64(network[8:], host)
	return netip.AddrFrom16(network)
}

// host6 is one of our IPv6 addresses.
func (s *sender) host6() netip.Addr { return s.w.places.host6(s.random.n(s.w.o.Hosts)) }

func ipv6Host(w *world, n int) {
	for i := range n {
		network := w.places.network6(uint64(i))
		s := w.at(in6(network, 1))
		gap := s.random.span(200*time.Millisecond, 5*time.Minute)
		w.repeat(s.anytime(3*time.Hour), s.random.from(40, 200), func(at int64, i int) {
			s.address = in6(network, s.random.next())
			s.syn(at, s.host6(), pick(&s.random, popular)+uint16(i%7*1000))
		}, func() int64 { return s.random.exponential(time.Duration(gap)) })
	}
}

func ipv6Spread(w *world, n int) {
	const members = spreadMembers6
	for i := range n {
		network := w.places.network6(uint64(1<<15 + i/members))
		binary.BigEndian.PutUint16(network[6:], uint16(1+i%members*11))
		s := w.at(in6(network, 1))
		together := newRandom(w.o.Seed, "ipv6_spread network", uint64(i/members))
		from := w.start + int64(together.float()*float64(max(w.end-w.start-int64(4*time.Hour), 0)))
		ports := some(&s.random, popular, 6)
		w.repeat(from+s.random.span(0, 2*time.Hour), s.random.from(3, 5), func(at int64, i int) {
			s.address = in6(network, s.random.next())
			s.syn(at, s.host6(), ports[i])
		}, func() int64 { return s.random.span(time.Minute, 20*time.Minute) })
	}
}

// gateRaisers do first what victims of floods and of reflection do, and scan with wild hop counts.
func gateRaisers(w *world, n int) {
	for range n {
		s := w.sender()
		to := s.host()
		const answers = 40
		w.repeat(s.anytime(2*time.Hour), answers+80, func(at int64, i int) {
			switch {
			case i < answers/2:
				s.tcp(at, s.host(), 80, s.random.port(), capture.FlagSYN|capture.FlagACK)
			case i < answers:
				s.udp(at, s.host(), s.random.port(), 53, 40)
			default:
				s.ttl = uint8(s.random.from(30, 120))
				s.syn(at, to, uint16(100+i))
			}
		}, func() int64 { return s.random.span(time.Second, 20*time.Second) })
	}
}
