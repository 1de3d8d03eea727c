package pflog

import (
	"errors"
	"io"
)

// Sizes of an input's buffer: what it starts with, and what it grows to for the longest record.
const (
	chunkSize = 256 << 10
	maxBuffer = MaxCapture + chunkSize
)

// input reads a stream in chunks and shows its bytes in place.
type input struct {
	r      io.Reader
	buf    []byte
	start  int   // of what is unread in buf
	end    int   // of what is valid in buf
	offset int64 // in the stream, of buf[start]
	err    error // of the stream, once buf[:end] is all there is
}

func newInput(r io.Reader) *input { return &input{r: r, buf: make([]byte, chunkSize)} }

// peek returns the next n bytes without consuming them, fewer only with an error: io.EOF if the stream is at its end,
// io.ErrUnexpectedEOF if it ends within them. They are valid until the next call. n must not exceed MaxCapture+1024.
func (in *input) peek(n int) ([]byte, error) {
	if in.end-in.start < n {
		return in.fill(n)
	}
	return in.buf[in.start : in.start+n], nil
}

func (in *input) fill(n int) ([]byte, error) {
	copy(in.buf, in.buf[in.start:in.end])
	in.end -= in.start
	in.start = 0
	if n > len(in.buf) {
		larger := make([]byte, maxBuffer)
		copy(larger, in.buf[:in.end])
		in.buf = larger
	}
	for empty := 0; in.end < n && in.err == nil; {
		var got int
		got, in.err = in.r.Read(in.buf[in.end:])
		in.end += got
		if got > 0 {
			empty = 0
		} else if empty++; empty > 100 && in.err == nil {
			in.err = io.ErrNoProgress
		}
	}
	if in.end >= n {
		return in.buf[:n], nil
	}
	if errors.Is(in.err, io.EOF) && !errors.Is(in.err, io.ErrUnexpectedEOF) && in.end > 0 {
		return in.buf[:in.end], errCut
	}
	return in.buf[:in.end], in.err
}

// errCut is what peek answers at a stream that ends within what was asked for. It differs from io.ErrUnexpectedEOF, by which
// a decompressor says that its own input was cut.
var errCut = errors.New("the file ends here")

// skip consumes n bytes that peek showed.
func (in *input) skip(n int) {
	in.start += n
	in.offset += int64(n)
}

// discard consumes n bytes, however many.
func (in *input) discard(n int64) error {
	for n > 0 {
		if in.start == in.end {
			if _, err := in.peek(1); err != nil {
				return err
			}
		}
		step := min(n, int64(in.end-in.start))
		in.skip(int(step))
		n -= step
	}
	return nil
}
