package detect

// victim counts what only victims send: answers to packets that somebody forged in their name.
type victim struct {
	tag         uint32
	first, last uint32
	n           uint32
}

// victims labels sources that look like the victim of a flood or reflection, after Moore, Voelker and Savage (Inferring Internet denial-of-service
// activity, 2001): 25 packets over at least a minute; the label lasts an hour. It is a small table in which a newer source pushes out an older.
type victims struct {
	entry    []victim
	labelled uint64
}

const (
	victimPackets = 25
	victimSpan    = 60
	victimLife    = 3600
	victimEntries = 1 << 14
)

func newVictims() *victims { return &victims{entry: make([]victim, victimEntries)} }

func (v *victims) at(h uint64) (*victim, uint32) {
	return &v.entry[h>>8&(victimEntries-1)], uint32(h>>32) | 1
}

// note counts a packet and says whether the source carries the label.
func (v *victims) note(h uint64, now uint32) bool {
	e, tag := v.at(h)
	if e.tag != tag || now > e.last && now-e.last > victimLife {
		*e = victim{tag: tag, first: now, last: now}
	}
	e.n++
	e.last = max(e.last, now)
	if e.n == victimPackets {
		v.labelled++
	}
	return e.n >= victimPackets && e.last-min(e.first, e.last) >= victimSpan
}

// is says whether the source carries the label.
func (v *victims) is(h uint64, now uint32) bool {
	e, tag := v.at(h)
	return e.tag == tag && e.n >= victimPackets && e.last-min(e.first, e.last) >= victimSpan && uint64(now) <= uint64(e.last)+victimLife
}

// over says whether the time of a source's label has run out. One that another source pushed out of the table does not run out.
func (v *victims) over(h uint64, now uint32) bool {
	e, tag := v.at(h)
	return e.tag == tag && uint64(now) > uint64(e.last)+victimLife
}
