package privsep

import (
	"pfwarden/pfctl"
)

// command makes the run of pfctl that a request asks for, or says why not.
func (g *Guard) command(r *request) (c pfctl.Command, why string) {
	set := g.settings.Load()
	if r.kind == kindKill {
		p := r.addresses[0]
		if why := g.protects(p.Prefix); why != "" {
			if !tooWide(p.Prefix) && g.never.taughtOnly(p.Prefix) { // an honest worker that has taken it off its own list since may ask
				g.counts.refused.Add(1)
				g.log.Error("left the states as they are that the worker wanted to end", "address", p.String(), "why", why)
				return c, ""
			}
			return c, p.String() + ": " + why
		}
		return pfctl.Command{Args: killArgs(p, r.towards)}, ""
	}
	if r.kind == kindRead {
		return g.reading(set, r)
	}
	a, known := set.anchor(r.anchor)
	if !known {
		return c, "no such anchor is configured"
	}
	if r.kind == kindAnchor {
		if len(a.Rules) < 2 {
			return c, "the rules of this anchor are left to others"
		}
		c.Args, c.Stdin = a.args("-f", "-"), []byte(a.Rules[flag(r.alternate)])
		if r.way == anchorCheck {
			c.Args = a.args("-nf", "-")
		}
		return c, ""
	}
	if !a.has(r.table) {
		return c, "no such table is configured"
	}
	verb := map[byte]string{tableAdd: "add", tableDelete: "delete", tableReplace: "replace", tableFlush: "flush"}[r.way]
	c.Args = a.args("-t", r.table, "-T", verb)
	if r.way == tableFlush {
		return c, ""
	}
	c.Args = append(c.Args, "-f", "-")
	list := &addressList{g: g, table: r.table, all: r.way == tableDelete}
	c.Input = list
	if r.follow > 0 {
		return c, "" // the list begins when they come
	}
	if list.next = listOf(r.packed); !list.some() {
		return pfctl.Command{}, "" // all of it was left out
	}
	return c, ""
}

// reading makes the run of a read request.
func (g *Guard) reading(set *Settings, r *request) (c pfctl.Command, why string) {
	args := func(args ...string) (pfctl.Command, string) {
		if r.anchor != "" || r.table != "" {
			return c, "names that this reading does not need"
		}
		return pfctl.Command{Args: args}, ""
	}
	switch r.way {
	case readInfo:
		return args("-s", "info")
	case readMemory:
		return args("-s", "memory")
	case readMainRules:
		return args("-s", "rules")
	case readStates:
		return args("-s", "states")
	case readAnchors:
		return args("-v", "-s", "Anchors")
	case readAnchorCall:
		if !set.above(r.anchor) || r.table != "" {
			return c, "no configured anchor lies below this one"
		}
		return pfctl.Command{Args: []string{"-a", r.anchor, "-s", "rules"}}, ""
	}
	a, known := set.anchor(r.anchor)
	if !known {
		return c, "no such anchor is configured"
	}
	if r.way >= readShow {
		if !a.has(r.table) {
			return c, "no such table is configured"
		}
	} else if r.table != "" {
		return c, "names that this reading does not need"
	}
	switch r.way {
	case readRules:
		c.Args = a.args("-v", "-s", "rules")
	case readTables:
		c.Args = a.args("-v", "-s", "Tables")
	case readTablesMore:
		c.Args = a.args("-vv", "-s", "Tables")
	case readShow:
		c.Args = a.args("-t", r.table, "-T", "show")
	case readShowMore:
		c.Args = a.args("-t", r.table, "-v", "-T", "show")
	case readCounters:
		c.Args = a.args("-t", r.table, "-vv", "-s", "Tables", "-T", "show")
	}
	return c, ""
}

func (a *Anchor) args(rest ...string) []string {
	if a.Path == "" {
		return rest
	}
	return append([]string{"-a", a.Path}, rest...)
}

// killArgs name the states to end: those that the address began, or those towards it.
func killArgs(p address, towards bool) []string {
	if !towards {
		return []string{"-k", p.String()}
	}
	all := "0.0.0.0/0"
	if p.Addr().Is6() {
		all = "::/0"
	}
	return []string{"-k", all, "-k", p.String()}
}
