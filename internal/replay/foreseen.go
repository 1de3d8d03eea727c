package replay

import "time"

const (
	foresee = 8         // records read further than the one in hand, at least
	far     = time.Hour // more than the disorder that flushing, merging and summer time leave in a file
)

// foreseen reads a file some records further than the one in hand. So a record is known to be wrongly dated, where those after it are much
// older: it cannot have been written after them, and in a merge of files all the others would have to wait for it.
type foreseen[R any] struct {
	read  func(*R) error     // reads one record
	dated func(*R) time.Time // tells its time

	ring     []R // those read further, and the one in hand
	first, n int // of those read further
	err      error
	at       time.Time // of the one in hand; not later than that of those after it, but for far
	ahead    bool      // its own time is later
	back     bool      // it is older by more than far than the one before it: the clock was set back, or another file was appended
}

// take takes the next record in hand, having read want records and at least foresee further.
func (f *foreseen[R]) take(want int) (*R, error) {
	want = max(want, foresee)
	if len(f.ring) < want+2 {
		ring := make([]R, want+2)
		for i := range f.n {
			ring[i] = f.ring[(f.first+i)%len(f.ring)]
		}
		f.ring, f.first = ring, 0
	}
	for f.n <= want && f.err == nil {
		if f.err = f.read(&f.ring[(f.first+f.n)%len(f.ring)]); f.err == nil {
			f.n++
		}
	}
	if f.n == 0 {
		return nil, f.err
	}
	r := &f.ring[f.first]
	f.first = (f.first + 1) % len(f.ring)
	f.n--
	before := f.at
	f.at, f.ahead = f.dated(r), false
	if f.at.Sub(before) > far {
		for i := range f.n {
			if t := f.dated(&f.ring[(f.first+i)%len(f.ring)]); !t.IsZero() && f.at.Sub(t) > far {
				f.at, f.ahead = t, true
			}
		}
	}
	f.back = !before.IsZero() && before.Sub(f.at) > far
	return r, nil
}
