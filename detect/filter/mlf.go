package filter

import (
	"slices"
	"strings"
	"time"
)

const (
	maxRemembered = 100
	rememberFor   = 5 * time.Minute
)

// memory holds the unfinished failures of a filter by their multi-line id (F-MLFID: one connection, say).
type memory struct {
	byID           map[string]*failure
	index          idIndex // of the ids in byID
	oldest, newest *failure
	spare          *failure // dropped last, to be used again
	forgotten      uint64
}

// failure is what is known of one multi-line id, or of one match if it has none.
type failure struct {
	id           string
	older, newer *failure
	fields       fields
	lists        map[string][]string
	users        []string // distinct ones, as they appeared
	matches      int      // lines that count and were not reported yet
	quietMatches int      // lines that would count if a failure came
	pending      bool     // a failure came before any address did
	quiet        bool     // the last line was no failure (F-NOFAIL)
	reported     bool     // a failure was reported before (F-IFNONE, our own addition: a match that counts only if none was)
	told         string   // address for which a failure was reported before the line that tells it (F-EARLY, our own addition), and that line is to come
	gained       bool     // the last line was a success (F-MLFGAINED)
	seen         time.Time
}

func (m *memory) get(id string, now time.Time) *failure {
	f := m.byID[id]
	if f != nil && now.Sub(f.seen) > rememberFor {
		m.drop(f)
		return nil
	}
	return f
}

// drop forgets a failure. What it holds may be read until the next put.
func (m *memory) drop(f *failure) {
	delete(m.byID, f.id)
	m.index.remove(f.id)
	if f.older != nil {
		f.older.newer = f.newer
	} else {
		m.oldest = f.newer
	}
	if f.newer != nil {
		f.newer.older = f.older
	} else {
		m.newest = f.older
	}
	m.spare = f
}

// put remembers a copy of a match and returns it.
func (m *memory) put(match *failure, now time.Time) *failure {
	if m.byID == nil {
		m.byID = map[string]*failure{}
	}
	if len(m.byID) >= maxRemembered {
		m.forgotten++
		m.drop(m.oldest)
	}
	f := m.spare
	if m.spare = nil; f == nil {
		f = &failure{}
	}
	*f = failure{
		fields: match.fields.detached(f.fields[:0]), lists: cloneLists(match.lists), users: f.users[:0], matches: match.matches, seen: now,
		older: m.newest,
	}
	f.id = f.fields.get("mlfid")
	if m.newest != nil {
		m.newest.newer = f
	} else {
		m.oldest = f
	}
	m.newest = f
	m.byID[f.id] = f
	m.index.add(f.id)
	return f
}

func cloneLists(lists map[string][]string) map[string][]string {
	if lists == nil {
		return nil
	}
	out := make(map[string][]string, len(lists))
	for k, v := range lists {
		for _, s := range v {
			out[k] = append(out[k], strings.Clone(s))
		}
	}
	return out
}

// merge joins a match with what is known of its id. lines is how many lines it matched.
func (m *memory) merge(id string, match *failure, lines int, now time.Time, fresh bool) *failure {
	gained := match.fields.get("mlfgained") != ""
	quiet := gained || match.fields.get("nofail") != ""
	forget := match.fields.get("mlfforget") != ""
	match.fields.remove("mlfforget")
	if gained {
		match.fields.remove("nofail")
	}
	f := m.get(id, now)
	switch {
	case f != nil:
		f.overlay(match, gained, fresh)
		if forget {
			m.drop(f)
		}
	case forget:
		f = match
	default:
		f = m.put(match, now)
	}
	if f != match && match.fields.get("user") != "" {
		f.addUser(f.fields.get("user"))
	}
	f.quiet, f.gained = quiet && !gained, gained
	if f.pending || len(f.users) > 1 {
		// A failure is due, or several users were tried on one connection: neither a success nor a harmless line undoes that.
		f.fields.remove("nofail")
		f.fields.remove("mlfgained")
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

// overlay puts the fields of the next line of the same id over those known.
func (f *failure) overlay(match *failure, gained, fresh bool) {
	wasQuiet := f.quiet || f.gained
	if gained {
		f.pending = false
	}
	if !wasQuiet && !f.pending {
		f.matches = 0 // reported already
	}
	f.fields.remove("nofail")
	f.fields.remove("mlfgained")
	if fresh && (match.fields.get("ip4") != "" || match.fields.get("ip6") != "" || match.fields.get("dns") != "") {
		f.fields.remove("ip4")
		f.fields.remove("ip6")
		f.fields.remove("dns")
	}
	f.fields.remove("repeats")
	for _, v := range match.fields {
		if old, known := f.fields.lookup(v.name); !known || old != v.value {
			f.fields.set(v.name, strings.Clone(v.value))
		}
	}
	for k, v := range cloneLists(match.lists) {
		if f.lists == nil {
			f.lists = map[string][]string{}
		}
		f.lists[k] = v
	}
}

// address is what a match names as its source, as it stands in the line.
func (f *failure) address() string {
	for _, name := range [...]string{"ip4", "ip6", "dns"} {
		if a := f.fields.get(name); a != "" {
			return a
		}
	}
	return ""
}

func (f *failure) addUser(user string) {
	if user != "" && !slices.Contains(f.users, user) {
		f.users = append(f.users, user)
	}
}
