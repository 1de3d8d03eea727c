package detect

import (
	"math/bits"
	"net/netip"
	"unsafe"
)

const (
	aheadPackets = 16      // packets between Ahead and Observe
	aheadStep    = 6       // packets between the two stages of looking ahead
	aheadLeast   = 1 << 12 // sources below which the table is in the cache anyway
)

// ahead is the sources whose packets come next.
type ahead struct {
	next [8]expected // the latest, in a ring
	n    uint64
}

type expected struct {
	key  key
	hash uint64
}

// Lookahead is how many packets before its own a source is best told to Ahead; 0 while so few sources are known that it would gain nothing.
func (d *Detector) Lookahead() int {
	if d.scan.table.used < aheadLeast {
		return 0
	}
	return aheadPackets
}

// Ahead tells of the source of a packet that comes Lookahead packets later, so that the processor fetches what is known of it from memory while
// the packets before it are dealt with. It changes nothing that can be seen, and whoever was told of need not come.
func (d *Detector) Ahead(source netip.Addr) {
	a, s := &d.ahead, &d.scan
	t := s.table
	k := d.scanKey(source)
	h := d.hash.key(k)
	b := h & t.mask
	prefetch(unsafe.Pointer(&t.tags[b]))
	a.next[a.n%uint64(len(a.next))] = expected{k, h}

	// By now the tags of the one before are here, and say what else it needs.
	x := &a.next[(a.n-aheadStep)%uint64(len(a.next))]
	a.n++
	h = x.hash
	b = h & t.mask
	if m := t.tagged(h); m != 0 {
		prefetch(unsafe.Pointer(&t.slot[b*bucketSlots+uint64(bits.TrailingZeros64(m)>>3)]))
		if !t.full(h) {
			return
		}
		// In a full bucket every sixteenth stranger has the tag of a source that is there.
	}
	c := s.companies.hash.key(companyKey(x.key))
	prefetch3(
		unsafe.Pointer(s.spill.bucket(h)), unsafe.Pointer(s.door.block(h>>20)), unsafe.Pointer(s.companies.gather.bucket(c)),
	)
}
