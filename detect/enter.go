package detect

// How sources come into the table of slots, back from the spill and out of both.

// enters asks the doorkeeper about a source that nothing is known of: it is let in unless its first packet only marks it, in a flood or where its
// bucket is nearly full. The credit is what the target that marked it weighs.
func (d *Detector) enters(o *Observation, h, th uint64, now uint32, w float32) (credit float32, flooding, ok bool) {
	s := &d.scan
	s.door.turn(now)
	flooding = s.flood.first(now)
	source, pair := d.doorItems(h, th, w)
	known, same := s.door.has(h>>20, source, pair)
	if !known && (flooding || s.table.free(h) < 2) {
		s.door.mark(h>>20, source, pair)
		d.stats.drops[dropDoorkeeper]++
		return 0, flooding, false
	}
	if known && !same && (len(d.bans.last) == 0 || d.bans.of(d.banKeyOf(o.Source, "", -1)) == nil) {
		credit = w // unless a ban has spent that
	}
	return credit, flooding, true
}

// doorItems are the doorkeeper's items for a source whose first target weighed w, and for its pair with a target.
func (d *Detector) doorItems(h, target uint64, w float32) (source, pair uint64) {
	tag := fold(h, d.hash.c) // another choice of bits for each weight, and for the pair of source and target
	return markOf(tag, w), fold(tag^target, d.hash.a)
}

// credited says whether a target is the one for which the doorkeeper marked the source and which counted when the source entered: its fingerprint
// is not kept.
func (d *Detector) credited(h, target uint64, w float32) bool {
	source, pair := d.doorItems(h, target, w)
	return d.scan.door.surely(h>>20, source, pair)
}

// admit returns a slot for a source that has none.
func (d *Detector) admit(o *Observation, k key, h uint64, now uint32, w, credit float32, flooding bool) *slot {
	s := &d.scan
	x := s.fresh(k, h, now)
	x.first, x.last, x.ttlMin, x.ttlMax = now, now, o.TTL, o.TTL
	if flooding {
		x.flags |= flagFloodBorn
	}
	if s.victims.is(h, now) {
		x.flags |= flagVictim
	}
	if credit > 0 {
		x.flags |= flagCredit
	}
	if w <= 0.25 {
		x.weak = uint16(credit * weakUnit)
	} else {
		x.hard = credit
		x.count(credit)
	}
	return x
}

// fresh returns a new slot for a source; the one that has to make room for it goes to the spill.
func (s *scan) fresh(k key, h uint64, now uint32) *slot {
	x, gone, evicted := s.table.admit(k, h, now)
	if evicted {
		s.spill.put(&gone, s.hash.key(gone.key()), now)
	}
	s.crowd()
	return x
}

// restore brings a source back from the spill into the table; nil if it is not there.
func (s *scan) restore(k key, h uint64, now uint32) *slot {
	entry := s.spill.find(h, now)
	if entry == nil {
		return nil
	}
	return s.revive(entry, k, h, now)
}

// revive moves a source from its entry in the spill into the table.
func (s *scan) revive(entry *uint64, k key, h uint64, now uint32) *slot {
	w := s.spill.take(entry)
	x := s.fresh(k, h, now)
	x.restore(w, now)
	s.table.ranked(x, h)
	if s.victims.is(h, now) {
		x.flags |= flagVictim
	}
	return x
}

// known returns what is known of a source, from the table or the spill, or nil.
func (s *scan) known(k key, h uint64, now uint32) *slot {
	if x := s.table.find(k, h); x != nil {
		return x
	}
	return s.restore(k, h, now)
}

// glance is known for who only looks: it moves nothing.
func (s *scan) glance(k key, h uint64, now uint32) *slot {
	if x := s.table.find(k, h); x != nil {
		return x
	}
	if entry := s.spill.find(h, now); entry != nil {
		x := &slot{hi: k.hi, lo: k.lo}
		x.restore(*entry, now)
		return x
	}
	return nil
}

// drop clears what is known of a source.
func (s *scan) drop(k key, h uint64, now uint32) {
	s.table.remove(k, h)
	if entry := s.spill.find(h, now); entry != nil {
		s.spill.take(entry)
	}
	s.trails.remove(k, h)
}

// markOf is the doorkeeper's item for a source whose first target weighed w.
func markOf(tag uint64, w float32) uint64 { return tag + uint64(int32(w*8))*0x9e3779b97f4a7c15 }
