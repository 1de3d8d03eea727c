package pftest

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// connState is one state. Src began the connection, whatever the direction.
type connState struct {
	ID               uint64
	Out              bool
	Proto            int
	Src, Dst         netip.Addr
	SPort, DPort     uint16
	SrcState         int
	DstState         int
	RulePath         string
	RuleIndex        int
	rule             *rule
	Created, Expires int64
	Packets, Bytes   [2]uint64 // with the state's direction, and against it
	AnchorIndex      int       // number of the main ruleset's rule that called the anchor, -1 for none
}

var tcpStates = []string{
	"CLOSED", "LISTEN", "SYN_SENT", "SYN_RCVD", "ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT_1", "CLOSING", "LAST_ACK", "FIN_WAIT_2", "TIME_WAIT",
}

// Indexes in tcpStates.
const (
	tcpClosed      = 0
	tcpSynSent     = 2
	tcpEstablished = 4
	tcpClosing     = 7
	tcpFinWait2    = 9
	tcpTimeWait    = 10
)

var udpStates = []string{"NO_TRAFFIC", "SINGLE", "MULTIPLE"}

// TCP flags.
const (
	thFIN = 1
	thSYN = 2
	thRST = 4
	thACK = 16
)

// stateKey finds a state by a packet in its direction.
type stateKey struct {
	out          bool
	proto        int
	src, dst     netip.Addr
	sport, dport uint16
}

func (s *connState) key() stateKey { return stateKey{s.Out, s.Proto, s.Src, s.Dst, s.SPort, s.DPort} }

// stateOf finds the state that a packet belongs to, and whether it runs against the state's direction.
func (pf *PF) stateOf(p *Packet) (s *connState, reply bool) {
	if s = pf.index[stateKey{p.Out, p.Proto, p.Src, p.Dst, p.SPort, p.DPort}]; s != nil {
		return s, false
	}
	return pf.index[stateKey{!p.Out, p.Proto, p.Dst, p.Src, p.DPort, p.SPort}], true
}

// reindex makes the index of states anew.
func (pf *PF) reindex() {
	pf.index = make(map[stateKey]*connState, len(pf.states))
	for _, s := range pf.states {
		pf.index[s.key()] = s
	}
}

// advance moves the state on after a packet, as pf_tcp_track_full does without sequence numbers.
func (s *connState) advance(p *Packet, reply bool, now time.Time) {
	from, to := &s.SrcState, &s.DstState
	if reply {
		from, to = to, from
	}
	life := 60 * time.Second
	if s.Proto == 6 {
		f := p.Flags
		if f&thSYN != 0 && *from < tcpSynSent {
			*from = tcpSynSent
		}
		if f&thFIN != 0 && *from < tcpClosing {
			*from = tcpClosing
		}
		if f&thACK != 0 {
			if *to == tcpSynSent {
				*to = tcpEstablished
			} else if *to == tcpClosing {
				*to = tcpFinWait2
			}
		}
		if f&thRST != 0 {
			s.SrcState, s.DstState = tcpTimeWait, tcpTimeWait
		}
		low, high := min(s.SrcState, s.DstState), max(s.SrcState, s.DstState)
		switch {
		case low >= tcpFinWait2:
			life = 90 * time.Second
		case high >= tcpClosing:
			life = 900 * time.Second
		case low >= tcpEstablished:
			life = 24 * time.Hour
		case low >= tcpSynSent:
			life = 30 * time.Second
		default:
			life = 120 * time.Second
		}
	} else {
		if *from < 1 {
			*from = 1
		}
		if *to == 1 && reply {
			*to = 2
		}
	}
	s.Expires = now.Add(life).UnixNano()
}

func hostPort(a netip.Addr, port uint16) string {
	if a.Is4() {
		return fmt.Sprintf("%s:%d", a, port)
	}
	return fmt.Sprintf("%s[%d]", a, port)
}

func (s *connState) keyText() string {
	if s.Out {
		return fmt.Sprintf("%s %s -> %s", protoName(s.Proto), hostPort(s.Src, s.SPort), hostPort(s.Dst, s.DPort))
	}
	return fmt.Sprintf("%s %s <- %s", protoName(s.Proto), hostPort(s.Dst, s.DPort), hostPort(s.Src, s.SPort))
}

func (c *call) showStates() {
	now := c.pf.now()
	if c.o.iface != "" && c.o.iface != "all" { // states float: they belong to no interface
		return
	}
	for _, s := range c.pf.states {
		a, b := s.SrcState, s.DstState
		if !s.Out {
			a, b = b, a
		}
		fmt.Fprintf(&c.out, "all %s    ", s.keyText())
		switch {
		case s.Proto == 6:
			fmt.Fprintf(&c.out, "   %s:%s\n", tcpStates[a], tcpStates[b])
		case s.Proto == 1 || s.Proto == 58:
			fmt.Fprintf(&c.out, "   %d:%d\n", a, b)
		default:
			fmt.Fprintf(&c.out, "   %s:%s\n", udpStates[a], udpStates[b])
		}
		if c.o.verbose == 0 {
			continue
		}
		age, left := now.Sub(time.Unix(0, s.Created))/time.Second, time.Unix(0, s.Expires).Sub(now)/time.Second
		fmt.Fprintf(&c.out, "   age %02d:%02d:%02d, expires in %02d:%02d:%02d, %d:%d pkts, %d:%d bytes",
			age/3600, age/60%60, age%60, left/3600, left/60%60, left%60, s.Packets[0], s.Packets[1], s.Bytes[0], s.Bytes[1])
		if s.AnchorIndex >= 0 {
			fmt.Fprintf(&c.out, ", anchor %d", s.AnchorIndex)
		}
		if s.rule != nil {
			fmt.Fprintf(&c.out, ", rule %d", s.RuleIndex)
		}
		c.out.WriteByte('\n')
		if c.o.verbose > 1 {
			fmt.Fprintf(&c.out, "   id: %016x creatorid: %08x\n", s.ID, hostID)
		}
	}
}

// removeStates ends the states that match, and counts them.
func (pf *PF) removeStates(match func(*connState) bool) int {
	n := len(pf.states)
	pf.states = slices.DeleteFunc(pf.states, func(s *connState) bool {
		gone := match(s)
		if gone {
			pf.info.Removals++
			delete(pf.index, s.key())
		}
		return gone
	})
	return n - len(pf.states)
}

// ruleStates counts the states that a rule has made.
func (pf *PF) ruleStates(r *rule) int {
	n := 0
	for _, s := range pf.states {
		if s.rule == r {
			n++
		}
	}
	return n
}
