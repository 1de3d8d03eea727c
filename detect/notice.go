package detect

import (
	"net/netip"
	"slices"
	"time"
)

// Notice takes one notice. It leads to no verdict.
func (d *Detector) Notice(n Notice) {
	at := nanos(n.Time)
	d.advance(at)
	d.stats.notices[min(int(n.Kind), numNotices-1)]++
	a := n.Source.Addr().Unmap().WithZone("")
	switch n.Kind {
	case Banned:
		until := int64(neverEnds)
		if !n.Until.IsZero() {
			until = max(nanos(n.Until), 1)
		}
		d.banned(a, &n, at, until)
	case Unbanned:
		d.banned(a, &n, at, 0)
	case Forgiven:
		d.forgive(a, &n, at)
	case Login:
		d.credit(a, &n.Target, at)
		d.excuse(&n, at)
	case State:
		if n.Ours {
			d.contact(a, at, true)
		}
		if n.Established {
			d.credit(a, &n.Target, at)
		}
	case Contact:
		d.contact(a, at, false)
	}
}

// contact remembers that our side spoke to a, for the gates of a itself and of the prefixes around it.
func (d *Detector) contact(a netip.Addr, at int64, state bool) {
	if !a.IsValid() {
		return
	}
	now := seconds(at)
	d.contacts.note(d.hash.key(d.scanKey(a)), now, state)
	d.contacts.note(d.prefixHash(a), now, state)
}

// prefixHash is a's hash in the table of contacts as a member of its prefix.
func (d *Detector) prefixHash(a netip.Addr) uint64 {
	return fold(d.hash.key(maskKey(a, d.config.Prefix.Bits4, d.config.Prefix.Bits6)), d.hash.c)
}

// standing lists the jails that a notice speaks of: the index of its jail, or with jail "" every one. The packet jail is -1.
func (d *Detector) standing(jail string) []int {
	if j, ok := d.jails[jail]; ok {
		return []int{j}
	}
	all := []int{-1}
	if jail == "" {
		for i := range d.config.Jails {
			all = append(all, i)
		}
	}
	return all
}

// banned files a ban or its end and forgets the evidence that led to it, as far as a restart brought it back.
func (d *Detector) banned(a netip.Addr, n *Notice, at, until int64) {
	if !a.IsValid() && n.ID == "" {
		return
	}
	jails := d.standing(n.Jail)
	combined := false
	for _, j := range jails {
		combined = combined || d.combines(j) && n.ID == ""
	}
	if combined { // the ban spent the evidence of all of them
		jails = jails[:0:0]
		for j := -1; j < len(d.config.Jails); j++ {
			if d.combines(j) || j >= 0 && n.Jail == "" {
				jails = append(jails, j)
			}
		}
	}
	for _, j := range jails {
		if j < 0 && !a.IsValid() {
			continue
		}
		if a.IsValid() && n.ID == "" && n.Source.Bits() < d.sourceBits(j, a) {
			continue // a whole prefix: its members' own evidence stands
		}
		d.bans.note(d.banKeyOf(a, n.ID, j), at, until, n.Count)
		d.spend(a, n.ID, j, at)
	}
}

func (d *Detector) sourceBits(jail int, a netip.Addr) int {
	c := class{d.config.Portscan.Prefix4, d.config.Portscan.Prefix6}
	if jail >= 0 {
		c = class{d.config.Jails[jail].Prefix4, d.config.Jails[jail].Prefix6}
	}
	if a.Is4() {
		return c.bits4
	}
	return c.bits6
}

// spend forgets what a jail holds against a source up to and including a point in time.
func (d *Detector) spend(a netip.Addr, id string, jail int, at int64) {
	if jail < 0 {
		k := d.scanKey(a)
		h := d.hash.key(k)
		if x := d.scan.glance(k, h, seconds(d.now)); x != nil && x.last <= seconds(at) {
			d.scan.drop(k, h, seconds(d.now))
		}
		return
	}
	s := d.logs.sources[d.sourceKeyOf(jail, a, id)]
	if s == nil {
		return
	}
	js := s.in(jail)
	if js == nil {
		return
	}
	if d.config.Jails[jail].Strategy == Fail2ban {
		if js.rate.newest <= at {
			d.clear(s, jail)
		}
		return
	}
	keep := 0
	for keep < len(js.hits) && js.hits[keep].at <= at {
		keep++
	}
	before := len(js.tries)
	js.tries = slices.DeleteFunc(js.tries, func(t try) bool { return t.at <= at })
	d.triesChanged(s, before, len(js.tries))
	if keep == len(js.hits) && len(js.tries) == 0 {
		d.clear(s, jail)
		return
	}
	js.hits = slices.Delete(js.hits, 0, keep)
	js.evidence = slices.DeleteFunc(js.evidence, func(e Evidence) bool {
		old := nanos(e.Time) <= at
		if old {
			n := evidenceBytes(&e)
			s.texts -= n
			d.logs.texts -= n
		}
		return old
	})
	if s.texts == 0 {
		d.logs.unlinkEvidence(s)
	}
	s.counts -= keep * hitCost
	d.logs.counts -= keep * hitCost
}

// forgive clears all suspicion against a source, and what is remembered of its bans. What logs say of the same second counts from then on: their
// time stamps are whole seconds, and most of it was written after the administrator's word.
func (d *Detector) forgive(a netip.Addr, n *Notice, at int64) {
	if !a.IsValid() && n.ID == "" {
		return
	}
	at -= at % int64(time.Second)
	for _, j := range d.standing(n.Jail) {
		if j < 0 && !a.IsValid() {
			continue
		}
		d.bans.note(d.banKeyOf(a, n.ID, j), at, 0, 0)
		if b := d.bans.of(d.banKeyOf(a, n.ID, j)); b != nil {
			b.count = 0
		}
		d.spend(a, n.ID, j, neverEnds)
	}
}

// credit takes one door off a source that proved itself at a target, once a target.
func (d *Detector) credit(a netip.Addr, t *Target, at int64) {
	if !a.IsValid() {
		return
	}
	k := d.scanKey(a)
	h := d.hash.key(k)
	x := d.scan.known(k, h, seconds(at))
	if x == nil || x.hard == 0 {
		return
	}
	print := uint16(d.hash.target(t, 1))
	if x.seen(print) {
		return
	}
	d.scan.add(x, h, seconds(at), 0)
	x.keep(print)
	x.hard = max(x.hard-1, 0)
	x.uncount(1)
	d.scan.table.ranked(x, h)
	d.stats.credits++
}
