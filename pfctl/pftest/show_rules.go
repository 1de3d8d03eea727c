package pftest

import (
	"fmt"
	"strconv"
	"strings"
)

// tableCount is the number that -vv prints after a table's name in a rule.
func (c *call) tableCount(anchor string) func(string) string {
	if !c.numbers() {
		return nil
	}
	return func(name string) string {
		if t := c.pf.lookupTable(anchor, name); t != nil {
			return strconv.Itoa(t.size())
		}
		return "*"
	}
}

// numbers says whether rules are printed with their numbers.
func (c *call) numbers() bool { return c.o.verbose >= 2 || c.o.debug }

// noRules prints that the rules of an anchor cannot be read because there is no such anchor; the exit status stays 0.
func (c *call) noRules() {
	if c.pf.prof.OpenBSD || c.pf.prof.Name == "freebsd15" {
		c.warn("Anchor does not exist")
		return
	}
	c.warn("DIOCGETRULES: Invalid argument")
}

// indent is that of nested rules, which -v does without.
func (c *call) indent(depth int) {
	if c.o.verbose == 0 {
		c.out.WriteString(strings.Repeat("  ", depth))
	}
}

// showRules is -s rules for one ruleset. wildcard says that it was asked for as name/*, so that the anchors below belong to it.
func (c *call) showRules(path string, depth int, wildcard bool) {
	pf := c.pf
	if c.shown++; depth > anchorDepth || c.shown > anchorCalls {
		c.warn("pfctl_show_rules: max stack depth exceeded for %s", path)
		return
	}
	if wildcard && c.o.recurse && pf.prof.Name == "freebsd15" {
		c.showBelow(path, depth)
		return
	}
	if !pf.exists(path) {
		c.noRules()
		return
	}
	if rs := pf.sets[path]; rs != nil {
		for i, r := range rs.rules {
			if r.Action != "anchor" || !strings.HasSuffix(r.Anchor, "*") {
				wildcard = false
			}
			if c.o.onlyRule < 0 || c.o.onlyRule == i {
				c.showRule(path, i, r, depth)
			}
		}
	}
	if wildcard && c.o.recurse && pf.prof.Recursion {
		c.showBelow(path, depth)
	}
}

// showBelow prints the anchors below a path, each as if it were called.
func (c *call) showBelow(path string, depth int) {
	for _, p := range c.pf.children(path) {
		c.indent(depth)
		fmt.Fprintf(&c.out, "anchor \"%s\" all {\n", lastName(p))
		c.showRules(p, depth+1, false)
		c.indent(depth)
		c.out.WriteString("}\n")
	}
}

func lastName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

func (c *call) showRule(path string, i int, r *rule, depth int) {
	pf := c.pf
	deep := r.Action == "anchor" && (c.o.recurse || r.Inline)
	c.indent(depth)
	if c.numbers() {
		fmt.Fprintf(&c.out, "@%d ", i)
	}
	below, all := resolve(path, r.Anchor)
	shown := *r
	if deep && !pf.prof.Recursion { // the older pfctls follow the last part of the name only
		shown.Anchor = lastName(r.Anchor)
		below, all = strings.TrimPrefix(path+"/"+shown.Anchor, "/"), false
	}
	c.out.WriteString(pf.ruleText(&shown, pf.prof.PortNames != c.o.numeric, c.tableCount(path)))
	if deep {
		c.out.WriteString(" {")
	}
	c.out.WriteByte('\n')
	c.ruleCounters(r)
	if !deep {
		return
	}
	c.showRules(below, depth+1, all)
	c.indent(depth)
	c.out.WriteString("}\n")
}

// ruleCounters prints what -v says of a rule.
func (c *call) ruleCounters(r *rule) {
	pf := c.pf
	if c.o.verbose == 0 {
		return
	}
	fmt.Fprintf(&c.out, "  [ Evaluations: %-8d  Packets: %-8d  Bytes: %-10d  States: %-6d]\n",
		r.Evaluations, r.Packets[0]+r.Packets[1], r.Bytes[0]+r.Bytes[1], pf.ruleStates(r))
	if pf.prof.Name == "freebsd15" {
		fmt.Fprintf(&c.out, "  [ Source Nodes: %-6d Limit: %-6d NAT/RDR: %-6d Route: %-6d ]\n", 0, 0, 0, 0)
	}
	if !c.o.debug {
		pid := 4242
		if !pf.prof.OpenBSD {
			pid = 0
		}
		fmt.Fprintf(&c.out, "  [ Inserted: uid 0 pid %d State Creations: %-6d]\n", pid, r.Creations)
	}
	if c.o.verbose >= 2 && pf.prof.Name == "freebsd15" {
		last := "N/A"
		if r.LastActive != 0 {
			last = pf.ctime(r.LastActive)
		}
		fmt.Fprintf(&c.out, "  [ Last Active Time: %s ]\n", last)
	}
}

// zeroRules is -z: the counters of an anchor's rules, and not those of its tables, begin again.
func (c *call) zeroRules() {
	if !c.pf.exists(c.o.anchor) {
		if !c.o.showSet {
			c.noRules()
		}
		return
	}
	if rs := c.pf.sets[c.o.anchor]; rs != nil {
		for _, r := range rs.rules {
			r.Evaluations, r.Packets, r.Bytes, r.Creations = 0, [2]uint64{}, [2]uint64{}, 0
		}
	}
}

func (c *call) showLabels() {
	if !c.pf.exists(c.o.anchor) {
		c.noRules()
		return
	}
	rs := c.pf.sets[c.o.anchor]
	if rs == nil {
		return
	}
	for _, r := range rs.rules {
		if r.Label != "" {
			fmt.Fprintf(&c.out, "%s %d %d %d %d %d %d %d %d\n", r.Label, r.Evaluations, r.Packets[0]+r.Packets[1], r.Bytes[0]+r.Bytes[1],
				r.Packets[0], r.Bytes[0], r.Packets[1], r.Bytes[1], r.Creations)
		}
	}
}

// hasLabels says whether -s all has label counters to show.
func (c *call) hasLabels() bool {
	rs := c.pf.sets[c.o.anchor]
	if rs == nil {
		return false
	}
	for _, r := range rs.rules {
		if r.Label != "" {
			return true
		}
	}
	return false
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
			c.warn("Anchor does not exist")
		} else {
			c.warn("DIOCGETRULESETS: No such file or directory")
		}
		return exitError(1)
	}
	for _, p := range pf.children(path) {
		c.showAnchor(p)
	}
	if c.o.verbose >= 2 && pf.prof.Name == "freebsd15" {
		c.out.WriteString("Ethernet:\n")
	}
	return nil
}

// showAnchor prints an anchor, and those below it where the system or -v goes down. Names that pfctl itself gave to rules in braces
// begin with "_" and are for -v.
func (c *call) showAnchor(p string) {
	if !strings.HasPrefix(p, "_") || c.o.verbose > 0 {
		fmt.Fprintf(&c.out, "  %s\n", p)
	}
	if c.pf.prof.AnchorsDeep || c.o.verbose > 0 {
		for _, q := range c.pf.children(p) {
			c.showAnchor(q)
		}
	}
}

// below lists an anchor and all below it, the last first: the order in which -a 'name/*' works through them.
func (pf *PF) below(path string) []string {
	out := []string{path}
	var walk func(string)
	walk = func(p string) {
		for _, q := range pf.children(p) {
			out = append(out, q)
			walk(q)
		}
	}
	walk(path)
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}
