package privsep

import "io"

// addressList writes the addresses of a checked request as pfctl(8) reads them, one a line, as they are asked for: a request of many thousands is
// held once, in the form in which it came.
type addressList struct {
	from parser
	left map[int]bool // the numbers of those that are left out
	n    int
	line [64]byte
	buf  []byte // what of a line was not read yet
}

// Read gives some of the text.
func (l *addressList) Read(p []byte) (int, error) {
	for len(l.buf) == 0 {
		if len(l.from.rest) == 0 || l.from.err != nil {
			return 0, io.EOF
		}
		a := l.from.address()
		if !l.left[l.n] && l.from.err == nil {
			l.buf = append(a.appendText(l.line[:0]), '\n')
		}
		l.n++
	}
	n := copy(p, l.buf)
	l.buf = l.buf[n:]
	for n+64 < len(p) && len(l.buf) == 0 && len(l.from.rest) > 0 && l.from.err == nil { // more at once, where there is room for a line
		a := l.from.address()
		if !l.left[l.n] && l.from.err == nil {
			l.buf = append(a.appendText(l.line[:0]), '\n')
			k := copy(p[n:], l.buf)
			n, l.buf = n+k, l.buf[k:]
		}
		l.n++
	}
	return n, nil
}
