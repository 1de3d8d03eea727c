package pftest

func (c *call) zeroTable() error {
	n := 0
	t := c.pf.active(c.o.anchor, c.o.table)
	if c.asks() && t != nil {
		n = 1
		if !c.o.dry {
			now := c.pf.now().UnixNano()
			t.c, t.match, t.nomatch, t.cleared = counters{}, 0, 0, now
			for _, e := range t.all() {
				c.pf.zeroEntry(e, now)
			}
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
		case e.not != list[i].not:
			list[i].fb = 'Y'
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
	if t == nil {
		return c.missing()
	}
	n := 0
	now := c.pf.now().UnixNano()
	for _, e := range t.all() {
		if e.c != nil && *e.c != (counters{}) {
			n++
			if !c.o.dry {
				c.pf.zeroEntry(e, now)
			}
		}
	}
	c.say("%d/%d stats cleared", n, n)
	return nil
}
