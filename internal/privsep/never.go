package privsep

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"pfwarden/pfctl"
)

// maxTaught is how many entries workers may add to the never-list, beyond those that others hold already.
const maxTaught = 8192

// neverList is the privileged process's own never-list. A worker may add to it, never take from it: what was on it before the worker was taken
// over stays protected.
type neverList struct {
	all atomic.Pointer[[]netip.Prefix] // sorted, none inside another

	mu     sync.Mutex     // guards what follows
	own    []netip.Prefix // of the configuration, this machine's and nobody's
	taught []netip.Prefix // by workers since the configuration was read
}

// set replaces what is not the workers', and with forget that, too.
func (n *neverList) set(own []netip.Prefix, forget bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.own = own
	if forget {
		n.taught = nil
	}
	n.compile()
}

// compile makes the list that is searched. n.mu is held.
func (n *neverList) compile() {
	list := slices.Concat(n.own, n.taught)
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
	out = slices.Clip(out)
	n.all.Store(&out)
}

// overlaps finds an entry that holds a prefix, or is held by it.
func (n *neverList) overlaps(p netip.Prefix) (netip.Prefix, bool) {
	list := *n.all.Load()
	i, _ := slices.BinarySearchFunc(list, p.Addr(), func(e netip.Prefix, a netip.Addr) int { return e.Addr().Compare(a) })
	for _, k := range []int{i - 1, i} { // the last that begins before it, the first that does not
		if k >= 0 && k < len(list) && list[k].Overlaps(p) {
			return list[k], true
		}
	}
	return netip.Prefix{}, false
}

// taughtOnly tells whether nothing but what workers have added protects a prefix.
func (n *neverList) taughtOnly(p netip.Prefix) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !slices.ContainsFunc(n.own, p.Overlaps)
}

// errNoRoom is the answer for entries that could not be taken.
var errNoRoom = errors.New("entries of the never-list are not guarded by the privileged process")

// teach adds entries. Those that are too wide, or for which there is no room, are left out, and counted in the error.
func (n *neverList) teach(list []netip.Prefix) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	before, wide, over := len(n.taught), 0, 0
	known := *n.all.Load()
	seen := make(map[netip.Prefix]bool, len(list))
	for _, p := range list {
		i, found := slices.BinarySearchFunc(known, p.Addr(), func(e netip.Prefix, a netip.Addr) int { return e.Addr().Compare(a) })
		switch {
		case found && known[i].Bits() <= p.Bits(), i > 0 && known[i-1].Contains(p.Addr()) && known[i-1].Bits() <= p.Bits(), seen[p]:
		case tooWide(p):
			wide++
		case len(n.taught) >= maxTaught:
			over++
		default:
			seen[p] = true
			n.taught = append(n.taught, p)
		}
	}
	if len(n.taught) > before {
		n.compile()
	}
	if wide+over > 0 {
		return fmt.Errorf("%d %w: %d are too wide, %d beyond the %d that it keeps", wide+over, errNoRoom, wide, over, maxTaught)
	}
	return nil
}

// tooWide tells what no ban, and no entry that a worker adds to the never-list, may be.
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
	if r.way != tableAdd {
		return refusal(number, "the never-list can only be added to")
	}
	list := make([]netip.Prefix, 0, min(r.count(), maxTaught))
	for a := range r.each() {
		if len(list) == maxTaught {
			return refusal(number, "more than %d entries for the never-list at once", maxTaught)
		}
		list = append(list, a.Prefix)
	}
	if err := s.g.never.teach(list); err != nil {
		return frame{kind: replyFail, number: number, payload: encodeFailure(err)}
	}
	return frame{kind: replyDone, number: number, payload: encodeResult(pfctl.Result{})}
}

// GuardNever has the privileged process keep prefixes from bans, too, until it reads its configuration again: whoever takes this worker over cannot
// ban them, or have them taken off. An error tells how many it does not keep.
func (c *Client) GuardNever(list []netip.Prefix) error {
	for part := range slices.Chunk(list, maxTaught) {
		r := &request{kind: kindTable, way: tableAdd}
		for _, p := range part {
			r.addresses = append(r.addresses, address{Prefix: p})
		}
		if _, err := c.simple(r); err != nil {
			return err
		}
	}
	return nil
}
