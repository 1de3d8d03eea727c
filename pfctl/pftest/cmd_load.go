package pftest

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// load is -f: a transaction over the rules and the tables of one anchor.
func (c *call) load(tablesOnly bool) error {
	pf, o := c.pf, &c.o
	if strings.HasSuffix(o.anchor, "/") {
		if pf.prof.OpenBSD {
			c.warn("pfctl_rules: bad anchor name %s", o.anchor)
		} else {
			c.warn("pfctl_rules")
		}
		return exitError(1)
	}
	text, name := string(c.stdin), "stdin"
	if o.file != "-" {
		name = o.file
		data, err := os.ReadFile(o.file)
		if err != nil {
			if pf.prof.OpenBSD {
				c.warn("pushfile: %s: %s", o.file, fileError(err))
			} else {
				c.warn("%s: %s", o.file, fileError(err))
			}
			c.warn("cannot open the main config file!: %s", fileError(err))
			return c.notLoaded()
		}
		text = string(data)
	}
	if pf.secure() && !o.dry {
		c.warn("pfctl_rules")
		c.warn("DIOCXROLLBACK: Operation not permitted")
		return exitError(1)
	}
	tree, err := c.parseRules(text)
	if err != nil {
		for _, line := range syntaxErrors(err) {
			c.err.WriteString(name + ":" + strconv.Itoa(line.line) + ": " + line.msg + "\n")
		}
		return c.notLoaded()
	}
	if !tablesOnly {
		c.echoRules(tree, 0)
	}
	if o.dry {
		return nil
	}
	if pf.strike(FaultBusy) {
		c.busy(name, tree)
		return exitError(1)
	}
	if def := c.noRoomFor(tree); def != nil {
		c.err.WriteString(name + ":" + strconv.Itoa(def.line) + ": cannot define table " + def.name + ": Cannot allocate memory\n")
		return c.notLoaded()
	}
	if o.anchor == "" && !tablesOnly && !o.rulesOnly && !c.loadLimits(tree.limits) {
		return exitError(1)
	}
	c.commit(o.anchor, tree, tablesOnly)
	pf.recount()
	if !pf.prof.WarnAlways {
		c.warnCollision("")
	}
	return nil
}

// noRoomFor returns the first table of a file for which PF has no room: until the end of the load each table has a shadow that holds its
// whole list, beside the table itself.
func (c *call) noRoomFor(tree *parsed) *tableDef {
	tables, entries := 0, 0
	for i := range tree.tables {
		def := &tree.tables[i]
		tables++
		if rs := c.pf.sets[c.o.anchor]; rs == nil || rs.tables[def.name] == nil {
			tables++
		}
		seen := map[key]bool{}
		for _, a := range def.list {
			seen[a.key] = true
		}
		entries += len(seen)
		if !c.pf.tableRoom(tables) || len(seen) > 0 && !c.pf.room(entries) {
			return def
		}
	}
	return nil
}

// echoRules prints rules as -v does when it loads them.
func (c *call) echoRules(tree *parsed, depth int) {
	if c.o.verbose == 0 {
		return
	}
	for i, r := range tree.rules {
		if c.o.verbose == 1 {
			c.out.WriteString(strings.Repeat("  ", depth))
		}
		var count func(string) string
		if c.o.verbose >= 2 {
			c.out.WriteString("@" + strconv.Itoa(i) + " ")
			count = func(string) string { return "0" }
		}
		c.out.WriteString(c.pf.ruleText(r, c.pf.prof.PortNames != c.o.numeric, count))
		sub := tree.anchors[r.Anchor]
		if r.Action != "anchor" || sub == nil || len(sub.rules) == 0 {
			c.out.WriteByte('\n')
			continue
		}
		c.out.WriteString(" {\n")
		c.echoRules(sub, depth+1)
		c.out.WriteString(strings.Repeat("  ", depth) + "}\n")
	}
}

// syntaxErrors are the faults of a file: the one that ended the reading, or those of rules that were passed over.
func syntaxErrors(err error) []*syntaxError {
	var one *syntaxError
	var more softErrors
	switch {
	case errors.As(err, &one):
		return []*syntaxError{one}
	case errors.As(err, &more):
		return more
	}
	return nil
}

func (c *call) notLoaded() error {
	if !c.o.dry {
		c.warn("Syntax error in config file: pf rules not loaded")
	}
	return exitError(1)
}

// busy prints what the loser of two concurrent loads prints.
func (c *call) busy(name string, tree *parsed) {
	if len(tree.tables) > 0 {
		c.err.WriteString(name + ":1: cannot define table " + tree.tables[0].name + ": Device busy\n")
		c.warn("Syntax error in config file: pf rules not loaded")
		return
	}
	c.warn("DIOCADDRULE: Device busy")
}

func (c *call) parseRules(text string) (*parsed, error) {
	if c.pf.prof.FinalNewline && text != "" && !strings.HasSuffix(text, "\n") {
		return nil, &syntaxError{strings.Count(text, "\n") + 1, "syntax error"}
	}
	toks, defined, bad := lex(text, c.o.macros)
	if bad != nil {
		return nil, bad
	}
	p := &parser{pf: c.pf, toks: toks, stderr: func(s string) { c.err.WriteString(s + "\n") }, echo: func(format string, args ...any) {
		if c.o.verbose > 0 {
			fmt.Fprintf(&c.out, format, args...)
		}
	}}
	for _, d := range defined {
		p.echo("%s\n", d)
	}
	tree, err := p.block(false)
	if err == nil && p.soft != nil {
		return nil, p.soft
	}
	return tree, err
}

// commit puts a parsed file in the place of an anchor's rules, and of the anchors written inside it.
func (c *call) commit(path string, tree *parsed, tablesOnly bool) {
	pf := c.pf
	rs := pf.set(path)
	if !tablesOnly && !c.o.rulesOnly {
		rs.rules = tree.rules
	}
	for _, def := range tree.tables {
		if pf.prof.WarnAlways {
			c.warnDuplicates(def.name, path)
		}
		c.define(rs, def)
	}
	for name, sub := range tree.anchors {
		p, _ := resolve(path, name)
		c.commit(p, sub, tablesOnly)
	}
}

// define commits one table: with a list it becomes the list, and what stays keeps its counters; without one its addresses stay.
func (c *call) define(rs *ruleset, def tableDef) {
	pf := c.pf
	t := rs.tables[def.name]
	if t == nil {
		t = newTable(rs.path, def.name)
		rs.tables[def.name] = t
	}
	now := pf.now()
	t.activate(now)
	counted := t.counted
	t.persist, t.konst, t.counted = def.persist, def.konst, def.counted
	switch {
	case counted && !t.counted && pf.prof.CountersFreed:
		for _, e := range t.all() {
			e.c = nil
		}
	case !counted && t.counted && !pf.prof.CountersLazy:
		for _, e := range t.all() {
			if e.c == nil {
				e.c = &counters{}
			}
		}
	}
	if !def.filled {
		return
	}
	keep := map[key]bool{}
	for _, a := range def.list {
		if keep[a.key] {
			continue
		}
		keep[a.key] = true
		e := t.all()[a.key]
		switch {
		case e == nil:
			t.insert(pf.newEntry(t, a, now))
		case e.not != a.not:
			e.not = a.not
			pf.zeroEntry(e, now.UnixNano())
		}
	}
	for _, e := range t.sorted() {
		if !keep[e.key] {
			t.remove(e.key)
		}
	}
	pf.wake()
}
