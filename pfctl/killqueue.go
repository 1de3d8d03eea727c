package pfctl

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// handful is up to how many addresses pfctl is asked at once to kill their states, without a look at the state table first.
const handful = 4

// killQueue holds addresses whose connections are to end. It has a budget of its own, so that bans never wait for it: every -k is
// a process and a scan of the state table.
type killQueue struct {
	mu      sync.Mutex
	max     int
	list    []netip.Prefix
	has     map[netip.Prefix]bool
	found   map[netip.Prefix]bool // seen in a dump of the states, so it is worth a -k
	dropped uint64
	budget  *bucket
}

func newKillQueue(cfg Config, now time.Time) *killQueue {
	return &killQueue{max: cfg.KillQueue, has: map[netip.Prefix]bool{}, found: map[netip.Prefix]bool{}, budget: newBucket(cfg.KillsPer, cfg.KillBurst, now)}
}

func (q *killQueue) push(p netip.Prefix) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.has[p]:
	case len(q.list) >= q.max:
		q.dropped++
	default:
		q.has[p] = true
		q.list = append(q.list, p)
	}
}

func (q *killQueue) drop(p netip.Prefix) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.has, p) // its place in the list is skipped later
	delete(q.found, p)
}

func (q *killQueue) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.list = nil
	clear(q.has)
	clear(q.found)
}

func (q *killQueue) len() (waiting int, dropped uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.has), q.dropped
}

// next returns the address to kill next, and whether more than a handful have not been looked up in the state table.
func (q *killQueue) next() (p netip.Prefix, unseen []netip.Prefix, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	keep := q.list[:0]
	for _, p := range q.list {
		if q.has[p] {
			keep = append(keep, p)
			if !q.found[p] {
				unseen = append(unseen, p)
			}
		}
	}
	q.list = keep
	if len(q.list) == 0 {
		return p, nil, false
	}
	if len(unseen) <= handful {
		unseen = nil
	}
	return q.list[0], unseen, true
}

// seen keeps of the unseen addresses those that have states.
func (q *killQueue) seen(unseen []netip.Prefix, hit map[netip.Prefix]bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range unseen {
		if hit[p] {
			q.found[p] = true
		} else {
			delete(q.has, p)
		}
	}
}

// killSome works on the queue as far as its budget goes, and gives way as soon as there are changes for the tables. wait is when to
// come again, 0 for nothing left.
func (d *Driver) killSome(ctx context.Context) (wait time.Duration, err error) {
	for ctx.Err() == nil {
		d.mu.Lock()
		busy := false
		for _, t := range d.tables {
			busy = busy || len(t.dirty) > 0
		}
		d.mu.Unlock()
		if busy {
			return time.Millisecond, nil
		}
		p, unseen, ok := d.kills.next()
		if !ok {
			return 0, nil
		}
		if wait := d.kills.budget.take(d.clock.Now()); wait > 0 {
			return wait, nil
		}
		if unseen != nil {
			if err := d.lookUpStates(ctx, unseen); err != nil {
				return 0, err
			}
			continue
		}
		if err := d.killStates(ctx, p); err != nil {
			return 0, err
		}
		d.kills.drop(p)
	}
	return 0, nil
}

// killStates ends the connections of an address: those that it began, then those towards it. Both hosts of -k must be of one
// family or nothing is killed.
func (d *Driver) killStates(ctx context.Context, p netip.Prefix) error {
	text := p.String()
	if p.IsSingleIP() {
		text = p.Addr().String()
	}
	all := "0.0.0.0/0"
	if p.Addr().Is6() {
		all = "::/0"
	}
	for _, args := range [][]string{{"-k", text}, {"-k", all, "-k", text}} {
		d.mu.Lock()
		d.stats.KilledRuns++
		d.mu.Unlock()
		if _, err := d.exec(ctx, "kill the states of "+text, args, nil); err != nil {
			return err
		}
	}
	return nil
}

// lookUpStates dumps the state table once and keeps only addresses that have states.
func (d *Driver) lookUpStates(ctx context.Context, list []netip.Prefix) error {
	res, err := d.exec(ctx, "list states", []string{"-s", "states"}, nil)
	if err != nil {
		return err
	}
	want := newPrefixIndex(list)
	hit := map[netip.Prefix]bool{}
	ParseStates(res.Stdout, func(a netip.Addr) { want.lookup(a, hit) })
	d.kills.seen(list, hit)
	return nil
}

// prefixIndex finds which of a set of prefixes hold an address.
type prefixIndex struct {
	set  map[netip.Prefix]bool
	bits [2]map[int]bool // prefix lengths that occur, by family
}

func newPrefixIndex(list []netip.Prefix) prefixIndex {
	x := prefixIndex{set: make(map[netip.Prefix]bool, len(list)), bits: [2]map[int]bool{{}, {}}}
	for _, p := range list {
		x.set[p] = true
		x.bits[family(p.Addr())][p.Bits()] = true
	}
	return x
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

func (x prefixIndex) lookup(a netip.Addr, hit map[netip.Prefix]bool) {
	for n := range x.bits[family(a)] {
		if p, err := a.Prefix(n); err == nil && x.set[p] {
			hit[p] = true
		}
	}
}
