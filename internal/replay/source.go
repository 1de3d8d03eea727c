package replay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/logtail"
	"pfwarden/capture/pflog"
	"pfwarden/detect/filter/date"
)

// source is one file on its way through the merge: at is the time of the record that it holds.
type source interface {
	// advance reads the next record; io.EOF at the end. Any other error ends the source.
	advance() error
	// at is the record's time. Sources are merged by it.
	at() time.Time
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
	head := bufio.NewReaderSize(bytesRead, 64<<10)
	isPcap, err := holdsPackets(head)
	if err == nil && isPcap {
		var r *pflog.Reader
		if r, err = pflog.NewReader(head, name, pflog.Options{OnReject: reject}); err == nil {
			return &packets{reader: r, file: closer, read: bytesRead}, nil
		}
	} else if err == nil {
		var r *logtail.Reader
		if r, err = logtail.NewReader(head, name, modified, 0); err == nil {
			return newLines(r, closer, bytesRead, modified, o)
		}
	}
	if closer != nil {
		closer.Close()
	}
	return nil, fmt.Errorf("opening %s: %w", name, err)
}

// holdsPackets tells a packet file from a text log by its first bytes, behind compression too.
func holdsPackets(r *bufio.Reader) (bool, error) {
	head, err := r.Peek(headLen)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if len(head) == 0 {
		return false, nil
	}
	_, notOurs := pflog.NewReader(bytes.NewReader(head), "", pflog.Options{})
	if notOurs == nil || !errors.Is(notOurs, pflog.ErrFormat) {
		return notOurs == nil, nil
	}
	var first capture.Line
	text, err := logtail.NewReader(bytes.NewReader(head), "", time.Time{}, 0)
	if err == nil {
		err = text.Next(&first)
	}
	if err != nil && !errors.Is(err, io.EOF) && len(first.Text) == 0 {
		return false, nil // let the text reader say what is wrong with it
	}
	for _, magic := range packetMagics {
		if bytes.HasPrefix(head, []byte(magic)) || strings.HasPrefix(first.Text, magic) {
			return false, notOurs // packets, but not of pflog
		}
	}
	return false, nil
}

const headLen = 16 << 10

// packetMagics are the first bytes of pcap (both orders, micro- and nanoseconds) and pcapng files.
var packetMagics = [...]string{"\xa1\xb2\xc3\xd4", "\xd4\xc3\xb2\xa1", "\xa1\xb2\x3c\x4d", "\x4d\x3c\xb2\xa1", "\x0a\x0d\x0d\x0a"}

// packets is a pflog file.
type packets struct {
	reader *pflog.Reader
	file   io.Closer
	read   *counted
	packet capture.Packet
}

func (s *packets) advance() error     { return s.reader.Next(&s.packet) }
func (s *packets) at() time.Time      { return s.packet.Time }
func (s *packets) done() int64        { return s.read.n }
func (s *packets) deliver(to *player) { to.packet(&s.packet) }
func (s *packets) close() {
	if s.file != nil {
		s.file.Close()
	}
}

// lines is a text log.
type lines struct {
	reader   *logtail.Reader
	file     io.Closer
	read     *counted
	line     capture.Line
	time     time.Time // of the line, or of the last one that had a time
	dates    *date.Detector
	when     date.Reference
	modified time.Time
}

func newLines(r *logtail.Reader, file io.Closer, read *counted, modified time.Time, o Options) (*lines, error) {
	format, err := date.Compile("", date.Options{})
	if err != nil {
		return nil, err
	}
	return &lines{reader: r, file: file, read: read, dates: format.NewDetector(), when: reference(o, modified), modified: modified}, nil
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

func (s *lines) advance() error {
	if err := s.reader.Next(&s.line); err != nil {
		return err
	}
	if m, ok := s.dates.Find(s.line.Text, s.when.Now.Unix()); ok && m.Valid && !m.Empty() {
		if t, ok := m.Time(s.when); ok {
			s.time = t
		}
	}
	return nil
}

func (s *lines) at() time.Time      { return s.time }
func (s *lines) done() int64        { return s.read.n }
func (s *lines) deliver(to *player) { to.line(&s.line, s.time) }
func (s *lines) close() {
	if s.file != nil {
		s.file.Close()
	}
}
