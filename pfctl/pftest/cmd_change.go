package pftest

import (
	"math"
	"slices"
	"time"
)

// tooMany is the cap of one request.
func (c *call) tooMany(n, max int) bool { return c.pf.requestMax > 0 && n > max }

func (c *call) add(list []address) error {
	t, stop, err := c.create()
	if err != nil || stop {
		return err
	}
	if t == nil {
		c.say("%d/%d addresses added", 0, len(list))
		return nil
	}
	pf := c.pf
	if !c.anchorRoom(1) {
		return c.tableError("Cannot allocate memory")
	}
	if c.tooMany(len(list), pf.requestMax) {
		if pf.prof.NetlinkAdds > 0 {
			c.err.WriteString("cannot add addresses in " + c.o.table + ": too many elements.\nConsider increasing net.pf.request_maxcount.")
		}
		return c.invalid()
	}
	if t.konst {
		return c.tableError("Operation not permitted")
	}
	if pf.prof.ReverseAdd {
		slices.Reverse(list)
	}
	fresh := map[key]struct{}{}
	var added []address
	for i := range list {
		a := &list[i]
		e := t.all()[a.key]
		_, dup := fresh[a.key]
		switch {
		case dup:
			a.fb = 'X'
		case e != nil && e.not != a.not:
			a.fb = 'Y'
		case e == nil && a.key.root(): // the tree has a leaf of its own there
		case e == nil:
			a.fb = 'A'
			fresh[a.key] = struct{}{}
			added = append(added, *a)
		}
	}
	if !c.o.dry {
		need := len(added)
		if pf.prof.NewAdds {
			need = len(list)
		}
		if !pf.room(need) {
			if pf.prof.BlockAtMax {
				return errWait
			}
			return c.tableError("Cannot allocate memory")
		}
		now := pf.now()
		for i, a := range added {
			if c.stopAfter > 0 && i >= c.stopAfter {
				break
			}
			t.insert(pf.newEntry(t, a, now))
		}
	}
	c.say("%d/%d addresses added", len(added), len(list))
	if pf.prof.NetlinkAdds == 0 {
		c.feedback(list)
	}
	return nil
}

// bufferFor is how much room pfctl makes for so many addresses, which is what replace asks PF for.
func bufferFor(n int) int {
	size := 64
	for size < n {
		size *= 2
	}
	return size
}

// anchorRoom says whether PF can make n more tables for a moment.
func (c *call) anchorRoom(n int) bool { return c.o.dry || c.pf.tableRoom(n) }

func (c *call) delete(list []address) error {
	t := c.pf.active(c.o.anchor, c.o.table)
	if !c.asks() {
		c.say("%d/%d addresses deleted", 0, len(list))
		return nil
	}
	if c.tooMany(len(list), c.pf.requestMax) {
		return c.invalid()
	}
	if t == nil {
		return c.missing()
	}
	if t.konst {
		return c.tableError("Operation not permitted")
	}
	gone := map[key]bool{}
	for i := range list {
		a := &list[i]
		switch e := t.all()[a.key]; {
		case e == nil:
		case e.not != a.not:
			a.fb = 'Y'
		case gone[a.key]:
			a.fb = 'X'
		default:
			a.fb = 'D'
			gone[a.key] = true
		}
	}
	if !c.o.dry {
		n := 0
		for k := range gone {
			if n++; c.stopAfter > 0 && n > c.stopAfter {
				break
			}
			t.remove(k)
		}
		c.pf.wake()
	}
	c.say("%d/%d addresses deleted", len(gone), len(list))
	if c.pf.prof.NetlinkAdds == 0 {
		c.feedback(list)
	}
	return nil
}

func (c *call) replace(list []address) error {
	t, stop, err := c.create()
	if err != nil || stop {
		return err
	}
	if t == nil {
		c.say("no changes")
		return nil
	}
	if c.tooMany(bufferFor(len(list)), c.pf.requestMax) {
		return c.invalid()
	}
	if !c.anchorRoom(1) {
		return c.tableError("Cannot allocate memory")
	}
	if t.konst {
		return c.tableError("Operation not permitted")
	}
	d := c.compare(t, list)
	if !c.o.dry {
		if !c.pf.room(len(d.added)) { // old and new stand side by side for a moment
			return c.tableError("Cannot allocate memory")
		}
		c.apply(t, d)
	}
	if len(d.added) > 0 {
		c.say("%d addresses added", len(d.added))
	}
	if len(d.deleted) > 0 {
		c.say("%d addresses deleted", len(d.deleted))
	}
	if len(d.changed) > 0 {
		c.say("%d addresses changed", len(d.changed))
	}
	if len(d.added)+len(d.deleted)+len(d.changed) == 0 {
		c.say("no changes")
	}
	c.feedback(append(list, d.deleted...))
	return nil
}

// difference is what replace makes of a table.
type difference struct{ added, changed, deleted []address }

// compare says what makes a table hold just list, and marks its addresses for the feedback.
func (c *call) compare(t *table, list []address) (d difference) {
	seen := map[key]bool{}
	for i := range list {
		a := &list[i]
		e := t.all()[a.key]
		switch {
		case seen[a.key]:
			a.fb = 'X'
		case e == nil && a.key.root():
			continue
		case e == nil:
			a.fb = 'A'
			d.added = append(d.added, *a)
		case e.not != a.not:
			a.fb = 'C'
			d.changed = append(d.changed, *a)
		}
		seen[a.key] = true
	}
	if c.o.verbose == 0 { // in no order, since nothing shows them
		for k, e := range t.all() {
			if !seen[k] {
				d.deleted = append(d.deleted, address{key: k, not: e.not})
			}
		}
		return d
	}
	for _, e := range t.sorted() {
		if !seen[e.key] {
			d.deleted = append(d.deleted, address{key: e.key, not: e.not, fb: 'D'})
		}
	}
	slices.Reverse(d.deleted)
	return d
}

func (c *call) apply(t *table, d difference) {
	now := c.pf.now()
	for _, a := range d.changed {
		e := t.all()[a.key]
		e.not, e.cleared = a.not, now.UnixNano()
		if e.c != nil {
			*e.c = counters{}
		}
	}
	for _, a := range d.deleted {
		t.remove(a.key)
	}
	for _, a := range d.added {
		t.insert(c.pf.newEntry(t, a, now))
	}
	c.pf.wake()
}

func (c *call) test(list []address) error {
	t := c.pf.active(c.o.anchor, c.o.table)
	if !c.asks() {
		c.say("%d/%d addresses match", 0, len(list))
		return nil
	}
	if c.tooMany(len(list), c.pf.requestMax) {
		return c.invalid()
	}
	if t == nil {
		return c.missing()
	}
	matched := 0
	var b []byte
	for _, a := range list {
		e := t.lookup(a.key)
		hit := e != nil && !e.not
		if hit {
			matched++
		}
		switch {
		case c.o.verbose >= 2:
			letter := byte(' ')
			if hit {
				letter = 'M'
			}
			b = appendAddr(b[:0], letter, a.not, a.key)
			if e == nil {
				b = append(b, "\t nomatch"...)
			} else {
				b = append(b, '\t', ' ')
				if e.not {
					b[len(b)-1] = '!'
				}
				b = e.appendText(b)
			}
		case c.o.verbose == 1 && hit:
			b = appendAddr(b[:0], 'M', a.not, a.key)
		default:
			continue
		}
		c.out.Write(append(b, '\n'))
	}
	c.say("%d/%d addresses match", matched, len(list))
	if matched < len(list) {
		return exitError(2)
	}
	return nil
}

// expire deletes what was cleared (which is: added) longer ago than so many seconds. PF's clock has no seconds' borders here: an
// entry is n seconds old after n whole seconds.
func (c *call) expire() error {
	o := &c.o
	if len(o.args) != 1 || o.fileSet {
		return c.usage()
	}
	sec, why := strtonum(o.args[0], 0, math.MaxUint32)
	if why != "" {
		c.warn("expiry time: %s", why)
		return exitError(1)
	}
	t := c.pf.active(o.anchor, o.table)
	if !c.asks() {
		c.say("0/0 addresses expired")
		return nil
	}
	if t == nil {
		return c.missing()
	}
	if c.tooMany(t.size(), c.pf.requestMax) {
		return c.invalid()
	}
	now := c.pf.now().UnixNano()
	var old []address
	for _, e := range t.sorted() {
		if (now-e.cleared)/int64(time.Second) > sec {
			old = append(old, address{key: e.key, not: e.not, fb: 'D'})
		}
	}
	if t.konst {
		return c.tableError("Operation not permitted")
	}
	if !o.dry {
		for _, a := range old {
			t.remove(a.key)
		}
		c.pf.wake()
	}
	c.say("%d/%d addresses expired", len(old), len(old))
	c.feedback(old)
	return nil
}

func (c *call) flushTable() error {
	t := c.pf.active(c.o.anchor, c.o.table)
	switch {
	case !c.asks():
		c.say("0 addresses deleted")
		return nil
	case t == nil:
		return c.missing()
	case t.konst:
		return c.tableError("Operation not permitted")
	}
	n := t.size()
	if !c.o.dry {
		t.clear()
		c.pf.wake()
	}
	c.say("%d addresses deleted", n)
	return nil
}

func (c *call) killTable() error {
	n := 0
	if c.asks() {
		if c.pf.secure() {
			return c.tableError("Operation not permitted")
		}
		if t := c.pf.active(c.o.anchor, c.o.table); t != nil {
			n = 1
			if !c.o.dry {
				t.kill()
				c.pf.settle()
				c.pf.wake()
			}
		}
	}
	c.say("%d table deleted", n)
	return nil
}
