package engine

import (
	"net/netip"
	"time"
)

// twice tells when two logs of one server speak of the same failure: a web server writes a refused log-in or a missing script into its error log
// and, as status 401 or 404, into its access log. Within a moment, a failure counts as often as the log that tells it most often.
type twice struct {
	seen map[attempt]*moment
}

// attempt is what the two lines of one failure have in common.
type attempt struct {
	jail   int
	source netip.Addr
	user   string
}

// moment counts the failures that each log told.
type moment struct {
	since   time.Time
	counted int
	logs    []told
}

type told struct {
	log string
	n   int
}

const (
	momentLength = 2 * time.Second // a server writes both lines within one request
	momentsKept  = 4096
)

// again says that another log has told of this failure already.
func (t *twice) again(jail int, source netip.Addr, user, log string, at time.Time) bool {
	key := attempt{jail, source, user}
	m := t.seen[key]
	if m == nil || at.Sub(m.since).Abs() > momentLength {
		if t.seen == nil || len(t.seen) >= momentsKept {
			t.seen = make(map[attempt]*moment)
		}
		t.seen[key] = &moment{since: at, counted: 1, logs: []told{{log, 1}}}
		return false
	}
	for i := range m.logs {
		if l := &m.logs[i]; l.log == log {
			l.n++
			return !m.count(l.n)
		}
	}
	m.logs = append(m.logs, told{log, 1})
	return !m.count(1)
}

// count raises what was counted to n and says whether that was more.
func (m *moment) count(n int) bool {
	if n <= m.counted {
		return false
	}
	m.counted = n
	return true
}
