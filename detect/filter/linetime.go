package filter

import (
	"time"

	"pfwarden/capture"
	"pfwarden/detect/filter/date"
)

// time is when a stamp says. Lines of the same second share the answer, and those of one day most of the work.
func (g *group) time(m *date.Match, line *capture.Line, now time.Time) (time.Time, bool) {
	ref := g.reference(m, line, now)
	same := ref.Now == g.lastRef
	if same && m.Repeated {
		return g.lastTime, g.lastOK
	}
	g.lastRef = ref.Now
	switch {
	case !m.SameDay:
		g.day = date.Day{}
	case g.day.Holds(&ref):
		g.lastTime, g.lastOK = m.On(&g.day), true
		return g.lastTime, g.lastOK
	case same || !m.Yearless():
		g.day, _ = m.Day(ref)
	}
	g.lastTime, g.lastOK = m.Time(ref)
	return g.lastTime, g.lastOK
}

// reference chooses what supplies year and zone.
func (g *group) reference(m *date.Match, line *capture.Line, now time.Time) date.Reference {
	ref := date.Reference{Now: now, Location: g.options.Location, Fraction: g.options.Fraction}
	if !m.Yearless() || !g.options.Replay && g.options.Year == 0 {
		return ref
	}
	loc := ref.Location
	if loc == nil {
		loc = time.Local
	}
	if g.options.Year == 0 {
		if !line.Modified.IsZero() {
			ref.Now = line.Modified
		}
		return ref
	}
	month := m.Month()
	if g.lastMonth >= time.July && month != 0 && g.lastMonth-month > 6 {
		g.rolled++
	} else if month >= time.July && g.lastMonth != 0 && month-g.lastMonth > 6 && g.rolled > 0 {
		g.rolled-- // a late line of the old year
	}
	if month != 0 {
		g.lastMonth = month
	}
	if year := g.options.Year + g.rolled; year != g.yearOf {
		g.yearOf, g.yearEnd = year, time.Date(year, time.December, 31, 23, 59, 59, 0, loc)
	}
	ref.Now = g.yearEnd
	return ref
}
