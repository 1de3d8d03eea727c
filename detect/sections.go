package detect

import (
	"container/list"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// The sections of a snapshot.

func (d *Detector) saveScan(e *encoder, flush func() error) error {
	s, p := &d.scan, &d.config.Portscan
	e.n(p.Prefix4)
	e.n(p.Prefix6)
	if err := raw[slot](e, s.table.slot, flush); err != nil {
		return err
	}
	if err := raw[trail](e, s.trails.trail, flush); err != nil {
		return err
	}
	if err := raw[company](e, s.companies.entry, flush); err != nil {
		return err
	}
	e.u(uint64(s.companies.walked))
	s.hosts.save(e)
	if err := raw[victim](e, s.victims.entry, flush); err != nil {
		return err
	}
	f := &s.flood
	e.u(uint64(f.minute))
	e.u(uint64(f.count))
	for _, n := range f.recent {
		e.u(uint64(n))
	}
	e.n(f.filled)
	e.u(uint64(f.median))
	e.bool(f.on)
	e.n(s.door.set)
	e.u(uint64(s.door.started))
	e.n(s.door.young)
	if err := e.words(wordsOf(s.door.blocks), flush); err != nil {
		return err
	}
	if err := e.words(wordsOf(s.spill.buckets), flush); err != nil {
		return err
	}
	return e.words(wordsOf(s.companies.gather.buckets), flush)
}

func (d *Detector) loadScan(x *decoder) {
	s, p := &d.scan, &d.config.Portscan
	same := x.n(128) == p.Prefix4
	same = x.n(128) == p.Prefix6 && same
	entries(x, func(i, size int, v *slot) {
		if !same {
			return
		}
		t := s.table
		h := d.hash.key(v.key())
		if size != len(t.slot) || h&t.mask != uint64(i/bucketSlots) {
			for i = int(h&t.mask) * bucketSlots; i%bucketSlots < bucketSlots-1 && t.slot[i].used(); {
				i++
			}
		}
		if t.slot[i].used() || t.find(v.key(), h) != nil {
			return
		}
		t.slot[i], t.rank[i] = *v, t.rankOf(v)
		t.tags[i/bucketSlots] |= tagOf(h) << (8 * (i % bucketSlots))
		t.used++
	})
	entries(x, func(i, size int, v *trail) {
		if same && size == len(s.trails.trail) {
			s.trails.trail[i] = *v
		}
	})
	entries(x, func(i, size int, v *company) {
		if same && size == len(s.companies.entry) {
			h := s.companies.hash.key(key{v.hi, v.lo})
			s.companies.put(h, i%companyWays, *v)
		}
	})
	s.companies.walked = x.u32()
	s.hosts.load(x)
	entries(x, func(i, size int, v *victim) {
		if same && size == len(s.victims.entry) {
			s.victims.entry[i] = *v
		}
	})
	f := &s.flood
	f.minute, f.count = x.u32(), x.u32()
	for i := range f.recent {
		f.recent[i] = x.u32()
	}
	f.filled, f.median, f.on = x.n(len(f.recent)), x.u32(), x.bool()
	set, started := x.n(math.MaxInt), x.u32()
	young := x.n(1)
	if x.words(wordsOf(s.door.blocks)) && same {
		s.door.set, s.door.started, s.door.young = set, started, young
	} else {
		clear(s.door.blocks)
	}
	if !x.words(wordsOf(s.spill.buckets)) || !same {
		clear(s.spill.buckets)
	}
	if !x.words(wordsOf(s.companies.gather.buckets)) || !same {
		clear(s.companies.gather.buckets)
	}
	for _, w := range wordsOf(s.spill.buckets) {
		s.spill.used += boolInt(w != 0)
	}
}

func (d *Detector) saveContacts(e *encoder, flush func() error) error {
	return raw[contact](e, d.contacts.entry, flush)
}

func (d *Detector) loadContacts(x *decoder) {
	entries(x, func(i, size int, v *contact) {
		if size == len(d.contacts.entry) {
			d.contacts.entry[i] = *v
			return
		}
		d.contacts.note(v.hash(), v.spoke, false)
		if e := d.contacts.find(v.hash()); e != nil {
			e.set(v.spoke, v.state())
		}
	})
}

func (e *encoder) sourceKey(k sourceKey) {
	e.word(k.key.hi)
	e.word(k.key.lo)
	e.n(int(k.bits))
	e.s(k.id)
}

func (d *decoder) sourceKey() sourceKey {
	return sourceKey{key: key{d.word(), d.word()}, bits: uint8(d.n(255)), id: d.s()}
}

func (d *Detector) saveBans(e *encoder, flush func() error) error {
	e.n(d.bans.running.Len() + d.bans.ended.Len())
	for _, l := range []*list.List{d.bans.ended, d.bans.running} {
		for x := l.Front(); x != nil; x = x.Next() {
			b := x.Value.(*ban)
			e.sourceKey(b.key.source)
			e.s(b.key.jail)
			e.i(b.at)
			e.i(b.until)
			e.i(int64(b.count))
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}

func (d *Detector) loadBans(x *decoder) {
	for range x.n(1 << 28) {
		k := banKey{source: x.sourceKey(), jail: x.s()}
		at, until, count := x.i(), x.i(), int(x.i())
		if x.err != nil {
			return
		}
		d.bans.note(k, at, until, count)
	}
}

func (d *Detector) savePrefixes(e *encoder, _ func() error) error {
	prefixes := make([]netip.Prefix, 0, len(d.groups.of))
	for p := range d.groups.of {
		prefixes = append(prefixes, p)
	}
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	e.n(len(prefixes))
	for _, p := range prefixes {
		g := d.groups.of[p]
		e.prefix(p)
		e.i(g.last)
		members := make([]netip.Addr, 0, len(g.members))
		for a := range g.members {
			members = append(members, a)
		}
		slices.SortFunc(members, netip.Addr.Compare)
		e.n(len(members))
		for _, a := range members {
			e.addr(a)
			e.i(g.members[a])
		}
	}
	return nil
}

func (d *Detector) loadPrefixes(x *decoder) {
	for range x.n(maxPrefixes) {
		p := x.prefix()
		g := &proven{members: map[netip.Addr]int64{}, last: x.i()}
		for range x.n(maxMembers) {
			a := x.addr()
			g.members[a] = x.i()
		}
		if x.err != nil {
			return
		}
		d.groups.of[p] = g
	}
}

func (d *Detector) saveGuesses(e *encoder, _ func() error) error {
	e.n(len(d.guesses.list))
	e.n(d.guesses.hand)
	e.i(d.guesses.joined)
	e.i(int64(d.guesses.looks))
	for _, g := range d.guesses.list {
		e.s(g.key.user)
		e.prefix(g.key.prefix)
		for _, w := range g.bits {
			e.word(w)
		}
		e.n(len(g.few))
		for _, id := range g.few {
			e.u(uint64(id))
		}
		e.n(g.failures)
		e.i(g.first)
		e.i(g.last)
		e.bool(g.told)
	}
	return nil
}

func (d *Detector) loadGuesses(x *decoder) {
	n := x.n(guessMost)
	d.guesses.hand = x.n(guessMost)
	d.guesses.joined = x.i()
	d.guesses.looks = min(int(x.i()), guessLooksMost)
	for i := range n {
		g := &guess{key: guessKey{user: strings.Clone(x.s()), prefix: x.prefix()}}
		for w := range g.bits {
			g.bits[w] = x.word()
		}
		for range x.n(GuessExact) {
			g.few = append(g.few, x.u32())
		}
		g.failures, g.first, g.last, g.told = x.n(math.MaxInt32), x.i(), x.i(), x.bool()
		if x.err != nil {
			return
		}
		d.guesses.of[g.key] = i
		d.guesses.list = append(d.guesses.list, g)
	}
}
