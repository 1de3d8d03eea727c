package scoring

import (
	"net/netip"
	"time"

	"pfwarden/capture"
	"pfwarden/detect"
)

// peer is the rule of another tool, as a small exact model over PF's log: what its documentation and its default configuration say, on maps, with
// all the memory in the world. It is the rule that is compared, not the program.
type peer struct {
	name   string
	about  string
	packet func(p *capture.Packet) bool // the rule bans the source
	banned map[netip.Addr]bool
}

// peers watch the same records as the detector; they make an engine.Watcher.
type peers []*peer

func newPeers() peers {
	return peers{
		{name: "fail2ban", about: "5 lines of the pf log in 10 min", packet: fail2ban()},
		{name: "crowdsec", about: "pf-scan-multi_ports: more than 15 ports, one leaks every 5 s", packet: crowdsec()},
		{name: "psad", about: "danger level 3: 150 packets or 50 hosts, to more than one port, within an hour", packet: psad()},
		{name: "simple-scan", about: "Zeek: 25 host:port pairs or 20 hosts of a port by SYN in 15 min", packet: simpleScan()},
	}
}

// Packet implements engine.Watcher.
func (ps peers) Packet(p *capture.Packet, _ []detect.Observation) {
	if p.Action != capture.ActionBlock || p.Direction != capture.In {
		return
	}
	for _, x := range ps {
		if x.packet(p) {
			if x.banned == nil {
				x.banned = make(map[netip.Addr]bool)
			}
			x.banned[source(p.Source)] = true // one banned address of a /64 counts for all
		}
	}
}

// Line implements engine.Watcher.
func (peers) Line(*capture.Line, time.Time, []detect.Observation) {}

// Verdict implements engine.Watcher.
func (peers) Verdict(*detect.Verdict, bool) {}

// fail2ban's rule: maxretry 5 in findtime 600, for a filter that takes every blocked packet for a failure.
func fail2ban() func(*capture.Packet) bool {
	const maxretry, findtime = 5, 600 * time.Second
	type window struct {
		at [maxretry]time.Time // ring of the newest
		n  int
	}
	sources := make(map[netip.Addr]*window)
	return func(p *capture.Packet) bool {
		w := sources[p.Source]
		if w == nil {
			w = &window{}
			sources[p.Source] = w
		}
		w.at[w.n%maxretry] = p.Time
		w.n++
		return w.n >= maxretry && p.Time.Sub(w.at[w.n%maxretry]) <= findtime
	}
}

// crowdsec's scenario pf-scan-multi_ports: a leaky bucket a source, of capacity 15 and leaking one in five seconds, into which every port falls
// once in the bucket's life; what does not fit overflows.
func crowdsec() func(*capture.Packet) bool {
	const capacity, leak = 15, 5 * time.Second
	type bucket struct {
		level float64
		at    time.Time
		ports map[uint16]struct{}
	}
	sources := make(map[netip.Addr]*bucket)
	return func(p *capture.Packet) bool {
		if p.Protocol != 6 || p.Has&capture.HasPorts == 0 {
			return false
		}
		b := sources[p.Source]
		if b != nil {
			b.level -= float64(p.Time.Sub(b.at)) / float64(leak)
			b.at = p.Time
		}
		if b == nil || b.level <= 0 { // an empty bucket is thrown away
			b = &bucket{at: p.Time, ports: make(map[uint16]struct{})}
			sources[p.Source] = b
		}
		if _, known := b.ports[p.DestinationPort]; known {
			return false
		}
		b.ports[p.DestinationPort] = struct{}{}
		b.level++
		if b.level <= capacity {
			return false
		}
		delete(sources, p.Source)
		return true
	}
}

// psad's danger level 3, of psad.conf: DANGER_LEVEL3 150 packets or that many as a sweep of 50 hosts, over a port range of more than 1, while gaps
// stay below SCAN_TIMEOUT 3600 s. What kind of packet it is does not matter.
func psad() func(*capture.Packet) bool {
	const level3, hosts3, timeout = 150, 50, 3600 * time.Second
	type scan struct {
		packets   int
		low, high uint16
		hosts     map[netip.Addr]struct{}
		last      time.Time
	}
	sources := make(map[netip.Addr]*scan)
	return func(p *capture.Packet) bool {
		s := sources[p.Source]
		if s == nil || p.Time.Sub(s.last) > timeout {
			s = &scan{low: 65535, hosts: make(map[netip.Addr]struct{})}
			sources[p.Source] = s
		}
		s.last = p.Time
		s.packets++
		if p.Has&capture.HasPorts != 0 {
			s.low, s.high = min(s.low, p.DestinationPort), max(s.high, p.DestinationPort)
		}
		if len(s.hosts) < hosts3 {
			s.hosts[p.Destination] = struct{}{}
		}
		return s.packets >= level3 && s.high > s.low+1 || len(s.hosts) >= hosts3
	}
}

// simpleScan is Zeek's package simple-scan: SYNs without an answer to 25 different host:port pairs, or to 20 hosts on one port, within 15 minutes.
func simpleScan() func(*capture.Packet) bool {
	const pairs, hosts, within = 25, 20, 15 * time.Minute
	type attempt struct {
		host netip.Addr
		port uint16
	}
	type scan struct {
		began time.Time
		pairs map[attempt]struct{}
		ports map[uint16]int
	}
	sources := make(map[netip.Addr]*scan)
	return func(p *capture.Packet) bool {
		if p.Protocol != 6 || p.Has&capture.HasTCPFlags == 0 || p.TCPFlags&(capture.FlagSYN|capture.FlagACK|capture.FlagRST|capture.FlagFIN) != capture.FlagSYN {
			return false
		}
		s := sources[p.Source]
		if s == nil || p.Time.Sub(s.began) > within {
			s = &scan{began: p.Time, pairs: make(map[attempt]struct{}), ports: make(map[uint16]int)}
			sources[p.Source] = s
		}
		a := attempt{p.Destination, p.DestinationPort}
		if _, known := s.pairs[a]; !known {
			s.pairs[a] = struct{}{}
			s.ports[a.port]++
		}
		return len(s.pairs) >= pairs || s.ports[a.port] >= hosts
	}
}
