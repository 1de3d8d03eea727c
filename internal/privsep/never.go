package privsep

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pfwarden/pfctl"
)

// Bounds of what workers may add to the never-list.
const (
	maxTaught = 8192 // entries, beyond those that others hold already

	// lapse is how long an entry that was told for a while stays when it is told no more. Workers tell all of theirs each hour.
	lapse = 24 * time.Hour
	// longestGap is how much of the time between two tellings counts for that: a worker that is stopped, or silent, lets nothing lapse.
	longestGap = 2 * time.Hour

	manyTaught = 64 // entries at once after which memory is given back
)

// neverList is the privileged process's own never-list. A worker may add to it, never take from it: what was on it before the worker was taken
// over stays protected. What was told for a while, as the addresses of names are, lapses when workers have told others for a day without it.
type neverList struct {
	all atomic.Pointer[[]netip.Prefix] // sorted, none inside another

	mu      sync.Mutex                // guards what follows
	own     []netip.Prefix            // of the configuration, this machine's and nobody's; sorted, none inside another
	taught  map[netip.Prefix]taughtBy // by workers since the configuration was read
	telling time.Duration             // the clock of what lapses: how long workers have been telling
	last    time.Time                 // of the last telling
}

// taughtBy is how a worker told of an entry.
type taughtBy struct {
	kept bool          // until the configuration is read again
	at   time.Duration // by neverList.telling, the last time
}

// set replaces what is not the workers', and with forget that, too.
func (n *neverList) set(own []netip.Prefix, forget bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.own = flatten(own)
	if forget {
		n.taught, n.telling, n.last = nil, 0, time.Time{}
	}
	n.compile()
}

// compile makes the list that is searched. n.mu is held.
func (n *neverList) compile() {
	out := make([]netip.Prefix, len(n.own), len(n.own)+len(n.taught)) // exactly: they may be many, and this process is to stay small
	copy(out, n.own)
	out = flatten(slices.AppendSeq(out, maps.Keys(n.taught)))
	n.all.Store(&out)
}

// flatten sorts a list and takes out what lies inside another entry.
func flatten(list []netip.Prefix) []netip.Prefix {
	slices.SortFunc(list, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits() // the wider first: it holds the others
	})
	out := list[:0]
	for _, p := range list {
		if len(out) == 0 || !out[len(out)-1].Overlaps(p) {
			out = append(out, p)
		}
	}
	return slices.Clip(out)
}

// find looks in a flat list for an entry that holds a prefix, or is held by it.
func find(list []netip.Prefix, p netip.Prefix) (netip.Prefix, bool) {
	i, _ := slices.BinarySearchFunc(list, p.Addr(), func(e netip.Prefix, a netip.Addr) int { return e.Addr().Compare(a) })
	for _, k := range []int{i - 1, i} { // the last that begins before it, the first that does not
		if k >= 0 && k < len(list) && list[k].Overlaps(p) {
			return list[k], true
		}
	}
	return netip.Prefix{}, false
}

// overlaps finds an entry that holds a prefix, or is held by it.
func (n *neverList) overlaps(p netip.Prefix) (netip.Prefix, bool) { return find(*n.all.Load(), p) }

// taughtOnly tells whether nothing but what workers have added protects a prefix.
func (n *neverList) taughtOnly(p netip.Prefix) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, own := find(n.own, p)
	return !own
}

// ErrNotGuarded is the answer for entries of the never-list that the privileged process does not keep: they are too wide, or there is no room.
var ErrNotGuarded = errors.New("entries of the never-list are not guarded by the privileged process")

// teach adds entries, for a while or to be kept, lets those lapse that were not told for long, and says by ErrNotGuarded how many it could not take.
func (n *neverList) teach(list []netip.Prefix, kept bool, now time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.last.IsZero() {
		n.telling += min(max(now.Sub(n.last), 0), longestGap)
	}
	n.last = now
	if n.taught == nil {
		n.taught = make(map[netip.Prefix]taughtBy)
	}
	var fresh []netip.Prefix
	for _, p := range list {
		if old, known := n.taught[p]; known {
			n.taught[p] = taughtBy{old.kept || kept, n.telling}
		} else {
			fresh = append(fresh, p)
		}
	}
	changed := false
	for p, t := range n.taught {
		if !t.kept && n.telling-t.at > lapse {
			delete(n.taught, p)
			changed = true
		}
	}
	wide, over := 0, 0
	for _, p := range fresh {
		held, yes := find(n.own, p)
		switch {
		case yes && held.Bits() <= p.Bits():
		case p.Addr().Is4() && p.Bits() < widest4 || p.Addr().Is6() && p.Bits() < widest6:
			wide++
		case len(n.taught) >= maxTaught:
			over++
		default:
			n.taught[p] = taughtBy{kept, n.telling}
			changed = true
		}
	}
	if changed {
		n.compile()
	}
	if wide+over > 0 {
		return fmt.Errorf("%d %w: %d are too wide, %d beyond the %d that it keeps", wide+over, ErrNotGuarded, wide, over, maxTaught)
	}
	return nil
}

// The widest entries that a worker may add, as prefix lengths: a slip there would keep everything from being banned. fc00::/7 (RFC 4193) is one.
const widest4, widest6 = 8, 7

// tooWide tells what no ban may be.
func tooWide(p netip.Prefix) bool {
	return p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 16
}

// Refresh asks anew what belongs to this machine. What cannot be found out keeps its last answer.
func (g *Guard) Refresh() { g.refresh(false) }

func (g *Guard) refresh(forget bool) {
	s := g.settings.Load()
	list := append([]netip.Prefix(nil), s.Never...)
	list = append(list, nobody()...)
	if s.NeverDefaults && g.o.Defaults != nil {
		found, err := g.o.Defaults()
		if err != nil {
			g.log.Debug("what is never banned is not known completely", "error", err)
		}
		if err != nil && g.never.all.Load() != nil {
			g.never.mu.Lock()
			list = append(list, g.never.own...)
			g.never.mu.Unlock()
		}
		for _, prefixes := range found {
			list = append(list, prefixes...)
		}
	}
	g.never.set(distinct(list), forget)
}

// nobody are addresses that can be nobody's source (RFC 6890): those that detect.Bogon tells, as prefixes.
func nobody() []netip.Prefix {
	v4 := func(a, b byte, bits int) netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{a, b}), bits) }
	return []netip.Prefix{
		v4(0, 0, 8), v4(127, 0, 8), v4(169, 254, 16), v4(224, 0, 4), v4(240, 0, 4),
		netip.PrefixFrom(netip.IPv6Unspecified(), 128), netip.PrefixFrom(netip.IPv6Loopback(), 128),
		netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfe, 0x80}), 10), netip.PrefixFrom(netip.AddrFrom16([16]byte{0xff}), 8),
	}
}

func distinct(list []netip.Prefix) []netip.Prefix {
	seen := make(map[netip.Prefix]bool, len(list))
	out := list[:0]
	for _, p := range list {
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	return out
}

// protects says why an address is left alone, "" if it is not.
func (g *Guard) protects(p netip.Prefix) string {
	if tooWide(p) {
		return "too wide"
	}
	if n, yes := g.never.overlaps(p); yes {
		return "never-listed: " + n.String()
	}
	return ""
}

// isNever tells whether a table request means the never-list, which is the table without a name: it can be added to, and that is all.
func (r *request) isNever() bool { return r.kind == kindTable && r.anchor == "" && r.table == "" }

// teach answers a request for the never-list.
func (s *session) teach(number uint32, r *request) frame {
	if r.way != tableAdd && r.way != tableAwhile {
		return refusal(number, "the never-list can only be added to")
	}
	list := make([]netip.Prefix, 0, r.count())
	for a := range r.each() {
		list = append(list, a.Prefix)
	}
	err := s.g.never.teach(list, r.way == tableAdd, s.g.o.Now())
	if len(list) > manyTaught {
		debug.FreeOSMemory() // each makes the list anew
	}
	if err != nil {
		return frame{kind: replyFail, number: number, payload: encodeFailure(err)}
	}
	return frame{kind: replyDone, number: number, payload: encodeResult(pfctl.Result{})}
}

// GuardNever has the privileged process keep prefixes from bans, too: whoever takes this worker over cannot ban them, or have them taken off. They are
// kept until it reads its configuration again; with awhile they lapse when workers have told others for a day without them, so that all of them
// (of none, the empty list) are to be told each hour. Untold are those that got no answer, and only these are worth another attempt: where the error is
// ErrNotGuarded, it tells how many were answered and are not kept.
func (c *Client) GuardNever(list []netip.Prefix, awhile bool) (untold []netip.Prefix, err error) {
	way := tableAdd
	if awhile {
		way = tableAwhile
	}
	parts := slices.Collect(slices.Chunk(list, maxInline))
	if len(parts) == 0 && awhile {
		parts = [][]netip.Prefix{nil}
	}
	var errs []error
	for _, part := range parts {
		r := &request{kind: kindTable, way: way}
		for _, p := range part {
			r.addresses = append(r.addresses, address{Prefix: p})
		}
		_, err := c.simple(r)
		if err != nil {
			errs = append(errs, err)
		}
		if err != nil && !errors.Is(err, ErrNotGuarded) && !errors.Is(err, ErrRefused) {
			untold = append(untold, part...)
		}
	}
	return untold, errors.Join(errs...)
}
