package pftest

import (
	"slices"
	"time"
)

// Directions and what became of a packet, as indexes of counters.
const (
	dirIn = iota
	dirOut

	opBlock = 0
	opMatch = 1
	opPass  = 2
	opXPass = 3 // passed by a state whose address has left the table; of tables only
)

// counters are packets and bytes by direction and action.
type counters [2][4]struct{ Packets, Bytes uint64 }

func (c *counters) add(dir, op int, n, bytes uint64) {
	c[dir][op].Packets += n
	c[dir][op].Bytes += bytes
}

type entry struct {
	key
	not     bool
	weight  int
	cleared int64 // when its counting began, Unix nanoseconds
	c       *counters
}

// table is a kernel table. A table that is not active exists only because rules name it.
type table struct {
	name, anchor string
	konst        bool
	persist      bool
	active       bool
	counted      bool
	refs         int   // rules that name it
	linger       int   // rules that are replaced but not freed yet
	lingerUntil  int64 // and when they are, Unix nanoseconds

	entries map[key]*entry
	raw     []byte // records of a state file that nobody has asked for yet; rawLen entries
	rawLen  int
	lens    [2][129]int32 // entries by family and mask, so that a lookup asks only for masks that occur

	match, nomatch uint64
	c              counters
	cleared        int64
	drift          int // what -s Tables adds to its count: FreeBSD 15's fault
}

func newTable(anchor, name string) *table {
	return &table{name: name, anchor: anchor, entries: map[key]*entry{}}
}

// all returns the entries.
func (t *table) all() map[key]*entry {
	if t.raw != nil {
		t.unpack()
	}
	return t.entries
}

// size returns their number.
func (t *table) size() int {
	if t.raw != nil {
		return t.rawLen
	}
	return len(t.entries)
}

func fam(six bool) int {
	if six {
		return 1
	}
	return 0
}

func (t *table) insert(e *entry) {
	t.all()[e.key] = e
	t.lens[fam(e.six)][e.bits]++
}

func (t *table) remove(k key) {
	if _, ok := t.all()[k]; ok {
		delete(t.all(), k)
		t.lens[fam(k.six)][k.bits]--
	}
}

func (t *table) clear() {
	t.entries, t.raw, t.rawLen = map[key]*entry{}, nil, 0
	t.lens = [2][129]int32{}
}

// lookup returns the entry of the longest network that holds k, negated or not, nil if there is none.
func (t *table) lookup(k key) *entry {
	t.all()
	lens := &t.lens[fam(k.six)]
	for n := int(k.full()); n >= 0; n-- {
		if lens[n] == 0 {
			continue
		}
		if e := t.all()[k.mask(uint8(n))]; e != nil {
			return e
		}
	}
	return nil
}

// sorted lists the entries in the order of a walk over PF's tree.
func (t *table) sorted() []*entry {
	out := make([]*entry, 0, t.size())
	for _, e := range t.all() {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *entry) int { return a.key.compare(b.key) })
	return out
}

// flags prints what -v -s Tables prints before the name.
func (t *table) flags(hidden bool) string {
	b := []byte("-------")
	for i, on := range []bool{t.konst, t.persist, t.active, false, t.refs+t.linger > 0, hidden, t.counted} {
		if on {
			b[i] = "cpairhC"[i]
		}
	}
	return string(b)
}

// settle ends the life of a table that nothing holds, and says whether anything is left of it. An anchor's table of the same name
// holds the root's (held), so that rules in the anchor can fall back to it.
func (t *table) settle(held bool) bool {
	if t.refs+t.linger == 0 && !t.persist && !held {
		t.active = false
	}
	if !t.active {
		t.konst, t.persist, t.counted = false, false, false
		if t.size() > 0 {
			t.clear()
		}
	}
	return t.active || t.refs+t.linger > 0 || held
}

// kill is -T kill and -F Tables.
func (t *table) kill() {
	t.active = false
	t.konst, t.persist, t.counted = false, false, false
	t.clear()
}

// activate makes the table one that can be filled.
func (t *table) activate(now time.Time) {
	if t.active {
		return
	}
	t.active = true
	t.clear()
	t.c, t.match, t.nomatch, t.cleared, t.drift = counters{}, 0, 0, now.UnixNano(), 0
}

// newEntry makes the entry of a. Systems that are not lazy give it counters at once where the table wants them.
func (pf *PF) newEntry(t *table, a address, now time.Time) *entry {
	e := &entry{key: a.key, not: a.not, weight: a.weight, cleared: now.UnixNano()}
	if pf.prof.CountersAlways || (t.counted && !pf.prof.CountersLazy) {
		e.c = &counters{}
	}
	return e
}

// count notes one packet of an address in a table (pfr_update_stats). not says whether the rule wrote !<table>.
func (pf *PF) count(t *table, k key, not bool, dir, op int, n, bytes uint64) {
	e := t.lookup(k)
	if (e == nil || e.not) != not {
		op = opXPass
	}
	t.c.add(dir, op, n, bytes)
	if e == nil || op == opXPass || !(t.counted || pf.prof.CountersAlways) {
		return
	}
	if e.c == nil {
		e.c = &counters{}
	}
	e.c.add(dir, op, n, bytes)
}

// shown returns the counters that -T show -v prints, nil for none.
func (pf *PF) shown(t *table, e *entry) *counters {
	switch {
	case pf.prof.CountersAlways:
		if e.c == nil {
			return &counters{}
		}
		return e.c
	case pf.prof.CountersLazy:
		return e.c
	case !t.counted:
		return nil
	case e.c == nil:
		return &counters{}
	}
	return e.c
}
