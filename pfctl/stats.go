package pfctl

import (
	"errors"
	"maps"
	"time"
)

// Stats are figures about the driver's own work since it was made.
type Stats struct {
	Runs        map[string]uint64        // runs of pfctl by what they did: add, delete, replace, show, load, kill-states, …
	RunTime     map[string]time.Duration // their time in sum
	Errors      map[string]uint64        // failed runs by kind: missing, busy, denied, limit, too-many, stuck, killed, syntax, no-pf, other
	Added       uint64                   // addresses handed to PF
	Deleted     uint64
	Refused     uint64 // addresses refused because they may not be banned
	Reconciles  uint64
	Heals       map[string]uint64 // what had to be repaired: table (it was gone), flags, rules, missing (addresses), extra, negated
	Reloads     uint64            // loads of our anchor
	KilledRuns  uint64            // -k runs
	KillDropped uint64            // addresses whose states were not killed because the queue was full
	Skipped     uint64            // lines of pfctl's output that were not understood
	CounterRuns uint64

	// Now.
	Pending   int // changes not brought to PF yet
	KillQueue int
	Desired   map[Table]int
	Present   map[Table]int // of ours, as far as known
	Foreign   map[Table]int
}

func (s *Stats) init() {
	s.Runs, s.Errors, s.Heals = map[string]uint64{}, map[string]uint64{}, map[string]uint64{}
	s.RunTime = map[string]time.Duration{}
}

func (s *Stats) note(verb string, took time.Duration, err error) {
	s.Runs[verb]++
	s.RunTime[verb] += took
	if err != nil {
		s.Errors[ErrorKind(err)]++
	}
}

// ErrorKind names an error of this package in one word, as in Stats.Errors.
func ErrorKind(err error) string {
	for _, k := range []struct {
		err  error
		name string
	}{{ErrTableMissing, "missing"}, {ErrBusy, "busy"}, {ErrNotPermitted, "denied"}, {ErrLimit, "limit"}, {ErrTooMany, "too-many"},
		{ErrStuck, "stuck"}, {ErrKilled, "killed"}, {ErrSyntax, "syntax"}, {ErrNoPF, "no-pf"}, {ErrRefused, "refused"}} {
		if errors.Is(err, k.err) {
			return k.name
		}
	}
	return "other"
}

// Stats returns the figures as they are now.
func (d *Driver) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.stats
	s.Runs, s.Errors, s.Heals, s.RunTime = maps.Clone(s.Runs), maps.Clone(s.Errors), maps.Clone(s.Heals), maps.Clone(s.RunTime)
	s.Desired, s.Present, s.Foreign = map[Table]int{}, map[Table]int{}, map[Table]int{}
	for _, t := range d.tables {
		s.Pending += len(t.dirty)
		s.Desired[t.part], s.Present[t.part], s.Foreign[t.part] = len(t.desired), len(t.in), len(t.foreign)
	}
	s.KillQueue, s.KillDropped = d.kills.len()
	return s
}
