package warden

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/gaissmai/bart"
)

// OriginRuntime is the origin of what an administrator adds while we run; the ledger keeps it. Others are free text such as "config" or
// "name gw.example.org".
const OriginRuntime = "never add"

// NeverList holds the addresses that are never banned, by anyone, whatever happens. Entries are kept by origin, so that a name's
// new addresses or a reloaded file replace the old ones. It may be used from several goroutines.
type NeverList struct {
	mu      sync.RWMutex
	table   bart.Table[[]string] // origins of each prefix
	origins map[string][]netip.Prefix
	changed func()
}

// Changed has f called at every change, which must not wait and not use the list.
func (n *NeverList) Changed(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changed = f
}

// NeverEntry is a prefix of the never-list with where it comes from.
type NeverEntry struct {
	Prefix  netip.Prefix
	Origins []string
}

// Set replaces all entries of one origin. Invalid prefixes are left out, the others masked and unmapped.
func (n *NeverList) Set(origin string, prefixes []netip.Prefix) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.set(origin, prefixes)
}

func (n *NeverList) set(origin string, prefixes []netip.Prefix) {
	if n.changed != nil {
		defer n.changed()
	}
	if n.origins == nil {
		n.origins = make(map[string][]netip.Prefix)
	}
	for _, p := range n.origins[origin] {
		list, _ := n.table.Get(p)
		rest := slices.DeleteFunc(slices.Clone(list), func(o string) bool { return o == origin })
		if len(rest) == 0 {
			n.table.Delete(p)
		} else {
			n.table.Insert(p, rest)
		}
	}
	delete(n.origins, origin)
	for _, p := range prefixes {
		p, err := Canonical(p)
		if err != nil {
			continue
		}
		list, _ := n.table.Get(p)
		if slices.Contains(list, origin) {
			continue
		}
		n.table.Insert(p, append(slices.Clone(list), origin))
		n.origins[origin] = append(n.origins[origin], p)
	}
}

func (n *NeverList) change(origin string, add, remove []netip.Prefix) {
	n.mu.Lock()
	defer n.mu.Unlock()
	next := slices.DeleteFunc(slices.Clone(n.origins[origin]), func(p netip.Prefix) bool { return slices.Contains(remove, p) })
	n.set(origin, append(next, add...))
}

// Overlaps finds an entry that holds p or lies inside it.
func (n *NeverList) Overlaps(p netip.Prefix) (NeverEntry, bool) {
	if !p.IsValid() {
		return NeverEntry{}, false
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	if lpm, origins, ok := n.table.LookupPrefixLPM(p); ok {
		return NeverEntry{lpm, slices.Clone(origins)}, true
	}
	for inside, origins := range n.table.Subnets(p) {
		return NeverEntry{inside, slices.Clone(origins)}, true
	}
	return NeverEntry{}, false
}

// Contains tells whether a is never to be banned.
func (n *NeverList) Contains(a netip.Addr) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.table.Contains(a.Unmap().WithZone(""))
}

// Entries lists all entries, sorted.
func (n *NeverList) Entries() []NeverEntry {
	n.mu.RLock()
	defer n.mu.RUnlock()
	var all []NeverEntry
	for p, origins := range n.table.AllSorted() {
		all = append(all, NeverEntry{p, slices.Clone(origins)})
	}
	return all
}

// String tells the entry and where it comes from.
func (e NeverEntry) String() string {
	return fmt.Sprintf("%s (%s)", short(e.Prefix), strings.Join(e.Origins, ", "))
}

// Canonical returns p as the warden and PF write it: IPv4-mapped addresses unmapped, host bits cleared. Zones and prefixes of
// mapped addresses shorter than 96 bits are errors.
func Canonical(p netip.Prefix) (netip.Prefix, error) {
	if !p.IsValid() {
		return p, fmt.Errorf("invalid prefix %v", p)
	}
	a, bits := p.Addr(), p.Bits()
	if a.Is4In6() {
		if bits < 96 {
			return netip.Prefix{}, fmt.Errorf("prefix %v reaches beyond the IPv4-mapped addresses: write it as IPv4", p)
		}
		a, bits = a.Unmap(), bits-96
	}
	return netip.PrefixFrom(a.WithZone(""), bits).Masked(), nil
}

// short writes a single address without its length.
func short(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// bogons can be nobody's source address: to ban them would only hurt ourselves. Private and documentation ranges are ordinary
// addresses here. RFC 6890.
func bogon(p netip.Prefix) (string, bool) {
	for _, b := range [...]struct {
		prefix netip.Prefix
		name   string
	}{
		{v4(0, 8), "unspecified"},
		{v4(127, 8), "loopback"},
		{netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254}), 16), "link-local"},
		{v4(224, 4), "multicast"},
		{v4(240, 4), "reserved"},
		{netip.PrefixFrom(netip.IPv6Unspecified(), 128), "unspecified"},
		{netip.PrefixFrom(netip.IPv6Loopback(), 128), "loopback"},
		{netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfe, 0x80}), 10), "link-local"},
		{netip.PrefixFrom(netip.AddrFrom16([16]byte{0xff}), 8), "multicast"},
	} {
		if b.prefix.Overlaps(p) {
			return b.name, true
		}
	}
	return "", false
}

func v4(first byte, bits int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{first}), bits)
}
