package filter

import (
	"slices"
	"time"
)

const (
	maxRemembered = 100
	rememberFor   = 5 * time.Minute
)

// memory holds the unfinished failures of a filter by their multi-line id (F-MLFID: one connection, say).
type memory struct {
	byID      map[string]*failure
	order     []string // oldest first
	forgotten uint64
}

// failure is what is known of one multi-line id, or of one match if it has none.
type failure struct {
	fields       map[string]string
	lists        map[string][]string
	users        []string // distinct ones, as they appeared
	matches      int      // lines that count and were not reported yet
	quietMatches int      // lines that would count if a failure came
	pending      bool     // a failure came before any address did
	quiet        bool     // the last line was no failure (F-NOFAIL)
	reported     bool     // a failure was reported before (F-IFNONE, our own addition: a match that counts only if none was)
	gained       bool     // the last line was a success (F-MLFGAINED)
	seen         time.Time
}

func (m *memory) get(id string, now time.Time) *failure {
	f := m.byID[id]
	if f != nil && now.Sub(f.seen) > rememberFor {
		m.drop(id)
		return nil
	}
	return f
}

func (m *memory) drop(id string) {
	if _, ok := m.byID[id]; ok {
		delete(m.byID, id)
		m.order = slices.DeleteFunc(m.order, func(s string) bool { return s == id })
	}
}

func (m *memory) put(id string, f *failure, now time.Time) {
	if m.byID == nil {
		m.byID = map[string]*failure{}
	}
	if len(m.order) >= maxRemembered {
		m.forgotten++
		m.drop(m.order[0])
	}
	f.seen = now
	m.byID[id] = f
	m.order = append(m.order, id)
}

// merge joins a match with what is known of its id. lines is how many lines it matched.
func (m *memory) merge(id string, match *failure, lines int, now time.Time, fresh bool) *failure {
	gained := match.fields["mlfgained"] != ""
	quiet := gained || match.fields["nofail"] != ""
	forget := match.fields["mlfforget"] != ""
	delete(match.fields, "mlfforget")
	if gained {
		delete(match.fields, "nofail")
	}
	f := m.get(id, now)
	switch {
	case f != nil:
		wasQuiet := f.quiet || f.gained
		if gained {
			f.pending = false
		}
		if !wasQuiet && !f.pending {
			f.matches = 0 // reported already
		}
		delete(f.fields, "nofail")
		delete(f.fields, "mlfgained")
		if fresh && (match.fields["ip4"] != "" || match.fields["ip6"] != "" || match.fields["dns"] != "") {
			delete(f.fields, "ip4")
			delete(f.fields, "ip6")
			delete(f.fields, "dns")
		}
		delete(f.fields, "repeats")
		for k, v := range match.fields {
			f.fields[k] = v
		}
		for k, v := range match.lists {
			if f.lists == nil {
				f.lists = map[string][]string{}
			}
			f.lists[k] = v
		}
		if forget {
			m.drop(id)
		}
	case forget:
		f = match
	default:
		f = match
		m.put(id, f, now)
	}
	if f != match || !forget {
		f.addUser(match.fields["user"])
	}
	f.quiet, f.gained = quiet && !gained, gained
	if f.pending || len(f.users) > 1 {
		// A failure is due, or several users were tried on one connection: neither a success nor a harmless line undoes that.
		delete(f.fields, "nofail")
		delete(f.fields, "mlfgained")
		f.quiet, f.gained, f.pending = false, false, false
		quiet, gained = false, false
	}
	switch {
	case !quiet:
		f.matches += f.quietMatches
		f.quietMatches = 0
		if !gained {
			f.matches += lines
		}
	case !forget:
		f.quietMatches += lines
	}
	return f
}

func (f *failure) addUser(user string) {
	if user != "" && !slices.Contains(f.users, user) {
		f.users = append(f.users, user)
	}
}
