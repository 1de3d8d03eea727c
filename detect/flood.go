package detect

import "time"

// flood notices when new sources come at a rate far above the usual.
type flood struct {
	minute  uint32
	count   uint32
	recent  [60]uint32 // new sources of the last minutes
	filled  int
	median  uint32
	minutes uint64 // minutes spent in flood mode
	on      bool
}

const (
	floodFactor = 10
	floodLeast  = 300 // new sources a minute below which nothing is a flood
)

// first counts a first-seen source and says whether there is a flood.
func (f *flood) first(now uint32) bool {
	if minute := now / 60; minute > f.minute {
		flooded := f.count > f.limit()
		if f.minute != 0 {
			f.close(minute-f.minute, flooded)
		}
		// A flood goes on until a whole minute was without one, or else each minute of it would begin with some of its sources let in.
		f.on = flooded && minute == f.minute+1
		f.minute, f.count = minute, 0
		if f.on {
			f.minutes++
		}
	}
	f.count++
	if !f.on && f.count > f.limit() {
		f.on = true
		f.minutes++
	}
	return f.on
}

func (f *flood) limit() uint32 { return max(floodLeast, floodFactor*f.median) }

// close files the minute that ended and the silent ones after it. A minute of flood is filed as the median, so that a long flood does not
// become the usual.
func (f *flood) close(passed uint32, flooded bool) {
	v := f.count
	if flooded {
		v = f.median
	}
	for i := range min(passed, uint32(len(f.recent))) {
		f.recent[(f.minute+i)%uint32(len(f.recent))] = v
		v = 0
		f.filled = min(f.filled+1, len(f.recent))
	}
	var sorted [60]uint32
	copy(sorted[:], f.recent[:])
	n := len(sorted)
	for i := 1; i < n; i++ { // insertion sort: 60 numbers once a minute
		for j := i; j > 0 && sorted[j] < sorted[j-1]; j-- {
			sorted[j], sorted[j-1] = sorted[j-1], sorted[j]
		}
	}
	f.median = sorted[n-1-f.filled/2]
}

// span is a duration as a person says it.
func span(d time.Duration) string {
	switch {
	case d < 2*time.Second:
		return "one second"
	case d < 2*time.Minute:
		return plural(int(d/time.Second), "second")
	case d < 2*time.Hour:
		return plural(int(d/time.Minute), "minute")
	case d < 48*time.Hour:
		return plural(int(d.Round(time.Hour)/time.Hour), "hour")
	default:
		return plural(int(d/(24*time.Hour)), "day")
	}
}
