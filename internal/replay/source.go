package replay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/logtail"
	"pfwarden/capture/pflog"
	"pfwarden/detect/filter/date"
)

// source is one file on its way through the merge: at is the time of the record that it holds.
type source interface {
	// advance reads the next record; io.EOF at the end. Any other error ends the source. It may read further and tell the player what it finds.
	advance(to *player) error
	// at is the record's time. Sources are merged by it.
	at() time.Time
	isText() bool
	// deliver hands the record on.
	deliver(to *player)
	// done says how many bytes of the file were read.
	done() int64
	close()
}

// counted counts the bytes that were read of a file, for the progress bar.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// open recognises what a file holds and opens it. "-" is standard input.
func open(path string, stdin io.Reader, o Options, reject func(pflog.Rejected)) (source, error) {
	var (
		in       io.Reader = stdin
		closer   io.Closer
		modified time.Time
		name     = path
	)
	if path != logtail.Stdin {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		info, err := f.Stat()
		if err == nil && info.IsDir() {
			err = fmt.Errorf("%s is a folder, expected a pflog file or a text log", path)
		}
		if err != nil {
			f.Close()
			return nil, err
		}
		in, closer, modified = f, f, info.ModTime()
	}
	return newSource(name, in, closer, modified, o, reject)
}

func newSource(name string, in io.Reader, closer io.Closer, modified time.Time, o Options, reject func(pflog.Rejected)) (source, error) {
	bytesRead := &counted{r: in}
	// What tells packets from text may lie far into a compressed file, after its first block. So the packets' reader has a try at all of it,
	// and the text reader begins anew.
	head := &recorder{r: bytesRead, recording: true}
	r, err := pflog.NewReader(head, name, pflog.Options{OnReject: reject})
	head.recording = false
	switch {
	case err == nil:
		return newPackets(r, closer, bytesRead), nil
	case !errors.Is(err, errHead) && (!errors.Is(err, pflog.ErrFormat) || errors.Is(err, pflog.ErrUnknown)):
		// Text; or what is compressed is damaged, which the text reader tells after the lines that it holds.
		var text *logtail.Reader
		if text, err = logtail.NewReader(io.MultiReader(bytes.NewReader(head.kept), bytesRead), name, modified, 0); err == nil {
			return newLines(text, closer, bytesRead, modified, o)
		}
	}
	if closer != nil {
		closer.Close()
	}
	return nil, fmt.Errorf("opening %s: %w", name, err)
}

// recorder keeps what is read through it while it records.
type recorder struct {
	r         io.Reader
	recording bool
	kept      []byte
}

const headMost = 16 << 20 // bytes of a compressed file that its first ones may need

var errHead = fmt.Errorf("nothing is unpacked from its first %d bytes", headMost)

func (r *recorder) Read(p []byte) (int, error) {
	if r.recording && len(r.kept) >= headMost {
		return 0, errHead
	}
	n, err := r.r.Read(p)
	if r.recording {
		r.kept = append(r.kept, p[:n]...)
	} else {
		r.kept = nil
	}
	return n, err
}

// lines is a text log.
type lines struct {
	reader   *logtail.Reader
	file     io.Closer
	read     *counted
	further  foreseen[dated]
	current  *dated
	time     time.Time // of the last line read that had a time
	dates    *date.Detector
	when     date.Reference
	modified time.Time
}

// dated is a line with its time, or that of the last one before it that had a time.
type dated struct {
	line capture.Line
	time time.Time
}

func newLines(r *logtail.Reader, file io.Closer, read *counted, modified time.Time, o Options) (*lines, error) {
	format, err := date.Compile("", date.Options{})
	if err != nil {
		return nil, err
	}
	s := &lines{reader: r, file: file, read: read, dates: format.NewDetector(), when: reference(o, modified), modified: modified}
	s.further.read, s.further.dated = s.next, func(l *dated) time.Time { return l.time }
	return s, nil
}

// reference says what year a time stamp without one is of: that of --year, or such that nothing is later than the file's last change.
func reference(o Options, modified time.Time) date.Reference {
	ref := date.Reference{Now: modified, Location: o.Location, Fraction: true}
	switch {
	case o.Year != 0:
		ref.Now = time.Date(o.Year, time.December, 31, 23, 59, 59, 0, time.UTC)
	case modified.IsZero():
		ref.Now = o.Now
	}
	return ref
}

func (s *lines) advance(*player) (err error) {
	s.current, err = s.further.take(0)
	return err
}

// next reads one line.
func (s *lines) next(l *dated) error {
	if err := s.reader.Next(&l.line); err != nil {
		return err
	}
	if m, ok := s.dates.Find(l.line.Text, s.when.Now.Unix()); ok && m.Valid && !m.Empty() {
		if t, ok := m.Time(s.when); ok {
			s.time = t
		}
	}
	l.time = s.time
	return nil
}

func (s *lines) at() time.Time { return s.further.at }
func (s *lines) isText() bool  { return true }
func (s *lines) done() int64   { return s.read.n }

func (s *lines) deliver(to *player) {
	to.place(s.further.at, s.further.ahead, s.further.back)
	l := s.current.line
	if s.further.ahead {
		l.Read = s.further.at // what is dated later is taken to be of then, as it is live
	}
	to.line(&l, s.further.at)
}

func (s *lines) close() {
	if s.file != nil {
		s.file.Close()
	}
}
