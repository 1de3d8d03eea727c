package replay

import (
	"io"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
)

// packets is a pflog file. Once the detector knows many sources it hears of each some records before.
type packets struct {
	file    io.Closer
	read    *counted
	further foreseen[capture.Packet]
	current *capture.Packet
	to      *player
	lead    int // of the present advance: how many records before its own the detector hears of one; 0 = of none
}

func newPackets(r *pflog.Reader, file io.Closer, read *counted) *packets {
	s := &packets{file: file, read: read}
	s.further.dated = func(p *capture.Packet) time.Time { return p.Time }
	s.further.read = func(p *capture.Packet) error {
		if err := r.Next(p); err != nil {
			return err
		}
		if s.lead > 0 {
			s.to.engine.Ahead(p)
		}
		return nil
	}
	return s
}

func (s *packets) advance(to *player) (err error) {
	s.to, s.lead = to, to.engine.Lookahead()
	s.current, err = s.further.take(s.lead)
	return err
}

func (s *packets) at() time.Time { return s.further.at }
func (s *packets) isText() bool  { return false }
func (s *packets) done() int64   { return s.read.n }

func (s *packets) deliver(to *player) {
	to.place(s.further.at, s.further.ahead, s.further.back)
	s.current.Time = s.further.at
	to.packet(s.current)
}

func (s *packets) close() {
	if s.file != nil {
		s.file.Close()
	}
}
