package pftest

// zeroTable is -T zero for a whole table, one that waits for its rules' table to come back included.
func (c *call) zeroTable() error {
	n := 0
	var t *table
	if rs := c.pf.sets[c.o.anchor]; rs != nil {
		t = rs.tables[c.o.table]
	}
	if c.asks() && (t != nil || c.pf.held(c.o.anchor, c.o.table) > 0) {
		n = 1
	}
	if n == 1 && t != nil && !c.o.dry {
		now := c.pf.now().UnixNano()
		t.c, t.match, t.nomatch, t.cleared = counters{}, 0, 0, now
		for _, e := range t.all() {
			c.pf.zeroEntry(e, now)
		}
	}
	c.say("%d table/stats cleared", n)
	return nil
}

// zeroEntry clears an entry. Lazy systems free its counters until the next packet.
func (pf *PF) zeroEntry(e *entry, now int64) {
	e.cleared = now
	switch {
	case e.c == nil:
	case pf.prof.CountersLazy:
		e.c = nil
	default:
		*e.c = counters{}
	}
}

func (c *call) zeroAddresses(list []address) error {
	t := c.pf.active(c.o.anchor, c.o.table)
	if !c.asks() {
		c.say("0/%d addresses cleared", len(list))
		return nil
	}
	if t == nil {
		return c.missing()
	}
	n := 0
	now := c.pf.now().UnixNano()
	for i := range list {
		e := t.all()[list[i].key]
		switch {
		case e == nil:
		default:
			list[i].fb = 'Z'
			n++
			if !c.o.dry {
				c.pf.zeroEntry(e, now)
			}
		}
	}
	c.say("%d/%d addresses cleared", n, len(list))
	c.feedback(list)
	return nil
}

// resetTable clears only entries that have counted something.
func (c *call) resetTable() error {
	t := c.pf.active(c.o.anchor, c.o.table)
	switch {
	case !c.asks():
		c.say("0/0 stats cleared")
		return nil
	case t == nil:
		return c.missing()
	case c.tooMany(t.size(), c.pf.requestMax):
		return c.invalid()
	}
	var list []address
	now := c.pf.now().UnixNano()
	for _, e := range t.sorted() {
		if e.c != nil && *e.c != (counters{}) {
			list = append(list, address{key: e.key, not: e.not, fb: 'Z'})
			if !c.o.dry {
				c.pf.zeroEntry(e, now)
			}
		}
	}
	c.say("%d/%d stats cleared", len(list), t.size())
	c.feedback(list)
	return nil
}
