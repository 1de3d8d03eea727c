package follow

import (
	"fmt"

	files "pfwarden/capture/internal/follow"
	"pfwarden/capture/pflog"
)

// sink is the Follower as the file machinery sees it.
type sink Follower

// state is what is known of one file.
type state struct {
	header  pflog.FileHeader
	decoder pflog.Decoder
	ready   bool   // the header is known
	broken  bool   // nothing in the file can be read from here on
	held    []byte // bytes of an incomplete header or record
	pass    int64  // records that end up to here are passed over
}

// Data takes the next bytes of a file.
func (k *sink) Data(f *files.File, data []byte) error {
	w := (*Follower)(k)
	s, ok := f.State.(*state)
	if !ok {
		s = &state{}
		f.State = s
		if f.Present() && w.opts.FromEnd {
			s.pass = f.Found()
		}
		if f.Offset() > 0 { // resumed: the header was read before
			w.begin(f, s, f.Head(), false)
		}
	}
	if s.broken {
		return nil
	}
	offset := f.Offset() - int64(len(s.held))
	if len(s.held) > 0 {
		s.held = append(s.held, data...)
		data = s.held
	}
	rest, err := w.records(f, s, data, offset)
	if err != nil {
		return err
	}
	s.hold(rest)
	if w.opts.Flush != nil {
		return w.opts.Flush()
	}
	return nil
}

// hold keeps an incomplete record, which may lie in held itself.
func (s *state) hold(rest []byte) {
	s.held = append(s.held[:0], rest...)
	if len(rest) == 0 && cap(s.held) > 64<<10 {
		s.held = nil
	}
}

// End counts a record that will never be complete.
func (k *sink) End(f *files.File) error {
	w := (*Follower)(k)
	s, ok := f.State.(*state)
	if !ok || s.broken || len(s.held) == 0 {
		return nil
	}
	w.reject(pflog.CutFile, f.Offset()-int64(len(s.held)))
	f.Commit(f.Offset())
	return nil
}

// records emits the complete records of data, which begins at offset, and gives back what is left.
func (w *Follower) records(f *files.File, s *state, data []byte, offset int64) ([]byte, error) {
	if !s.ready {
		if len(data) < pflog.FileHeaderLen {
			return data, nil
		}
		n := w.begin(f, s, data, true)
		if s.broken {
			return nil, nil
		}
		data, offset = data[n:], offset+int64(n)
		if !s.ready { // records without a header: not enough of them yet to tell
			return data, nil
		}
	}
	for len(data) >= pflog.RecordHeaderLen {
		h := s.header.ParseRecordHeader(data)
		if h.Captured > pflog.MaxCapture {
			w.giveUp(f, s, fmt.Errorf("%w: a record of %d bytes at byte %d", pflog.ErrFormat, h.Captured, offset))
			return nil, nil
		}
		size := pflog.RecordHeaderLen + int(h.Captured)
		if len(data) < size {
			break
		}
		if err := w.record(f, s, h, data[pflog.RecordHeaderLen:size], offset); err != nil {
			return nil, err
		}
		data, offset = data[size:], offset+int64(size)
		f.Commit(offset)
	}
	return data, nil
}

// record decodes and emits one record that begins at offset.
func (w *Follower) record(f *files.File, s *state, h pflog.RecordHeader, body []byte, offset int64) error {
	end := offset + pflog.RecordHeaderLen + int64(len(body))
	if end <= s.pass {
		w.count(func(st *Stats) { st.Passed++ })
		return nil
	}
	w.frame++
	if cause := s.decoder.Decode(&w.pkt, body, h.Wire); cause != pflog.Accepted {
		w.reject(cause, offset)
		return nil
	}
	w.pkt.Time, w.pkt.Origin, w.pkt.Frame, w.pkt.Offset = h.Time, w.opts.Path, w.frame, end
	w.cur = f
	if err := w.emit(&w.pkt); err != nil {
		return err
	}
	w.count(func(st *Stats) { st.Packets++ })
	return nil
}

// begin reads the file header at the start of data and gives its length. pflogd does not notice that its file was
// truncated and goes on with records: in that case the header of the file before is the one that holds, and the length is 0.
func (w *Follower) begin(f *files.File, s *state, data []byte, mayLack bool) int {
	h, err := pflog.ParseFileHeader(data)
	n := pflog.FileHeaderLen
	if err != nil && mayLack && w.last != nil {
		plausible, complete := w.looksLikeRecord(data)
		switch {
		case plausible && !complete:
			return 0
		case plausible:
			h, n, err = *w.last, 0, nil
		}
	}
	if err != nil {
		w.giveUp(f, s, err)
		return 0
	}
	s.header, s.decoder, s.ready = h, h.Decoder(), true
	d := &s.decoder
	d.OldDirections, d.Partial = w.opts.Decode.OldDirections, w.opts.Decode.Partial
	if order := w.opts.Decode.IDOrder; order != pflog.FileOrder {
		d.BigEndian, d.FixedIDs = order == pflog.BigEndian, true
	}
	w.last = &h
	w.count(func(st *Stats) { st.Broken = false })
	return n
}

// looksLikeRecord tells whether data, read by the last header, begins with a record of pflog.
func (w *Follower) looksLikeRecord(data []byte) (plausible, complete bool) {
	h := w.last.ParseRecordHeader(data)
	if h.Captured == 0 || h.Captured > pflog.MaxCapture || h.Wire < h.Captured || w.last.Snaplen > 0 && h.Captured > w.last.Snaplen {
		return false, false
	}
	size := pflog.RecordHeaderLen + int(h.Captured)
	if len(data) < size {
		return true, false
	}
	d := w.last.Decoder()
	pkt := w.pkt
	return d.Decode(&pkt, data[pflog.RecordHeaderLen:size], h.Wire) == pflog.Accepted, true
}

// giveUp passes over the rest of a file. The next one may be better: pflogd renames a damaged file when it starts.
func (w *Follower) giveUp(f *files.File, s *state, err error) {
	s.broken, s.held = true, nil
	w.count(func(st *Stats) { st.Unreadable++; st.Broken = true })
	w.log.Error("pflog file cannot be read on; waiting for the next one", "path", f.Path(), "error", err)
}

func (w *Follower) reject(cause pflog.Cause, offset int64) {
	w.count(func(st *Stats) { st.Rejects[cause]++ })
	if w.opts.Decode.OnReject != nil {
		w.opts.Decode.OnReject(pflog.Rejected{Origin: w.opts.Path, Frame: w.frame, Offset: offset, Cause: cause})
	}
}

func (w *Follower) count(change func(*Stats)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.stats)
}
