package replay

import (
	"io"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
)

// packets is a pflog file. Once the detector knows many sources it reads some records further, so that the detector hears of each a while before.
type packets struct {
	reader  *pflog.Reader
	file    io.Closer
	read    *counted
	current *capture.Packet
	further []capture.Packet // a ring: those read further, and the current one
	first   int              // of those read further
	n       int              // how many they are
	err     error            // met behind them
}

func (s *packets) advance(to *player) error {
	lead := to.engine.Lookahead()
	if lead == 0 && s.n == 0 && s.err == nil {
		return s.reader.Next(s.current)
	}
	if s.further == nil {
		s.further = make([]capture.Packet, lead+2)
	}
	for s.n <= lead && s.n < len(s.further)-1 && s.err == nil {
		p := &s.further[(s.first+s.n)%len(s.further)]
		if s.err = s.reader.Next(p); s.err == nil {
			to.engine.Ahead(p)
			s.n++
		}
	}
	if s.n == 0 {
		return s.err
	}
	s.current = &s.further[s.first]
	s.first = (s.first + 1) % len(s.further)
	s.n--
	return nil
}

func (s *packets) at() time.Time      { return s.current.Time }
func (s *packets) isText() bool       { return false }
func (s *packets) done() int64        { return s.read.n }
func (s *packets) deliver(to *player) { to.packet(s.current) }
func (s *packets) close() {
	if s.file != nil {
		s.file.Close()
	}
}
