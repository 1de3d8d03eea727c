package pftest

import (
	"fmt"
	"slices"
	"strconv"
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
		return c.showRules(c.o.anchor, 0)
	case "Tables":
		return c.showTables()
	case "Anchors":
		return c.showAnchors()
	case "states":
		c.showStates()
	case "info":
		c.showInfo()
	case "memory":
		for _, l := range c.pf.prof.Limits {
			n := l.Max
			if l.Name == "table-entries" {
				n = c.pf.limit
			}
			fmt.Fprintf(&c.out, "%-13s hard limit %8d\n", l.Name, n)
		}
	case "Running":
		if !c.pf.enabled {
			c.out.WriteString("Disabled\n")
			return exitError(1)
		}
		c.out.WriteString("Enabled\n")
	case "labels":
		c.showLabels()
	case "timeouts":
		c.out.WriteString("tcp.first                   120s\ntcp.opening                  30s\ntcp.established           86400s\ninterval                     10s\n")
	case "all":
		if err := c.showRules(c.o.anchor, 0); err != nil {
			return err
		}
		c.showStates()
		c.showInfo()
		return c.showTables()
	}
	return nil
}

// tableCount is the number that -vv prints behind a table's name in a rule.
func (c *call) tableCount(anchor string) func(string) string {
	if c.o.verbose < 2 && !c.o.debug {
		return nil
	}
	return func(name string) string {
		if t := c.pf.lookupTable(anchor, name); t != nil {
			return strconv.Itoa(t.size())
		}
		return "*"
	}
}

func (c *call) showRules(path string, depth int) error {
	pf := c.pf
	if !pf.exists(path) {
		if pf.prof.OpenBSD || pf.prof.Name == "freebsd15" {
			c.warn("%s", pf.prof.dot("Anchor does not exist"))
		} else {
			c.warn("DIOCGETRULES: Invalid argument")
		}
		return nil // and the exit status stays 0
	}
	rs := pf.sets[path]
	if rs == nil {
		return nil
	}
	indent := strings.Repeat("  ", depth)
	names := pf.prof.PortNames != c.o.numeric
	for i, r := range rs.rules {
		deep := r.Action == "anchor" && (c.o.recurse || r.Inline)
		c.out.WriteString(indent)
		if c.o.verbose >= 2 || c.o.debug {
			fmt.Fprintf(&c.out, "@%d ", i)
		}
		c.out.WriteString(pf.ruleText(r, names, c.tableCount(path)))
		deep = deep && depth < anchorDepth
		if deep {
			c.out.WriteString(" {")
		}
		c.out.WriteByte('\n')
		if c.o.verbose > 0 {
			fmt.Fprintf(&c.out, "%s  [ Evaluations: %-8d  Packets: %-8d  Bytes: %-10d  States: %-6d]\n", indent,
				r.Evaluations, r.Packets[0]+r.Packets[1], r.Bytes[0]+r.Bytes[1], pf.ruleStates(r))
			pid := 4242
			if !pf.prof.OpenBSD {
				pid = 0
			}
			fmt.Fprintf(&c.out, "%s  [ Inserted: uid 0 pid %d State Creations: %-6d]\n", indent, pid, r.Creations)
		}
		if !deep {
			continue
		}
		sub, all := resolve(path, r.Anchor)
		paths := []string{sub}
		if all {
			paths = pf.children(sub)
		}
		for _, p := range paths {
			if all {
				fmt.Fprintf(&c.out, "%s  anchor \"%s\" all {\n", indent, p[strings.LastIndexByte(p, '/')+1:])
			}
			if err := c.showRules(p, depth+1); err != nil {
				return err
			}
			if all {
				c.out.WriteString(indent + "  }\n")
			}
		}
		c.out.WriteString(indent + "}\n")
	}
	return nil
}

// children lists the anchors directly below a path, in order.
func (pf *PF) children(path string) []string {
	var out []string
	for _, p := range pf.paths() {
		rest := p
		if path != "" {
			var ok bool
			if rest, ok = strings.CutPrefix(p, path+"/"); !ok {
				continue
			}
		}
		if !strings.Contains(rest, "/") {
			out = append(out, p)
		}
	}
	return out
}

func (c *call) showAnchors() error {
	pf := c.pf
	path := trimAnchor(c.o.anchor)
	if !pf.exists(path) {
		if pf.prof.OpenBSD || pf.prof.Name == "freebsd15" {
			c.warn("%s", pf.prof.dot("Anchor does not exist"))
		} else {
			c.warn("DIOCGETRULESETS: No such file or directory")
		}
		return exitError(1)
	}
	for _, p := range pf.children(path) {
		c.showAnchor(p)
	}
	return nil
}

func (c *call) showAnchor(p string) {
	if strings.HasPrefix(p[strings.LastIndexByte(p, '/')+1:], "_") && c.o.verbose == 0 {
		return
	}
	fmt.Fprintf(&c.out, "  %s\n", p)
	if c.pf.prof.AnchorsDeep || c.o.verbose > 0 {
		for _, q := range c.pf.children(p) {
			c.showAnchor(q)
		}
	}
}

func (c *call) showTables() error {
	pf, path := c.pf, trimAnchor(c.o.anchor)
	if !pf.exists(path) {
		c.noAnchor()
		if pf.prof.OpenBSD {
			return exitError(1)
		}
		return nil
	}
	sets := []string{path}
	if c.o.recurse && pf.prof.OpenBSD {
		sets = sets[:0]
		for _, p := range append([]string{""}, pf.paths()...) {
			if path == "" || p == path || strings.HasPrefix(p, path+"/") {
				sets = append(sets, p)
			}
		}
	}
	var list []*table
	for _, p := range sets {
		rs := pf.sets[p]
		if rs != nil {
			for _, t := range rs.tables {
				list = append(list, t)
			}
		}
		if p == "" && c.o.debug { // hidden ones, which stand in for the tables of anchors
			for _, q := range pf.paths() {
				if other := pf.sets[q]; other != nil {
					for name := range other.tables {
						if pf.sets[""].tables[name] == nil && !slices.ContainsFunc(list, func(t *table) bool { return t.anchor == "" && t.name == name }) {
							list = append(list, newTable("", name))
						}
					}
				}
			}
		}
	}
	slices.SortFunc(list, func(a, b *table) int {
		return strings.Compare(a.name+"\x00"+a.anchor, b.name+"\x00"+b.anchor)
	})
	for _, t := range list {
		if t.active || c.o.debug {
			c.showTableLine(t)
		}
	}
	return nil
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

func (c *call) showLabels() {
	rs := c.pf.sets[c.o.anchor]
	if rs == nil {
		return
	}
	for _, r := range rs.rules {
		if r.Label != "" {
			fmt.Fprintf(&c.out, "%s %d %d %d %d %d %d %d %d\n", r.Label, r.Evaluations, r.Packets[0]+r.Packets[1], r.Bytes[0]+r.Bytes[1],
				r.Packets[0], r.Bytes[0], r.Packets[1], r.Bytes[1], c.pf.ruleStates(r))
		}
	}
}

func (c *call) showInfo() {
	pf := c.pf
	status := "Status: Disabled"
	if pf.statusSince != 0 {
		word := "Disabled"
		if pf.enabled {
			word = "Enabled"
		}
		d := pf.now().Sub(time.Unix(0, pf.statusSince)) / time.Second
		status = fmt.Sprintf("Status: %s for %d days %02d:%02d:%02d", word, d/86400, d/3600%24, d/60%60, d%60)
	}
	level := "err"
	if !pf.prof.OpenBSD {
		level = "Urgent"
	}
	fmt.Fprintf(&c.out, "%-44s%s\n\n", status, fmt.Sprintf("%15s", "Debug: "+level))
	fmt.Fprintf(&c.out, "State Table                          Total             Rate\n  %-25s %14d %14s\n", "current entries", len(pf.states), "")
	for _, s := range []string{"searches", "inserts", "removals"} {
		n := uint64(0)
		switch s {
		case "searches":
			n = pf.packets[0][0] + pf.packets[0][1] + pf.packets[1][0] + pf.packets[1][1]
		case "inserts":
			n = pf.nextState
		case "removals":
			n = pf.nextState - uint64(len(pf.states))
		}
		fmt.Fprintf(&c.out, "  %-25s %14d %14.1f/s\n", s, n, 0.0)
	}
	fmt.Fprintf(&c.out, "Counters\n  %-25s %14d %14.1f/s\n", "match", pf.packets[0][0]+pf.packets[0][1]+pf.packets[1][0]+pf.packets[1][1], 0.0)
}
