package logtail

import (
	"errors"
	"fmt"
	"io"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/internal/unpack"
)

// Reader reads a finished log from its beginning, for replay. Line.Read stays zero.
type Reader struct {
	origin   string
	modified time.Time
	src      *unpack.Reader
	split    splitter
	buf      []byte
	lines    []capture.Line
	next     int // of lines
	number   uint64
	offset   int64 // of the unpacked bytes
	err      error // why no more can be read
}

// Unpack gives what r holds, decompressed as NewReader does, for whom lines alone will do. Closing it does not close r.
func Unpack(r io.Reader) (io.ReadCloser, error) { return unpack.NewReader(r) }

// NewReader reads a log from r, plain or compressed with gzip, zstd, bzip2 or xz (told by its content). maxLine is as in Options; origin and modified
// fill the fields of that name. Closing the Reader does not close r.
func NewReader(r io.Reader, origin string, modified time.Time, maxLine int) (*Reader, error) {
	if maxLine <= 0 {
		maxLine = DefaultMaxLine
	}
	src, err := unpack.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", origin, err)
	}
	return &Reader{origin: origin, modified: modified, src: src, split: splitter{max: maxLine}, buf: make([]byte, 256<<10)}, nil
}

// Next gives the next line, or io.EOF after the last. A compressed file that breaks off gives its lines first and then
// what is wrong with it.
func (r *Reader) Next(line *capture.Line) error {
	for r.next == len(r.lines) {
		if r.err != nil {
			return r.err
		}
		r.fill()
	}
	*line = r.lines[r.next]
	r.next++
	r.number++
	line.Origin, line.Modified, line.Number, line.Next.Path = r.origin, r.modified, r.number, r.origin
	return nil
}

func (r *Reader) fill() {
	n, err := r.src.Read(r.buf)
	r.lines, r.next = r.split.split(r.lines[:0], r.buf[:n], r.offset), 0
	r.offset += int64(n)
	if err == nil {
		return
	}
	if line, ok := r.split.finish(r.offset); ok {
		r.lines = append(r.lines, line)
	}
	r.err = err
	if !errors.Is(err, io.EOF) {
		r.err = fmt.Errorf("read %s, at byte %d: %w", r.origin, r.offset, err)
	}
}

// Close frees the memory of decompression.
func (r *Reader) Close() error { return r.src.Close() }
