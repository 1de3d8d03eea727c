package pftest

// flush is -F.
func (c *call) flush() error {
	pf, path := c.pf, trimAnchor(c.o.anchor)
	if pf.secure() && c.o.flush != "states" {
		c.warn("Operation not permitted")
		return exitError(1)
	}
	recurse := c.o.recurse && pf.prof.Recursion
	switch c.o.flush {
	case "rules":
		if recurse {
			return c.flushBelow(path, func(p string) { c.clearRules(p) })
		}
		c.clearRules(path)
		c.note("rules cleared")
	case "Tables":
		if recurse {
			return c.flushBelow(path, func(p string) { c.clearTables(p) })
		}
		return c.flushTables(path)
	case "states":
		c.flushStates()
	case "info":
		c.flushInfo()
	case "Sources":
		c.note("source tracking entries cleared")
	case "nat":
		c.note("nat cleared")
	case "ethernet":
		c.note("Ethernet rules cleared")
	case "all":
		return c.flushAll(path, recurse)
	case "Reset":
		c.flushReset()
	}
	return nil // queue: there is no ALTQ, and nothing is said; osfp is silent as well
}

// flushAll is -F all: OpenBSD begins with the tables, the others with the rules.
func (c *call) flushAll(path string, recurse bool) error {
	pf := c.pf
	if c.o.iface != "" && pf.prof.Recursion {
		c.warn("don't specify an interface with -Fall")
		return c.usage()
	}
	rules := func() {
		c.clearRules(path)
		c.note("rules cleared")
	}
	if pf.prof.Name == "freebsd15" {
		c.note("Ethernet rules cleared")
	}
	if !pf.prof.OpenBSD {
		rules()
		c.note("nat cleared")
	}
	switch {
	case recurse:
		if err := c.flushBelow(path, func(p string) { c.clearTables(p); c.clearRules(p) }); err != nil {
			return err
		}
	default:
		if err := c.flushTables(path); err != nil {
			return err
		}
		if pf.prof.Recursion {
			rules()
		}
	}
	if path != "" {
		return nil
	}
	c.flushStates()
	c.note("source tracking entries cleared")
	c.flushInfo()
	if pf.prof.Recursion {
		c.flushReset()
	} else {
		c.note("pf: interface flags reset")
	}
	return nil
}

// flushBelow does something to an anchor and all below it, and says on standard output to which.
func (c *call) flushBelow(path string, do func(string)) error {
	if !c.pf.exists(path) {
		c.warn("Anchor does not exist")
		return exitError(1)
	}
	c.out.WriteString("Removing:\n")
	for _, p := range c.pf.below(path) {
		name := p
		if name == "" {
			name = "/"
		}
		c.out.WriteString("  " + name + "\n")
		do(p)
	}
	return nil
}

// flushReset puts limits back and clears interface flags.
func (c *call) flushReset() {
	c.loadLimits(nil)
	c.note("pf: interface flags reset")
}

func (c *call) flushInfo() {
	c.pf.info = infoCounters{}
	if c.pf.statusSince != 0 {
		c.pf.statusSince = c.pf.now().UnixNano()
	}
	if c.o.iface != "" && c.pf.prof.OpenBSD {
		c.note("pf: statistics cleared for interface %s", c.o.iface)
		return
	}
	c.note("pf: statistics cleared")
}

// clearRules removes the rules of an anchor. One that does not exist is made for it, and is gone again at the end.
func (c *call) clearRules(path string) {
	if rs := c.pf.sets[path]; rs != nil {
		rs.rules = nil
		c.pf.recount()
	}
}

// clearTables removes the active tables of an anchor, and counts them.
func (c *call) clearTables(path string) int {
	n := 0
	if rs := c.pf.sets[path]; rs != nil {
		for _, t := range rs.tables {
			if t.active {
				t.kill()
				n++
			}
		}
		c.pf.settle()
		c.pf.wake()
	}
	return n
}

func (c *call) flushTables(path string) error {
	if !c.pf.exists(path) {
		c.noAnchor()
		if c.pf.prof.Recursion {
			return exitError(1)
		}
		return nil // the older pfctls do not look at what became of it
	}
	c.say("%d tables deleted", c.clearTables(path))
	return nil
}

func (c *call) flushStates() {
	n := 0
	if c.ifaceFits() {
		n = c.pf.removeStates(func(*connState) bool { return true })
	}
	c.note("%d states cleared", n)
}
