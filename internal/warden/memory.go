package warden

import (
	"slices"
	"strings"
	"time"

	"pfwarden/internal/ledger"
)

const day = 24 * time.Hour

// Scopes: all jails of our own that go by proof share the empty one, so that their bans never double; a jail with a table of its
// own, and each fail2ban jail, decides by itself.
const (
	scopeJail  = "jail/"
	scopeTable = "table/"
)

// ScopeOf is the scope of the bans of a jail with that name, as the ledger keeps it.
func (j Jail) ScopeOf(name string) string { return scopeOf(name, j) }

func scopeOf(name string, j Jail) string {
	switch {
	case j.Fail2ban != nil:
		return scopeJail + name
	case j.Table != "":
		return scopeTable + j.Table
	}
	return ""
}

// memory knows of each source how far up the ladder it was, how often it was banned, and when it was a suspect today. It is
// derived from the ledger at start and bounded: the records that would be forgotten first go first.
type memory struct {
	records map[key]*record
	limit   int
	dropped uint64
}

type record struct {
	step     int
	count    int
	banned   bool      // a ban is in force: not to be forgotten now
	forget   time.Time // of step and count; zero = never
	suspects []time.Time
}

// memoryKey joins the scopes of our own jails: one ladder a source.
func memoryKey(k key) key {
	if !strings.HasPrefix(k.scope, scopeJail) {
		k.scope = ""
	}
	return k
}

// look returns what is known of k at now, nil if nothing is.
func (m *memory) look(k key, now time.Time) *record {
	r := m.records[memoryKey(k)]
	if r == nil {
		return nil
	}
	if r.past(now) {
		r.step, r.count, r.forget = 0, 0, time.Time{}
	}
	r.suspects = slices.DeleteFunc(r.suspects, func(t time.Time) bool { return !t.After(now.Add(-day)) })
	return r
}

func (r *record) past(now time.Time) bool {
	return !r.banned && !r.forget.IsZero() && !r.forget.After(now)
}

func (m *memory) make(k key, now time.Time) *record {
	if r := m.look(k, now); r != nil {
		return r
	}
	if m.records == nil {
		m.records = make(map[key]*record)
	}
	if m.limit > 0 && len(m.records) >= m.limit {
		m.sweep(now)
		m.squeeze()
	}
	r := &record{}
	m.records[memoryKey(k)] = r
	return r
}

// sweep drops what is forgotten.
func (m *memory) sweep(now time.Time) {
	for k, r := range m.records {
		if m.look(k, now); !r.banned && r.count == 0 && r.step == 0 && len(r.suspects) == 0 {
			delete(m.records, k)
		}
	}
}

// squeeze makes a tenth of the room free.
func (m *memory) squeeze() {
	want := m.limit - m.limit/10
	if len(m.records) < want {
		return
	}
	type due struct {
		key key
		at  time.Time
	}
	var list []due
	for k, r := range m.records {
		switch {
		case r.banned:
		case r.count == 0 && r.step == 0 && len(r.suspects) > 0:
			list = append(list, due{k, r.suspects[len(r.suspects)-1].Add(day)})
		case !r.forget.IsZero():
			list = append(list, due{k, r.forget})
		}
	}
	slices.SortFunc(list, func(a, b due) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.key.prefix.Compare(b.key.prefix)
	})
	for _, d := range list {
		if len(m.records) <= want {
			return
		}
		delete(m.records, d.key)
		m.dropped++
	}
}

// opened notes a ban that begins.
func (m *memory) opened(h *held, suspect bool, now time.Time) {
	r := m.make(h.key(), now)
	if suspect {
		r.suspects = append(r.suspects, h.Since)
		return
	}
	r.step, r.count, r.banned = h.Step, h.Count, true
}

// closed notes a ban's end. An administrator's word wipes the slate clean.
func (m *memory) closed(h *held) {
	k := memoryKey(h.key())
	if forgiven(h.EndWhy) {
		delete(m.records, k)
		return
	}
	if r := m.records[k]; r != nil && h.Count > 0 {
		r.banned = false
	}
}

func forgiven(why string) bool { return why == "manual" || why == "never" }

// remember takes over one ban of the ledger at start.
func (w *Warden) remember(p ledger.Past) {
	k := key{p.Scope, p.Prefix, p.Ident}
	switch {
	case p.Observed != w.cfg.Observe, p.Forgiven:
		return
	case !p.State.Live() && forgiven(p.EndWhy):
		delete(w.past.records, memoryKey(k))
		return
	case p.Count == 0 && p.Jail != "": // a suspect
		r := w.past.make(k, w.now)
		r.suspects = append(r.suspects, p.Since)
		return
	case p.Count == 0: // manual
		return
	}
	r := w.past.make(k, w.now)
	r.step, r.count, r.banned = p.Step, p.Count, p.State.Live()
	r.forget = w.forget(p.Jail, p.Since, p.Until, p.Ended)
}

// forget says when a ban no longer counts.
func (w *Warden) forget(jail string, since, until, ended time.Time) time.Time {
	j := w.jail(jail)
	if ended.IsZero() {
		if until.IsZero() {
			return time.Time{}
		}
		ended = until
	}
	if j.Fail2ban == nil {
		return ended.Add(j.Memory)
	}
	// fail2ban keeps a row for dbpurgeage, and for three times its ban time.
	if until.IsZero() {
		return time.Time{}
	}
	return since.Add(max(j.Memory, 3*until.Sub(since)))
}
