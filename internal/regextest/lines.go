package regextest

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"unsafe"
)

// lineReader reads a log line by line without making anything anew for each of them.
type lineReader struct {
	in       io.Reader
	buffer   []byte
	from, to int   // what of the buffer was not given out yet
	fault    error // of the last read
}

const (
	blockSize = 128 << 10 // read at once
	maxLine   = 1 << 20   // of a line longer than this, the rest is passed over; a filter looks at less
)

// newLineReader reads from in.
func newLineReader(in io.Reader) *lineReader {
	return &lineReader{in: in, buffer: make([]byte, blockSize)}
}

// next is the next line, without its end ("\n" or "\r\n"). It stands in memory that the next call writes over: whoever keeps any of it
// must clone that. The error is io.EOF after the last line, else the reader's.
func (l *lineReader) next() (string, error) {
	searched := l.from // up to here there is no newline
	for {
		if i := bytes.IndexByte(l.buffer[searched:l.to], '\n'); i >= 0 {
			return l.line(searched + i), nil
		}
		if l.fault != nil {
			if l.from < l.to {
				return l.line(l.to), nil
			}
			return "", l.fault
		}
		searched = l.to - l.from
		if searched >= maxLine {
			return l.long(), nil
		}
		l.fill()
	}
}

// line gives out the buffer up to end, where a newline stands or the log ends.
func (l *lineReader) line(end int) string {
	from := l.from
	l.from = min(end+1, l.to)
	for end > from && l.buffer[end-1] == '\r' {
		end--
	}
	return unsafe.String(unsafe.SliceData(l.buffer[from:]), end-from)
}

// fill reads on, after what is left.
func (l *lineReader) fill() {
	l.to = copy(l.buffer, l.buffer[l.from:l.to])
	if l.from = 0; l.to == len(l.buffer) {
		l.buffer = slices.Grow(l.buffer, l.to)[:2*l.to]
	}
	for range 100 { // a reader may give nothing a few times
		n, err := l.in.Read(l.buffer[l.to:])
		l.to += n
		if l.fault = err; n > 0 || err != nil {
			return
		}
	}
	l.fault = io.ErrNoProgress
}

// long gives out the beginning of a line that does not end, and passes over the rest of it.
func (l *lineReader) long() string {
	text := strings.TrimRight(string(l.buffer[l.from:l.from+maxLine]), "\r")
	for {
		if i := bytes.IndexByte(l.buffer[l.from:l.to], '\n'); i >= 0 {
			l.from += i + 1
			return text
		}
		l.from, l.to = 0, 0
		if l.fault != nil {
			return text
		}
		l.fill()
	}
}
