package pflog

import (
	"errors"
	"fmt"
	"io"
	"os"

	"pfwarden/capture"
)

// Source is a sequence of packets: a Reader, a Merger or a Live.
type Source interface {
	// Next fills in the next packet. It returns io.EOF at the end; any other error says what is wrong and where.
	Next(p *capture.Packet) error
}

// IDOrder is the byte order of the ids (uid, pid, tracker) within the records.
type IDOrder uint8

// The orders. A kernel writes ids in its own order, and pflogd the file's header in the same; a tool that re-writes files may
// change one and not the other.
const (
	FileOrder IDOrder = iota
	LittleEndian
	BigEndian
)

// Rejected describes a record that could not be decoded.
type Rejected struct {
	Origin string // name of the file
	Frame  uint64 // number of the record in the file, from 1
	Offset int64  // where its record header starts in the uncompressed file
	Cause  Cause
}

// Error says which record was rejected and why.
func (r Rejected) Error() string {
	return fmt.Sprintf("%s: frame %d: %s", r.Origin, r.Frame, r.Cause.Error())
}

// Unwrap returns the cause.
func (r Rejected) Unwrap() error { return r.Cause }

// Options change how files are read. The zero value is right for what pflogd and tcpdump write.
type Options struct {
	IDOrder       IDOrder
	OldDirections OldDirections
	Partial       bool           // accept records whose IP header is cut off, see Decoder
	OnReject      func(Rejected) // called for each rejected record, from within Next; may be nil
}

// Reader reads a pcap or pcapng file of pflog records. It is not safe for concurrent use.
type Reader struct {
	name    string
	options Options
	in      *input
	header  FileHeader
	decoder Decoder
	ng      *pcapng // nil in a pcap file
	frame   uint64
	others  uint64
	err     error // sticky
	closers []io.Closer
}

// Open opens a file. "-" is standard input.
func Open(path string, options Options) (*Reader, error) {
	if path == "-" {
		return NewReader(os.Stdin, path, options)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err // an *fs.PathError says all
	}
	r, err := NewReader(f, path, options)
	if err != nil {
		f.Close()
		return nil, err
	}
	r.closers = append(r.closers, f)
	return r, nil
}

// NewReader reads the file's header from src, which may be compressed by gzip, zstd, bzip2 or xz: that is seen by its content.
// name stands in errors and becomes the packets' Origin. An empty file has no packets; a file of something else is an error
// that wraps ErrFormat.
func NewReader(src io.Reader, name string, options Options) (*Reader, error) {
	r := &Reader{name: name, options: options}
	in := newInput(src)
	plain, err := decompress(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if plain != nil {
		r.closers = append(r.closers, plain)
		in = newInput(plain)
	}
	r.in = in
	if err := r.open(); err != nil {
		r.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

func (r *Reader) open() error {
	b, err := r.in.peek(4)
	switch {
	case errors.Is(err, io.EOF):
		r.err = io.EOF
		return nil
	case err == nil && isPcapng(b):
		r.ng = &pcapng{}
		r.setDecoder(FileHeader{LinkType: LinkPflog})
		return nil
	}
	b, err = r.in.peek(FileHeaderLen)
	if err != nil && !errors.Is(err, errCut) {
		return err
	}
	if r.header, err = ParseFileHeader(b); err != nil {
		return err
	}
	r.in.skip(FileHeaderLen)
	r.setDecoder(r.header)
	return nil
}

// setDecoder chooses how records are decoded: by the file's header or by an interface of a pcapng file.
func (r *Reader) setDecoder(h FileHeader) {
	d := &r.decoder
	d.Old, d.BigEndian = h.LinkType == LinkOldPflog, h.BigEndian
	d.OldDirections, d.Partial = r.options.OldDirections, r.options.Partial
	if r.options.IDOrder != FileOrder {
		d.BigEndian, d.FixedIDs = r.options.IDOrder == BigEndian, true
	}
}

// Next fills in the next packet. It returns io.EOF at the end of the file, and an error that names the file and the frame if the
// rest of it cannot be read; either is returned again by later calls. Rejected records are passed over.
func (r *Reader) Next(p *capture.Packet) error {
	for r.err == nil {
		offset := r.in.offset
		var cause Cause
		var err error
		if r.ng != nil {
			cause, err = r.nextBlock(p)
		} else {
			cause, err = r.nextRecord(p)
		}
		if err != nil {
			r.end(err, offset)
			break
		}
		if cause == Accepted {
			p.Origin, p.Frame, p.Offset = r.name, r.frame, r.in.offset
			return nil
		}
		r.reject(cause, offset)
	}
	return r.err
}

// nextRecord reads one record of a pcap file.
func (r *Reader) nextRecord(p *capture.Packet) (Cause, error) {
	b, err := r.in.peek(RecordHeaderLen)
	if err != nil {
		return 0, err
	}
	r.frame++
	h := r.header.ParseRecordHeader(b)
	if h.Captured > MaxCapture {
		return 0, fmt.Errorf("%w from here on: a record of %d bytes", ErrFormat, h.Captured)
	}
	size := RecordHeaderLen + int(h.Captured)
	if b, err = r.in.peek(size); err != nil {
		r.frame--
		return 0, err
	}
	cause := r.decoder.Decode(p, b[RecordHeaderLen:], h.Wire)
	p.Time, p.Nanos = h.Time, r.header.Nanoseconds
	r.in.skip(size)
	return cause, nil
}

// end closes the sequence. A file that ends within a record costs that record: it may still be growing.
func (r *Reader) end(err error, offset int64) {
	switch {
	case err == io.EOF: //nolint:errorlint // a wrapped EOF is not the plain end
		r.err = io.EOF
	case errors.Is(err, errCut):
		r.frame++
		r.reject(CutFile, offset)
		r.err = io.EOF
	default:
		if !errors.Is(err, ErrFormat) {
			r.frame++ // the record that could not be read
		}
		r.err = fmt.Errorf("%s: frame %d: %w", r.name, max(r.frame, 1), err)
	}
}

func (r *Reader) reject(cause Cause, offset int64) {
	if r.options.OnReject != nil {
		r.options.OnReject(Rejected{r.name, r.frame, offset, cause})
	}
}

// Name returns the name of the file, as in errors.
func (r *Reader) Name() string { return r.name }

// Others returns how many packets of a pcapng file came from interfaces that are not pflog's and were passed over.
func (r *Reader) Others() uint64 { return r.others }

// Close closes what Open opened. It does not close the reader given to NewReader.
func (r *Reader) Close() error {
	var errs []error
	for _, c := range r.closers {
		errs = append(errs, c.Close())
	}
	r.closers = nil
	if r.err == nil {
		r.err = os.ErrClosed
	}
	return errors.Join(errs...)
}

// Buffered returns how many bytes were read from the file but not yet looked at. At zero the next call of Next may wait for
// input, so it is the moment to flush what was made of the packets so far.
func (r *Reader) Buffered() int { return r.in.end - r.in.start }
