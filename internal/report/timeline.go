package report

import "time"

// Bins is how many steps a timeline has at most.
const Bins = 96

// Bin is one step of the timeline.
type Bin struct {
	Blocked  uint64 `json:"blocked"`  // packets
	Failures uint64 `json:"failures"` // lines that count against somebody
	Bans     uint64 `json:"bans"`
	Stopped  uint64 `json:"stopped"`
}

func (b *Bin) add(o Bin) {
	b.Blocked += o.Blocked
	b.Failures += o.Failures
	b.Bans += o.Bans
	b.Stopped += o.Stopped
}

// Timeline counts over time in a fixed number of steps, whose width doubles whenever the records reach beyond it.
type Timeline struct {
	Start time.Time     `json:"start"`
	Width time.Duration `json:"-"`
	Bins  []Bin         `json:"bins"`
}

func (t *Timeline) add(at time.Time, b Bin) {
	if at.IsZero() {
		return
	}
	if t.Bins == nil {
		t.Start, t.Width, t.Bins = at.Truncate(time.Second), time.Second, make([]Bin, 0, Bins)
	}
	if at.Before(t.Start) { // records may come a little late: they make room at the front
		t.lead(at)
	}
	for at.Sub(t.Start) >= t.Width*Bins {
		t.double()
	}
	i := int(at.Sub(t.Start) / t.Width)
	for len(t.Bins) <= i {
		t.Bins = append(t.Bins, Bin{})
	}
	t.Bins[i].add(b)
}

func (t *Timeline) double() {
	// Steps stay aligned to multiples of their width, so that the same records give the same picture whatever came first.
	start := t.Start.Truncate(2 * t.Width)
	shift := int(t.Start.Sub(start) / t.Width)
	var merged []Bin
	for i, b := range t.Bins {
		j := (i + shift) / 2
		for len(merged) <= j {
			merged = append(merged, Bin{})
		}
		merged[j].add(b)
	}
	t.Start, t.Width, t.Bins = start, 2*t.Width, merged
}

func (t *Timeline) lead(at time.Time) {
	end := t.Start.Add(time.Duration(len(t.Bins)) * t.Width)
	for end.Sub(at.Truncate(t.Width)) > t.Width*Bins {
		t.double()
		end = t.Start.Add(time.Duration(len(t.Bins)) * t.Width)
	}
	start := at.Truncate(t.Width)
	if n := int(t.Start.Sub(start) / t.Width); n > 0 {
		t.Bins = append(make([]Bin, n, Bins), t.Bins...)
		t.Start = start
	}
}
