package filter

import "time"

// skew is how far, in normal running, a line's time may lie from the present before it is taken for wrong, and how long the
// last time stamp serves for lines without one.
const skew = 60 * time.Second

// Phase says how the time stamps of a log are interpreted.
type Phase uint8

// The phases of reading a log.
const (
	CatchUp   Phase = iota // reading what was written before the start: old lines are skipped
	Operation              // lines are read as they are written: a time stamp that is more than a minute off is replaced by the current time
	Replay                 // old files: the record's time is the truth
)

// timeStamp is what the date formats found in a line.
type timeStamp struct {
	Time  time.Time
	Found bool // Time is valid
	Empty bool // the format says that lines hold no time
}

// timeRule decides which time a line's failure gets. The zero value is ready; one is kept for each log.
type timeRule struct {
	Phase      Phase
	FindTime   time.Duration // catching up: older lines are passed over; 0 = none
	NoFindTime bool          // neither FindTime nor Operation applies (fail2ban's tests)
	last       time.Time     // the last time stamp that was taken
}

// resolution is what timeRule says of a line.
type resolution struct {
	Time   time.Time
	OK     bool // Time is to be used
	TooOld bool // pass the line over
	Bare   bool // no time is known, and the line counts all the same (NoFindTime)
}

// resolve takes the time stamp of the next line. All lines must be given, since one without a stamp inherits the last.
func (r *timeRule) resolve(s timeStamp, now time.Time) resolution {
	if r.Phase == Replay {
		if s.Found {
			r.last = s.Time
		}
		if r.last.IsZero() {
			return resolution{Time: now, OK: !now.IsZero()}
		}
		return resolution{Time: r.last, OK: true}
	}
	recent := !r.last.IsZero() && r.last.After(now.Add(-skew))
	operating := r.Phase == Operation && !r.NoFindTime
	var t time.Time
	switch {
	case s.Found:
		t, r.last = s.Time, s.Time
	case recent:
		t = r.last
	case s.Empty || operating:
		t = now
	default:
		return resolution{Bare: r.NoFindTime}
	}
	switch {
	case r.NoFindTime:
	case operating:
		if off := t.Sub(now).Truncate(time.Second); off > skew || off < -skew {
			t, r.last = now, now
		}
	case r.FindTime > 0 && t.Before(now.Add(-r.FindTime)):
		return resolution{TooOld: true}
	}
	if !r.NoFindTime && t.After(now) {
		t = now
	}
	return resolution{Time: t, OK: true}
}

// note keeps the last time stamp of a line that interests nobody.
func (r *timeRule) note(s timeStamp, now time.Time) {
	if !s.Found && r.Phase != Operation {
		return
	}
	r.resolve(s, now)
}
