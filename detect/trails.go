package detect

import (
	"net/netip"
	"time"
)

// knock is one target as kept for explanations: 24 bytes.
type knock struct {
	addr  [16]byte
	at    uint32
	port  uint16
	proto uint8
	kind  Kind
}

const (
	trailKnocks = 10
	trailWays   = 4
	trailLife   = 24 * 3600
)

// trail is the latest targets of one source.
type trail struct {
	hi, lo uint64
	last   uint32
	n      uint32 // knocks ever; 0 = free
	knocks [trailKnocks]knock
}

// trails keeps the latest targets of the busiest sources, so that a verdict can name them. It decides nothing.
type trails struct {
	trail []trail
	mask  uint64
}

func newTrails(n int) *trails {
	n = max(ceilPower(n), trailWays)
	return &trails{make([]trail, n), uint64(n/trailWays - 1)}
}

func (t *trails) bucket(h uint64) []trail {
	i := (h >> 16 & t.mask) * trailWays
	return t.trail[i : i+trailWays]
}

func (t *trails) find(k key, h uint64) *trail {
	b := t.bucket(h)
	for i := range b {
		if b[i].n != 0 && b[i].hi == k.hi && b[i].lo == k.lo {
			return &b[i]
		}
	}
	return nil
}

func (t *trails) add(x *slot, o *Observation, now uint32, h uint64) {
	tr := t.find(x.key(), h)
	if tr == nil {
		b := t.bucket(h)
		tr = &b[0]
		for i := range b {
			if worth(&b[i], now) < worth(tr, now) {
				tr = &b[i]
			}
		}
		*tr = trail{hi: x.hi, lo: x.lo}
	}
	k := &tr.knocks[tr.n%trailKnocks]
	*k = knock{at: now, port: o.Target.Port, proto: o.Target.Protocol, kind: o.Kind}
	if o.Target.Address.IsValid() {
		k.addr = o.Target.Address.As16()
	}
	tr.n++
	tr.last = max(tr.last, now)
}

// worth orders trails for replacement: free ones, old ones, short ones, and of equal ones the older.
func worth(t *trail, now uint32) uint64 {
	if t.n == 0 {
		return 0
	}
	if uint64(t.last)+trailLife < uint64(now) {
		return 1
	}
	return uint64(min(t.n, 1<<20))<<32 | uint64(t.last)
}

func (t *trails) remove(k key, h uint64) {
	if tr := t.find(k, h); tr != nil {
		*tr = trail{}
	}
}

// list returns the kept targets, oldest first.
func (t *trail) list(jail string) []Evidence {
	var list []Evidence
	for i := t.n - min(t.n, trailKnocks); i < t.n; i++ {
		k := &t.knocks[i%trailKnocks]
		list = append(list, Evidence{
			Time: time.Unix(int64(k.at), 0).UTC(), Jail: jail, Kind: k.kind,
			Target: Target{Address: netip.AddrFrom16(k.addr).Unmap(), Port: k.port, Protocol: k.proto},
		})
	}
	return list
}
