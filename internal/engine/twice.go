package engine

import (
	"net/netip"
	"time"
)

// twice tells when two logs of one server speak of the same failure: a web server writes a refused log-in or a missing script into its error log
// and, as status 401 or 404, into its access log. Lines of other logs that match the same pattern, such as those of two virtual hosts, are
// failures of their own.
type twice struct {
	seen map[attempt]*moment
}

// attempt is what the two lines of one failure have in common.
type attempt struct {
	jail   int
	source netip.Addr
	user   string
}

// moment holds the failures that were told by one log only so far.
type moment struct {
	since  time.Time
	single []told
}

// told counts the failures that a log told by one pattern and no other log has told.
type told struct {
	log   string
	regex int
	n     int
}

const (
	momentLength = 2 * time.Second // a server writes both lines within one request
	momentsKept  = 4096
)

// again says that another log has told of this failure already.
func (t *twice) again(key attempt, log string, regex int, at time.Time) bool {
	m := t.seen[key]
	if m == nil || at.Sub(m.since).Abs() > momentLength {
		if t.seen == nil || len(t.seen) >= momentsKept {
			t.seen = make(map[attempt]*moment)
		}
		t.seen[key] = &moment{since: at, single: []told{{log, regex, 1}}}
		return false
	}
	own := -1
	for i := range m.single {
		switch s := &m.single[i]; {
		case s.log == log && s.regex == regex:
			own = i
		case s.log != log && s.regex != regex && s.n > 0:
			s.n--
			return true
		}
	}
	if own < 0 {
		m.single = append(m.single, told{log, regex, 0})
		own = len(m.single) - 1
	}
	m.single[own].n++
	return false
}
