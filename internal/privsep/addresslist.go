package privsep

import "io"

// addressList writes the addresses of a table request as pfctl(8) reads them, one a line, as they are asked for, and leaves out those that may not be
// banned. It holds one of them at a time, however many there are.
type addressList struct {
	g     *Guard
	table string
	all   bool // nothing is left out: they are taken from the table

	next func() (address, error) // io.EOF: that was the last one
	left int                     // how many were left out
	err  error                   // what ended the list
	line [64]byte
	buf  []byte // what of a line was not read yet
}

// some tells whether there is an address that is not left out. It may wait for it.
func (l *addressList) some() bool {
	for len(l.buf) == 0 && l.err == nil {
		l.one()
	}
	return len(l.buf) > 0
}

// one takes an address into the buffer, unless it is left out.
func (l *addressList) one() {
	a, err := l.next()
	if err != nil {
		if l.err = err; l.left > maxTold {
			l.g.log.Error("left out more of what the worker wanted to ban", "addresses", l.left, "table", l.table)
		}
		return
	}
	if !l.all {
		if why := l.g.protects(a.Prefix); why != "" {
			l.g.counts.refused.Add(1)
			if l.left++; l.left <= maxTold {
				l.g.log.Error("left out what the worker wanted to ban", "address", a.String(), "table", l.table, "why", why)
			}
			return
		}
	}
	l.buf = append(a.appendText(l.line[:0]), '\n')
}

// Read gives some of the text. An error that is not io.EOF means that the list must not be taken for whole.
func (l *addressList) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	for l.some() && n < len(p) {
		k := copy(p[n:], l.buf)
		n, l.buf = n+k, l.buf[k:]
	}
	if n > 0 {
		return n, nil
	}
	return 0, l.err
}

// listOf yields what was received, and checked, in one piece.
func listOf(packed []byte) func() (address, error) {
	p := parser{rest: packed}
	return func() (address, error) {
		if len(p.rest) == 0 {
			return address{}, io.EOF
		}
		a := p.address()
		return a, p.err
	}
}
