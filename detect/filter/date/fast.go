package date

import "unicode/utf8"

// found is a time stamp in a line. Offsets are bytes.
type found struct {
	start, end  int // of the whole match
	cut, cutEnd int // what is taken out of the line
	stamp       stamp
	valid       bool // the fields make a date
}

type verdict uint8

const (
	no     verdict = iota
	yes            // found is what the pattern would have found at this place
	unsure         // ask the pattern
)

// A matcher reads one format by hand at exactly one place. Its verdict must be what the pattern says there; where that would
// take effort it is unsure.
type matcher func(s string, i int) (found, verdict)

// scanner reads digits from s at i.
type scanner struct {
	s string
	i int
}

func (p *scanner) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

func (p *scanner) take(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *scanner) digit() (int, bool) {
	if p.i < len(p.s) && p.s[p.i]-'0' <= 9 {
		p.i++
		return int(p.s[p.i-1] - '0'), true
	}
	return 0, false
}

// number reads one or two digits.
func (p *scanner) number() (int, bool) {
	v, ok := p.digit()
	if !ok {
		return 0, false
	}
	if w, ok := p.digit(); ok {
		return 10*v + w, true
	}
	return v, true
}

// day reads %d: 1 to 31, one-digit days with 0, a space or nothing before them.
func (p *scanner) day() (int, bool) {
	padded := p.take(' ')
	at := p.i
	v, ok := p.number()
	if !ok || v == 0 || v > 31 || padded && p.i-at > 1 {
		return 0, false
	}
	return v, true
}

// year reads %ExY. Years from 2030 on are left to the pattern, which knows the present one.
func (p *scanner) year() (int, verdict) {
	if len(p.s)-p.i < 4 || p.s[p.i] != '2' || p.s[p.i+1] != '0' || p.s[p.i+2]-'0' > 9 || p.s[p.i+3]-'0' > 9 {
		return 0, no
	}
	if p.s[p.i+2] > '2' {
		return 0, unsure
	}
	p.i += 4
	return 2000 + 10*int(p.s[p.i-2]-'0') + int(p.s[p.i-1]-'0'), yes
}

// clock reads H:M:S and a fraction after one of the bytes in points. It is unsure where a word goes on after it.
func (p *scanner) clock(f *stamp, maxHour int, points string) verdict {
	var ok [3]bool
	f.hour, ok[0] = p.number()
	if !ok[0] || !p.take(':') {
		return no
	}
	f.minute, ok[1] = p.number()
	if !ok[1] || !p.take(':') {
		return no
	}
	f.second, ok[2] = p.number()
	if !ok[2] || f.hour > maxHour || f.minute > 59 {
		return no
	}
	if f.second > 61 || p.i < len(p.s) && (wordByte(p.s[p.i]) || p.s[p.i] >= utf8.RuneSelf) {
		return unsure
	}
	for k := range len(points) {
		if p.peek() == points[k] {
			at, v := p.i, 0
			p.i++
			for n := p.i; ; v *= 10 {
				d, ok := p.digit()
				if !ok || p.i-n > 6 {
					if p.i-n > 6 || p.i < len(p.s) && (wordByte(p.s[p.i]) || p.s[p.i] >= utf8.RuneSelf) {
						return unsure
					}
					if p.i == n {
						p.i = at
						return yes
					}
					f.nanosecond = v / 10
					for range 9 - (p.i - n) {
						f.nanosecond *= 10
					}
					f.has |= hasFraction
					return yes
				}
				v += d
			}
		}
	}
	return yes
}

// offset reads a zone as %z does; spaces may stand before it.
func (p *scanner) offset(f *stamp, anySpace bool) verdict {
	at := p.i
	for anySpace && p.i < len(p.s) && (p.s[p.i] == ' ' || p.s[p.i] == '\t') {
		p.i++
	}
	if !anySpace && !p.take(' ') {
		return yes
	}
	c := p.peek()
	switch {
	case c == '+' || c == '-':
		sign := 1
		if c == '-' {
			sign = -1
		}
		p.i++
		n := p.i
		h, _ := p.number()
		if p.i-n != 2 || h > 19 {
			return unsure
		}
		p.take(':')
		n = p.i
		m, _ := p.number()
		if p.i-n != 2 || m > 59 || p.i < len(p.s) && (wordByte(p.s[p.i]) || p.s[p.i] >= utf8.RuneSelf) {
			return unsure
		}
		f.zone, f.has = sign*(60*h+m), f.has|hasZone
		return yes
	case c == 'Z':
		p.i++
		if p.i < len(p.s) && (wordByte(p.s[p.i]) || p.s[p.i] >= utf8.RuneSelf) {
			return unsure
		}
		f.zone, f.has = 0, f.has|hasZone
		return yes
	case c == 'U' || c == 'G' || c >= utf8.RuneSelf || c < ' ' && p.i < len(p.s):
		return unsure
	}
	p.i = at
	return yes
}

// matchISO reads 2006-01-02T15:04:05.000000+01:00 and its relatives.
func matchISO(s string, i int) (found, verdict) {
	p := scanner{s, i}
	var f stamp
	var ok bool
	var v verdict
	if f.year, v = p.year(); v != yes {
		return found{}, v
	}
	sep := p.peek()
	if sep != '-' && sep != '/' && sep != '.' {
		return found{}, no
	}
	p.i++
	if f.month, ok = p.number(); !ok || f.month == 0 || f.month > 12 || !p.take(sep) {
		return found{}, no
	}
	if f.day, ok = p.day(); !ok {
		return found{}, no
	}
	if !p.take('T') {
		if !p.take(' ') {
			return found{}, no
		}
		p.take(' ')
	}
	if v = p.clock(&f, 23, ".,"); v != yes {
		return found{}, v
	}
	if v = p.offset(&f, true); v != yes {
		return found{}, v
	}
	f.has |= hasYear | hasMonth | hasDay | hasClockField
	return found{start: i, end: p.i, cut: i, cutEnd: p.i, stamp: f, valid: true}, yes
}

// matchSyslog reads "Jan  2 15:04:05", with a weekday before and a fraction and a year after it.
func matchSyslog(s string, i int) (found, verdict) {
	p := scanner{s, i}
	var f stamp
	if len(s)-i > 4 && s[i+3] == ' ' && weekday(s[i:]) {
		p.i += 4
	}
	var ok bool
	if f.month, ok = monthOf(s[p.i:]); !ok || s[p.i+3] != ' ' {
		return found{}, no
	}
	p.i += 4
	if f.day, ok = p.day(); !ok || !p.take(' ') {
		return found{}, no
	}
	p.take(' ')
	if v := p.clock(&f, 29, "."); v != yes {
		return found{}, v
	}
	f.has |= hasMonth | hasDay | hasClockField
	if at := p.i; p.take(' ') {
		year, v := p.year()
		if v == unsure {
			return found{}, unsure
		}
		if v == no || p.i < len(s) && (wordByte(s[p.i]) || s[p.i] >= utf8.RuneSelf) {
			p.i = at
		} else {
			f.year, f.has = year, f.has|hasYear
		}
	}
	return found{start: i, end: p.i, cut: i, cutEnd: p.i, stamp: f, valid: f.hour < 24}, yes
}

// matchCommonLog reads 02/Jan/2006:15:04:05 -0700.
func matchCommonLog(s string, i int) (found, verdict) {
	p := scanner{s, i}
	var f stamp
	var ok bool
	if f.day, ok = p.day(); !ok {
		return found{}, no
	}
	sep := p.peek()
	if sep != '/' && sep != '-' {
		return found{}, no
	}
	p.i++
	if f.month, ok = monthOf(s[p.i:]); !ok || s[p.i+3] != sep {
		return found{}, no
	}
	p.i += 4
	var v verdict
	if f.year, v = p.year(); v != yes {
		return found{}, v
	}
	if c := p.peek(); c == ' ' || c == ':' {
		p.i++
	}
	if v = p.clock(&f, 23, "."); v != yes {
		return found{}, v
	}
	if v = p.offset(&f, false); v != yes {
		return found{}, v
	}
	f.has |= hasYear | hasMonth | hasDay | hasClockField
	return found{start: i, end: p.i, cut: i, cutEnd: p.i, stamp: f, valid: true}, yes
}

// word3 packs three letters, in lower case.
func word3(s string) uint32 {
	return (uint32(s[0])<<16 | uint32(s[1])<<8 | uint32(s[2])) | 0x202020
}

func monthOf(s string) (int, bool) {
	if len(s) < 4 {
		return 0, false
	}
	switch word3(s) {
	case 'j'<<16 | 'a'<<8 | 'n':
		return 1, true
	case 'f'<<16 | 'e'<<8 | 'b':
		return 2, true
	case 'm'<<16 | 'a'<<8 | 'r':
		return 3, true
	case 'a'<<16 | 'p'<<8 | 'r':
		return 4, true
	case 'm'<<16 | 'a'<<8 | 'y':
		return 5, true
	case 'j'<<16 | 'u'<<8 | 'n':
		return 6, true
	case 'j'<<16 | 'u'<<8 | 'l':
		return 7, true
	case 'a'<<16 | 'u'<<8 | 'g':
		return 8, true
	case 's'<<16 | 'e'<<8 | 'p':
		return 9, true
	case 'o'<<16 | 'c'<<8 | 't':
		return 10, true
	case 'n'<<16 | 'o'<<8 | 'v':
		return 11, true
	case 'd'<<16 | 'e'<<8 | 'c':
		return 12, true
	}
	return 0, false
}

func weekday(s string) bool {
	switch word3(s) {
	case 'm'<<16 | 'o'<<8 | 'n', 't'<<16 | 'u'<<8 | 'e', 'w'<<16 | 'e'<<8 | 'd', 't'<<16 | 'h'<<8 | 'u', 'f'<<16 | 'r'<<8 | 'i',
		's'<<16 | 'a'<<8 | 't', 's'<<16 | 'u'<<8 | 'n':
		return true
	}
	return false
}
