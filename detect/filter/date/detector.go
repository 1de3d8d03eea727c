package date

import "time"

// unusedAfter is how long, in seconds, a format must not have been used before any other may take its place.
const unusedAfter = 300

// slot is a template in a detector's order, with its history.
type slot struct {
	*template
	hits     int
	lastUsed int64 // Unix seconds
	distance int   // of its last match from the beginning of the line
}

// Detector finds the time stamp of one line after the other. It remembers which formats this log uses and where, as fail2ban
// does, so lines must come in their order. It is not safe for concurrent use.
type Detector struct {
	slots       []slot
	last        int // index of the template used last, -1 if none
	firstUnused int
	place       place // of the last match
	steady      steady
}

// place is where a match lay, with the characters around its two ends.
type place struct {
	start, end                           int
	beforeStart, atStart, atEnd, lastOne byte
}

// NewDetector starts a detector for one log.
func (f *Format) NewDetector() *Detector {
	d := &Detector{last: -1, slots: make([]slot, len(f.templates))}
	for i, t := range f.templates {
		d.slots[i] = slot{template: t}
	}
	return d
}

// Match is a time stamp found in a line. It is valid until the detector's next line.
type Match struct {
	Start, End int  // bytes that are taken out of the line (the pattern's first group)
	Valid      bool // it is a date; if not, the line counts as one without
	Repeated   bool // its meaning is that of the last match
	SameDay    bool // its meaning is that of the last match but for the clock
	Pattern    string
	stamp      *stamp
}

// Empty says that the format asks for no time at all: there is nothing between Start and End.
func (m *Match) Empty() bool { return m.Start == m.End }

// Zoned reports whether the stamp names its zone.
func (m *Match) Zoned() bool { return m.stamp.has&hasZone != 0 }

// Yearless says that the year of Time is a guess.
func (m *Match) Yearless() bool { return m.stamp.has&(hasYear|hasEpoch) == 0 }

// Time is the point in time. ok is false if the stamp is no date.
func (m *Match) Time(ref Reference) (t time.Time, ok bool) {
	if !m.Valid || m.Empty() {
		return time.Time{}, false
	}
	return m.stamp.Time(ref)
}

// Find looks for the time stamp of a line. unix is the present time in Unix seconds; it only ages the order of formats.
func (d *Detector) Find(line string, unix int64) (Match, bool) {
	tried, f, i := -1, found{}, -1
	best, bestIndex := found{}, -1
	if d.last >= 0 {
		s := &d.slots[d.last]
		tried = d.last
		if s.anchored && s.fast != nil && s.fastSkip >= 0 { // it wins as it did, where it matches at all
			switch d.byHand(s, line) {
			case yes:
				s.hits++
				s.lastUsed, s.distance = unix, d.steady.found.start
				if d.firstUnused == d.last {
					d.firstUnused++
				}
				return d.steady.match(s.template), true
			case no:
				f, i = d.try(line, tried, best, bestIndex)
				return d.end(line, &f, i, unix)
			}
		}
		if got, ok := d.again(s, line); ok {
			if len(d.slots) == 1 || s.anchored || got.start == d.place.start && got.end == d.place.end {
				f, i = got, d.last
			} else {
				best, bestIndex = got, d.last
			}
		}
	}
	if i < 0 {
		f, i = d.try(line, tried, best, bestIndex)
	}
	return d.end(line, &f, i, unix)
}

// end makes a match of what was found by the template at i, if any.
func (d *Detector) end(line string, f *found, i int, unix int64) (Match, bool) {
	if i < 0 {
		return Match{}, false
	}
	d.won(line, *f, i, unix)
	d.steady.forget(f)
	return d.steady.match(d.slots[d.last].template), true
}

// byHand reads the stamp of a line by the anchored template used last.
func (d *Detector) byHand(s *slot, line string) verdict {
	if d.steady.read(s.template, line) {
		return yes
	}
	d.steady.by = nil
	f, v := s.searchFast(line, 0)
	if v == yes {
		d.steady.remember(s.template, line, &f)
		d.place = placeOf(line, f.start, f.end)
	}
	return v
}

// again searches the template used last, at its last place if the line looks the same there.
func (d *Detector) again(s *slot, line string) (found, bool) {
	if s.anchored {
		return s.search(line, 0, len(line))
	}
	p := &d.place
	if p.end <= len(line) && p.start < len(line) && p.start < p.end {
		now := placeOf(line, p.start, p.end)
		same := (now.beforeStart == p.beforeStart || now.atStart == p.atStart && !alphanumeric(p.atStart)) &&
			(now.atEnd == p.atEnd || now.lastOne == p.lastOne && !alphanumeric(p.lastOne))
		if same {
			return s.search(line, p.start, p.end)
		}
	}
	return s.search(line, 0, len(line))
}

// try goes through the templates in their present order, without the one already tried.
func (d *Detector) try(line string, tried int, best found, bestIndex int) (found, int) {
	for i := range d.slots {
		if i == tried {
			continue
		}
		s := &d.slots[i]
		f, ok := s.search(line, 0, len(line))
		if !ok {
			continue
		}
		if i+1 == len(d.slots) || s.anchored || f.start == 0 && s.hits > 0 && d.slots[i+1].hits == 0 {
			return f, i
		}
		if f.start > s.distance || f.start > d.place.start {
			if bestIndex < 0 || f.start < best.start {
				best, bestIndex = f, i
			}
			continue
		}
		return f, i
	}
	return best, bestIndex
}

func (d *Detector) won(line string, f found, i int, unix int64) {
	s := &d.slots[i]
	s.hits++
	s.lastUsed = unix
	s.distance = f.start
	if d.firstUnused == i {
		d.firstUnused++
	}
	d.place = placeOf(line, f.start, f.end)
	if i != 0 && i != d.last {
		i = d.reorder(i)
	}
	d.last = i
}

func (s *slot) score() float64 {
	return float64(s.hits) * s.weight / float64(max(1, s.distance))
}

// reorder moves the template at i forward: to the first unused place or half the way, else by one place, else not at all.
func (d *Detector) reorder(i int) int {
	s := d.slots[i]
	movable := func(to int) bool {
		return s.score() > d.slots[to].score() || s.lastUsed-unusedAfter > d.slots[to].lastUsed
	}
	to := i / 2
	if d.firstUnused < i {
		to = d.firstUnused
	}
	if !movable(to) {
		if to == i-1 {
			return i
		}
		if to = i - 1; !movable(to) {
			return i
		}
	}
	copy(d.slots[to+1:i+1], d.slots[to:i])
	d.slots[to] = s
	for d.firstUnused < len(d.slots) && d.slots[d.firstUnused].hits > 0 {
		d.firstUnused++
	}
	return to
}

func placeOf(line string, start, end int) place {
	p := place{start: start, end: end}
	if start > 0 {
		p.beforeStart = line[start-1]
	}
	if start < len(line) {
		p.atStart = line[start]
	}
	if end < len(line) {
		p.atEnd = line[end]
	}
	if end > 0 {
		p.lastOne = line[end-1]
	}
	return p
}

func alphanumeric(c byte) bool { return c != '_' && wordByte(c) || c >= 0x80 }

// Month is the month that the stamp names, 0 if none.
func (m *Match) Month() time.Month {
	if m.stamp.has&hasMonth == 0 {
		return 0
	}
	return time.Month(m.stamp.month)
}
