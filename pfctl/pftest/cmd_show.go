package pftest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func (pf *PF) ctime(ns int64) string {
	return time.Unix(0, ns).In(pf.zone).Format("Mon Jan _2 15:04:05 2006")
}

// show is -s.
func (c *call) show() error {
	switch c.o.show {
	case "rules":
		c.showRules(c.o.anchor, 0, c.o.wildcard && c.pf.prof.OpenBSD)
	case "nat":
		if !c.pf.exists(c.o.anchor) {
			c.warn("DIOCGETRULES: Invalid argument")
		}
	case "Tables":
		return c.showTables()
	case "Anchors":
		return c.showAnchors()
	case "states":
		c.showStates()
	case "info":
		c.showInfo()
	case "memory":
		c.showLimits()
	case "Running":
		if !c.pf.enabled {
			c.out.WriteString("Disabled\n")
			c.failed = 1
			break
		}
		c.out.WriteString("Enabled\n")
	case "labels":
		c.showLabels()
	case "timeouts":
		c.showTimeouts()
	case "Interfaces":
		c.showInterfaces()
	case "creatorids":
		fmt.Fprintf(&c.out, "Creator IDs:\n")
		if len(c.pf.states) > 0 {
			fmt.Fprintf(&c.out, "%08x\n", hostID)
		}
	case "all":
		return c.showAll()
	}
	return nil
}

// showTables is -s Tables.
func (c *call) showTables() error {
	pf, path := c.pf, trimAnchor(c.o.anchor)
	if c.o.recurse && pf.prof.OpenBSD {
		if !pf.exists(path) {
			c.noAnchor()
			return exitError(1)
		}
		for _, p := range pf.below(path) {
			c.showTablesOf(p)
		}
		return nil
	}
	if !pf.exists(path) {
		if pf.prof.Name == "freebsd15" && c.o.verbose >= 2 {
			return nil // asked by netlink, and nobody looks at the answer
		}
		c.noAnchor()
		if pf.prof.OpenBSD || pf.prof.Name == "freebsd15" {
			return exitError(1)
		}
		return nil
	}
	c.showTablesOf(path)
	return nil
}

// showTablesOf prints the tables of one anchor, with -g also those that only stand in for others.
func (c *call) showTablesOf(path string) {
	pf := c.pf
	var list []*table
	if rs := pf.sets[path]; rs != nil {
		for _, t := range rs.tables {
			list = append(list, t)
		}
	}
	if path == "" && c.o.debug { // hidden ones, which stand in for the tables of anchors
		hidden := map[string]bool{}
		for p, rs := range pf.sets {
			for name := range rs.tables {
				if p != "" && pf.sets[""].tables[name] == nil {
					hidden[name] = true
				}
			}
		}
		for name := range hidden {
			list = append(list, newTable("", name))
		}
	}
	slices.SortFunc(list, func(a, b *table) int { return strings.Compare(a.name, b.name) })
	for _, t := range list {
		if t.active || c.o.debug {
			c.showTableLine(t)
		}
	}
}

func (c *call) showTableLine(t *table) {
	pf := c.pf
	held := pf.held(t.anchor, t.name)
	if c.o.verbose > 0 {
		c.out.WriteString(t.flags(held > 0) + "\t")
	}
	c.out.WriteString(t.name)
	if t.anchor != "" {
		switch {
		case pf.prof.AtSign:
			c.out.WriteString("@" + t.anchor)
		case c.o.verbose > 0:
			c.out.WriteString("\t" + t.anchor)
		}
	}
	c.out.WriteByte('\n')
	if c.o.verbose < 2 {
		return
	}
	n := t.size() + t.drift
	if pf.faults[FaultAddresses] != 0 {
		n = n*2 + 18
	}
	fmt.Fprintf(&c.out, "\tAddresses:   %d\n\tCleared:     %s\n", n, pf.ctime(t.cleared))
	fmt.Fprintf(&c.out, "\tReferences:  [ Anchors: %-18d Rules: %-18d ]\n", held, t.refs+t.linger)
	fmt.Fprintf(&c.out, "\tEvaluations: [ NoMatch: %-18d Match: %-18d ]\n", t.nomatch, t.match)
	c.showCounters(&t.c, true)
}

// showCounters prints the lines of counters, for a table with those of XPass.
func (c *call) showCounters(n *counters, table bool) {
	ops := []struct {
		op   int
		name string
	}{{opBlock, "Block:"}, {opMatch, "Match:"}, {opPass, "Pass:"}, {opXPass, "XPass:"}}
	for dir, d := range []string{"In/", "Out/"} {
		for _, o := range ops {
			if o.op == opMatch && !c.pf.prof.MatchLines || o.op == opXPass && !table {
				continue
			}
			fmt.Fprintf(&c.out, "\t%-12s [ Packets: %-18d Bytes: %-18d ]\n", d+o.name, n[dir][o.op].Packets, n[dir][o.op].Bytes)
		}
	}
}

// showTable is -T show.
func (c *call) showTable() error {
	pf := c.pf
	t := pf.active(c.o.anchor, c.o.table)
	switch {
	case !c.asks():
		return nil
	case t == nil:
		return c.missing()
	case c.tooMany(t.size(), pf.requestMax):
		return c.invalid()
	}
	var b []byte
	for _, e := range t.sorted() {
		b = append(appendAddr(b[:0], 0, e.not, e.key), '\n')
		c.out.Write(b)
		if c.o.verbose == 0 {
			continue
		}
		c.out.WriteString("\tCleared:     " + pf.ctime(e.cleared) + "\n")
		if e.weight > 0 {
			fmt.Fprintf(&c.out, "\tWeight:             %d\n", e.weight)
		}
		if n := pf.shown(t, e); n != nil {
			c.showCounters(n, false)
		}
	}
	return nil
}
