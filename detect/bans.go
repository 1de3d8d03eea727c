package detect

import (
	"container/list"
	"net/netip"
)

// banKey names what was banned: one source of the combining jails (jail ""), or of one jail that stands alone.
type banKey struct {
	source sourceKey
	jail   string
}

type ban struct {
	key   banKey
	at    int64 // of the last ban or unban: what is older is not evidence any more
	until int64 // end of the running ban; 0 = none is running, neverEnds = for ever
	count int
	place *list.Element
}

const neverEnds = 1<<63 - 1

// bans remembers bans, bounded: ended ones go first, then those not heard of for longest.
type bans struct {
	last    map[banKey]*ban
	running *list.List // oldest notice first
	ended   *list.List
	most    int
	evicted uint64
}

func newBans(most int) bans {
	return bans{last: map[banKey]*ban{}, running: list.New(), ended: list.New(), most: most}
}

func (b *bans) of(k banKey) *ban { return b.last[k] }

func (b *bans) drop(x *ban) {
	if x.until != 0 {
		b.running.Remove(x.place)
	} else {
		b.ended.Remove(x.place)
	}
	delete(b.last, x.key)
}

// note files a ban (until not 0) or its end.
func (b *bans) note(k banKey, at, until int64, count int) {
	x := b.last[k]
	if x == nil {
		if len(b.last) >= b.most {
			e := b.ended.Front()
			if e == nil {
				e = b.running.Front()
			}
			b.drop(e.Value.(*ban))
			b.evicted++
		}
		x = &ban{key: k}
		b.last[k] = x
	} else if x.until != 0 {
		b.running.Remove(x.place)
	} else {
		b.ended.Remove(x.place)
	}
	x.at, x.until = max(x.at, at), until
	if count > 0 {
		x.count = count
	}
	if until != 0 {
		x.place = b.running.PushBack(x)
	} else {
		x.place = b.ended.PushBack(x)
	}
}

// banKeyOf returns the key under which bans of an address by a jail (-1 = the packet jail) are remembered.
func (d *Detector) banKeyOf(a netip.Addr, id string, jail int) banKey {
	if jail >= 0 && (id != "" || !d.config.Jails[jail].Combine) {
		return banKey{source: d.sourceKeyOf(jail, a, id), jail: d.config.Jails[jail].Name}
	}
	c := class{d.config.Portscan.Prefix4, d.config.Portscan.Prefix6}
	if jail >= 0 {
		c = class{d.config.Jails[jail].Prefix4, d.config.Jails[jail].Prefix6}
	}
	k, n := c.key(a)
	return banKey{source: sourceKey{key: k, bits: n}}
}

// stale says, and counts, that an observation is older than the last ban or unban of its source.
func (d *Detector) stale(a netip.Addr, at int64, jail int) bool {
	if len(d.bans.last) == 0 || !a.IsValid() {
		return false
	}
	if b := d.bans.last[d.banKeyOf(a, "", jail)]; b != nil && at < b.at {
		d.stats.drops[dropBeforeBan]++
		return true
	}
	return false
}
