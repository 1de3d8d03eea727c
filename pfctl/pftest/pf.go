package pftest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"pfwarden/pfctl"
)

// Iface is an interface of the pretended machine.
type Iface struct {
	Name  string
	Addrs []netip.Prefix
}

// PF is a packet filter in memory. It is a pfctl.Runner, and safe for use by several goroutines.
type PF struct {
	prof  Profile
	clock func() time.Time
	zone  *time.Location // of printed dates
	ifs   []Iface

	openErrno int // of this process alone, from its environment

	mu      sync.Mutex
	changed chan struct{} // closed and replaced whenever entries go, for an add that waits for room
	state
}

// state is what survives from one pfctl process to the next.
type state struct {
	enabled     bool
	statusSince int64
	offset      time.Duration // of PF's clock against the machine's
	securelevel int
	limit       int            // of table entries
	limitSet    bool           // somebody set it
	limits      map[string]int // others of -s memory that somebody set
	requestMax  int
	sets        map[string]*ruleset
	states      []*connState
	index       map[stateKey]*connState
	purged      int64 // when states were last looked through, Unix nanoseconds
	nextState   uint64
	faults      map[Fault]int
	info        infoCounters
}

// infoCounters are what -s info shows.
type infoCounters struct{ Searches, Inserts, Removals, Match, Memory uint64 }

// ruleset is the main ruleset (path "") or an anchor's.
type ruleset struct {
	path   string
	rules  []*rule
	tables map[string]*table
}

// Option changes a new PF.
type Option func(*PF)

// WithClock gives PF another clock than the machine's.
func WithClock(now func() time.Time) Option { return func(pf *PF) { pf.clock = now } }

// WithZone prints dates in another zone than UTC, as a pfctl with another TZ does.
func WithZone(zone *time.Location) Option { return func(pf *PF) { pf.zone = zone } }

// WithInterfaces gives the machine other interfaces than lo0 and em0.
func WithInterfaces(ifs []Iface) Option { return func(pf *PF) { pf.ifs = ifs } }

// New returns an empty PF that is not enabled, as at the start of a machine without rules.
func New(p Profile, opts ...Option) *PF {
	pf := &PF{prof: p, clock: time.Now, zone: time.UTC, changed: make(chan struct{}), ifs: []Iface{
		{Name: "lo0", Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8")}},
		{Name: "em0", Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}},
	}}
	for _, o := range opts {
		o(pf)
	}
	pf.state = pf.emptyState()
	return pf
}

// NewGateway returns the PF of a system, named as for ProfileByName, that is enabled and calls anchor from its main ruleset before it
// passes everything: what the memory backend of the daemon runs on.
func NewGateway(profile, anchor string, opts ...Option) (*PF, error) {
	p, err := ProfileByName(profile)
	if err != nil {
		return nil, err
	}
	pf := New(p, opts...)
	res, err := pf.Run(context.Background(), pfctl.Command{Args: []string{"-e", "-f", "-"},
		Stdin: []byte("anchor \"" + anchor + "\"\npass all\n")})
	if err != nil {
		return nil, err
	}
	if res.Exit != 0 {
		return nil, fmt.Errorf("pf in memory: anchor %q: %s", anchor, res.Stderr)
	}
	return pf, nil
}

func (pf *PF) emptyState() state {
	s := state{
		sets: map[string]*ruleset{"": {tables: map[string]*table{}}}, faults: map[Fault]int{}, requestMax: pf.prof.RequestMax,
		index: map[stateKey]*connState{},
	}
	for _, l := range pf.prof.Limits {
		if l.Name == "table-entries" {
			s.limit = l.Max
		}
	}
	return s
}

// Profile returns what the PF was made with.
func (pf *PF) Profile() Profile { return pf.prof }

// Advance moves PF's clock.
func (pf *PF) Advance(d time.Duration) {
	pf.mu.Lock()
	defer pf.mu.Unlock()
	pf.offset += d
}

// SetSecurelevel sets the machine's securelevel(7).
func (pf *PF) SetSecurelevel(n int) {
	pf.mu.Lock()
	defer pf.mu.Unlock()
	pf.securelevel = n
}

// SetLimit sets the limit of table entries, as "set limit table-entries" in pf.conf does.
func (pf *PF) SetLimit(n int) {
	pf.mu.Lock()
	defer pf.mu.Unlock()
	pf.limit, pf.limitSet = n, true
	pf.wake()
}

// SetRequestMax sets net.pf.request_maxcount where the system has it.
func (pf *PF) SetRequestMax(n int) {
	pf.mu.Lock()
	defer pf.mu.Unlock()
	if pf.prof.RequestMax > 0 {
		pf.requestMax = n
	}
}

// Addresses returns the entries of a table in PF's order, negated ones with a leading "!". ok is false where there is no such table.
func (pf *PF) Addresses(anchor, name string) (list []string, ok bool) {
	pf.mu.Lock()
	defer pf.mu.Unlock()
	t := pf.active(anchor, name)
	if t == nil {
		return nil, false
	}
	for _, e := range t.sorted() {
		s := e.String()
		if e.not {
			s = "!" + s
		}
		list = append(list, s)
	}
	return list, true
}

func (pf *PF) now() time.Time { return pf.clock().Add(pf.offset) }

func (pf *PF) wake() {
	close(pf.changed)
	pf.changed = make(chan struct{})
}

// entries counts the entries of all tables.
func (pf *PF) entries() int {
	n := 0
	for _, rs := range pf.sets {
		for _, t := range rs.tables {
			n += t.size()
		}
	}
	return n
}

// room says whether n more entries fit.
func (pf *PF) room(n int) bool {
	if !pf.prof.EnforceTables && !pf.limitSet {
		return true
	}
	return pf.entries()+n <= pf.limit
}

// set returns the ruleset of an anchor path, made if there is none.
func (pf *PF) set(path string) *ruleset {
	rs := pf.sets[path]
	if rs == nil {
		rs = &ruleset{path: path, tables: map[string]*table{}}
		pf.sets[path] = rs
	}
	return rs
}

// active returns a table that can be used, nil if there is none.
func (pf *PF) active(anchor, name string) *table {
	if rs := pf.sets[anchor]; rs != nil {
		if t := rs.tables[name]; t != nil && t.active {
			return t
		}
	}
	return nil
}

// held says whether a table of an anchor keeps the main ruleset's table of the same name in being.
func (pf *PF) held(anchor, name string) int {
	n := 0
	if anchor != "" {
		return 0
	}
	for path, rs := range pf.sets {
		if path != "" && rs.tables[name] != nil {
			n++
		}
	}
	return n
}

// resolve turns the name in an anchor rule into a path. all is true for "name/*": every anchor directly below the path.
func resolve(parent, name string) (path string, all bool) {
	if name == "*" {
		return parent, true
	}
	name, all = strings.CutSuffix(name, "/*")
	if abs, ok := strings.CutPrefix(name, "/"); ok {
		return abs, all
	}
	if parent != "" {
		name = parent + "/" + name
	}
	return name, all
}

// paths lists every anchor that exists: with rules or tables, called by a rule, or above one of those.
func (pf *PF) paths() []string {
	seen := map[string]bool{}
	add := func(p string) {
		for p != "" {
			seen[p] = true
			p = p[:max(0, strings.LastIndexByte(p, '/'))]
		}
	}
	for path, rs := range pf.sets {
		if len(rs.rules) > 0 || len(rs.tables) > 0 {
			add(path)
		}
		for _, r := range rs.rules {
			if r.Action == "anchor" {
				p, _ := resolve(path, r.Anchor)
				add(p)
			}
		}
	}
	out := make([]string, 0, len(seen))
	for p := range seen {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

func (pf *PF) exists(path string) bool {
	return path == "" || slices.Contains(pf.paths(), path)
}

// recount counts anew how often rules name each table, and lets go of tables that nothing holds any more.
func (pf *PF) recount() {
	old := map[*table]int{}
	for _, rs := range pf.sets {
		for _, t := range rs.tables {
			old[t] = t.refs
			t.refs = 0
		}
	}
	for path, rs := range pf.sets {
		for _, r := range rs.rules {
			for _, name := range r.tables() {
				t := rs.tables[name]
				if t == nil {
					t = newTable(path, name)
					rs.tables[name] = t
				}
				t.refs++
			}
		}
	}
	if pf.prof.LateRuleFree {
		for t, n := range old {
			if n > t.refs {
				t.linger += n - t.refs
				t.lingerUntil = pf.now().Add(purgeInterval).UnixNano()
			}
		}
	}
	pf.settle()
}

// purgeInterval is how long FreeBSD's purge thread may leave replaced rules unfreed ("interval" of -s timeouts).
const purgeInterval = 10 * time.Second

// settle drops tables and rulesets that are left without a reason to be.
func (pf *PF) settle() {
	for path, rs := range pf.sets {
		if path != "" {
			pf.settleSet(rs)
		}
	}
	pf.settleSet(pf.sets[""])
	for path, rs := range pf.sets {
		if path != "" && len(rs.rules) == 0 && len(rs.tables) == 0 {
			delete(pf.sets, path)
		}
	}
}

func (pf *PF) settleSet(rs *ruleset) {
	for name, t := range rs.tables {
		if !t.settle(pf.held(rs.path, name) > 0) {
			delete(rs.tables, name)
		}
	}
}

// purge does what time has made due: replaced rules are freed, states end.
func (pf *PF) purge() {
	now := pf.now().UnixNano()
	late := false
	for _, rs := range pf.sets {
		for _, t := range rs.tables {
			if t.linger > 0 && now >= t.lingerUntil {
				t.linger, late = 0, true
			}
		}
	}
	if late {
		pf.settle()
	}
	if len(pf.states) > 0 && now-pf.purged >= int64(time.Second) {
		pf.purged = now
		pf.removeStates(func(s *connState) bool { return s.Expires <= now })
	}
}
