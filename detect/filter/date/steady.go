package date

import (
	"time"
	"unicode/utf8"
)

// steady remembers the last stamp that was read by hand at the beginning of a line. The lines of a log are stamped alike, and most
// on the same day: then only the digits of the clock are read anew.
type steady struct {
	by       *template // nil: nothing is remembered
	found    found
	again    bool   // the last stamp was the same as the one before it
	sameDay  bool   // it was the same but for its clock
	before   []byte // what stands before the clock, from the beginning of the line
	point    byte   // between the clock and the fraction
	fraction int    // digits after the point; 0: there is no fraction
	behind   []byte // what of the stamp stands behind those: a year, a zone
}

const clockLength = len("15:04:05")

// remember takes the stamp that was found in a line.
func (k *steady) remember(t *template, line string, f *found) {
	k.forget(f)
	at := clockAt(line, f)
	if at < 0 || !f.valid {
		return
	}
	rest := line[at+clockLength : f.end]
	k.fraction = 0
	if f.stamp.has&hasFraction != 0 {
		k.point = rest[0]
		for k.fraction+1 < len(rest) && digit(rest[k.fraction+1]) {
			k.fraction++
		}
		rest = rest[1+k.fraction:]
	}
	k.by, k.before, k.behind = t, append(k.before[:0], line[:at]...), append(k.behind[:0], rest...)
}

// clockAt is where in a line the clock of its stamp stands, two digits a field; -1 if it does not.
func clockAt(line string, f *found) int {
	for i := f.cut; i+clockLength <= f.end; i++ {
		h, m, s, ok := clock(line[i:])
		if ok && h == f.stamp.hour && m == f.stamp.minute && s == f.stamp.second && (i == 0 || !digit(line[i-1])) {
			return i
		}
	}
	return -1
}

// clock reads hh:mm:ss; seconds of which there is not always one are left to others.
func clock(s string) (h, m, sec int, ok bool) {
	if len(s) < clockLength || s[2] != ':' || s[5] != ':' {
		return 0, 0, 0, false
	}
	a, b, c, d, e, f := s[0]-'0', s[1]-'0', s[3]-'0', s[4]-'0', s[6]-'0', s[7]-'0'
	h, m, sec = 10*int(a)+int(b), 10*int(c)+int(d), 10*int(e)+int(f)
	return h, m, sec, a <= 2 && b <= 9 && h <= 23 && c <= 5 && d <= 9 && e <= 5 && f <= 9
}

// read reads the stamp of a line by what is remembered. If it cannot, nothing is known of the line.
func (k *steady) read(t *template, line string) bool {
	at := len(k.before)
	digits := at + clockLength
	if k.fraction > 0 {
		digits += 1 + k.fraction
	}
	end := digits + len(k.behind)
	if k.by != t || end+2 > len(line) || line[:at] != string(k.before) || line[digits:end] != string(k.behind) {
		return false
	}
	h, m, s, ok := clock(line[at:])
	if !ok || !k.ends(line[end], line[end+1]) {
		return false
	}
	nano := 0
	if k.fraction > 0 {
		if nano, ok = fraction(line[at+clockLength+1 : digits]); !ok || line[at+clockLength] != k.point {
			return false
		}
	}
	st := &k.found.stamp
	k.sameDay = true
	k.again = st.hour == h && st.minute == m && st.second == s && st.nanosecond == nano
	st.hour, st.minute, st.second, st.nanosecond = h, m, s, nano
	return true
}

// fraction reads the digits of a fraction of a second.
func fraction(text string) (nano int, ok bool) {
	for i := range len(text) {
		if !digit(text[i]) {
			return 0, false
		}
		nano = 10*nano + int(text[i]-'0')
	}
	for range 9 - len(text) {
		nano *= 10
	}
	return nano, true
}

// ends reports whether a stamp surely goes on no further where these two characters follow it.
func (k *steady) ends(next, second byte) bool {
	switch {
	case len(k.behind) > 0: // it has all that there can be
		return !wordByte(next) && next < utf8.RuneSelf
	case next == ']':
		return true
	case next != ' ' || second <= ' ' || second >= utf8.RuneSelf:
		return false
	case k.found.stamp.has&hasYear == 0:
		return second != '2' // of a year
	}
	return second != '+' && second != '-' && second != 'Z' && second != 'U' && second != 'G' // of a zone
}

// forget takes a stamp that other ways found.
func (k *steady) forget(f *found) {
	k.by, k.found, k.again, k.sameDay = nil, *f, false, false
}

func (k *steady) match(t *template) Match {
	f := &k.found
	return Match{Start: f.cut, End: f.cutEnd, Valid: f.valid, Repeated: k.again, SameDay: k.sameDay, Pattern: t.name, stamp: &f.stamp}
}

func digit(c byte) bool { return c-'0' <= 9 }

// Day is a day to which clocks are added to come to points in time. The zero value is none.
type Day struct {
	begin    time.Time
	now      time.Time // that was asked of
	yearless bool
	fraction bool
}

// Day is the day of a stamp, if it is one without change of the clocks, and all of it lies in the same year as seen from the reference.
func (m *Match) Day(ref Reference) (d Day, ok bool) {
	if !m.Valid || m.Empty() || m.stamp.has&hasEpoch != 0 || m.stamp.has&(hasMonth|hasDay|hasClockField) != hasMonth|hasDay|hasClockField {
		return Day{}, false
	}
	st := *m.stamp
	st.hour, st.minute, st.second, st.nanosecond = 0, 0, 0, 0
	begin, ok := st.Time(ref)
	st.hour, st.minute, st.second = 23, 59, 59
	end, endOK := st.Time(ref)
	if !ok || !endOK || end.Sub(begin) != 24*time.Hour-time.Second {
		return Day{}, false
	}
	return Day{begin, ref.Now, m.Yearless(), ref.Fraction}, true
}

// Holds reports whether a clock of the same day, seen from this reference, may be added to it.
func (d *Day) Holds(ref *Reference) bool {
	return !d.begin.IsZero() && (!d.yearless || ref.Now == d.now)
}

// On is the time of a stamp of that day.
func (m *Match) On(d *Day) time.Time {
	since := time.Duration(3600*m.stamp.hour+60*m.stamp.minute+m.stamp.second) * time.Second
	if d.fraction {
		since += time.Duration(m.stamp.nanosecond)
	}
	return d.begin.Add(since)
}
