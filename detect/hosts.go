package detect

import "net/netip"

// hosts learns how many addresses of each family are behind the gateway, from what strangers send SYNs to. Only whether they are few matters,
// so no more than fewAddresses are kept. The gateway's own interfaces would not tell: they are few in front of a whole network as well. Nobody
// can make a gateway look smaller than it is, and only who has packets to foreign addresses routed to it can make it look larger, which costs
// the epochs of the trap ports and nothing else.
type hosts struct {
	told bool // the configuration says how many
	many [2]bool
	seen [2][]netip.Addr
}

func newHosts(told int) hosts {
	h := hosts{told: told > 0}
	h.many[0] = told >= fewAddresses
	h.many[1] = h.many[0]
	return h
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// few notes a destination and says whether its family has so few that time must stand in for space.
func (h *hosts) few(a netip.Addr) bool {
	f := family(a)
	if h.many[f] {
		return false
	}
	if h.told || !a.IsValid() {
		return true
	}
	for _, known := range h.seen[f] {
		if known == a {
			return true
		}
	}
	h.seen[f] = append(h.seen[f], a)
	h.many[f] = len(h.seen[f]) >= fewAddresses
	return !h.many[f]
}

// fewer says whether, as far as is known, the family of a source has so few of our addresses.
func (h *hosts) fewer(source key) bool { return !h.many[1-boolInt(source.is4())] }

func (h *hosts) save(e *encoder) {
	for f := range h.seen {
		e.n(len(h.seen[f]))
		for _, a := range h.seen[f] {
			e.addr(a)
		}
	}
}

func (h *hosts) load(x *decoder) {
	for f := range h.seen {
		for range x.n(fewAddresses) {
			if a := x.addr(); a.IsValid() && !h.told && !h.many[f] {
				h.few(a)
			}
		}
	}
}
