package pfctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// room says how many of n new addresses PF has room for, a twentieth of its limit left to others. On OpenBSD an add beyond the
// limit would sleep in the kernel until somebody makes room.
func (d *Driver) room(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	limit := d.probe.limit
	if limit == 0 {
		return n
	}
	return max(0, min(n, limit-limit/20-d.entries()))
}

// entries counts what is known to be in our tables.
func (d *Driver) entries() int {
	n := 0
	for _, t := range d.tables {
		n += len(t.in) + len(t.foreign)
	}
	return n
}

// tableInfos asks for our anchor's tables. Where there is no such anchor some systems say so with exit status 0.
func (d *Driver) tableInfos(ctx context.Context, verbose string) (map[string]TableInfo, Result, error) {
	res, err := d.exec(ctx, "list the tables of anchor "+d.cfg.Anchor, d.anchorArgs(verbose, "-s", "Tables"), nil)
	if err != nil && !bytes.Contains(res.Stderr, []byte("does not exist")) {
		return nil, res, err
	}
	list, skipped := ParseTables(res.Stdout)
	out := map[string]TableInfo{}
	for _, t := range list {
		out[t.Name] = t
	}
	d.mu.Lock()
	d.stats.Skipped += uint64(skipped)
	d.probe.openbsd = d.probe.openbsd || bytes.Contains(res.Stdout, []byte("@"+d.cfg.Anchor))
	d.mu.Unlock()
	return out, res, nil
}

// reconcile compares PF with what should be and makes the difference good: tables and their flags, then addresses.
func (d *Driver) reconcile(ctx context.Context, start bool) error {
	d.mu.Lock()
	d.stats.Reconciles++
	goal := d.submitted
	d.mu.Unlock()
	if err := d.mendTables(ctx); err != nil {
		return err
	}
	for _, t := range d.tables {
		replaced, err := d.compare(ctx, t, start)
		if errors.Is(err, ErrTableMissing) { // gone since we looked
			d.heal("table")
			d.forget(t)
			if err = d.loadAnchor(ctx); err == nil && !d.cfg.TablesOnly { // else the next add makes it
				replaced, err = d.compare(ctx, t, start)
			}
		}
		if err != nil {
			return err
		}
		if replaced {
			d.log.Info("table brought to what it should be", "table", t.name, "addresses", len(t.desired))
		}
	}
	if !start {
		return nil
	}
	for {
		wait, err := d.apply(ctx, false)
		if err != nil || wait == 0 {
			if err == nil {
				d.settle(goal, d.lastError())
			}
			return errors.Join(err, d.lastError())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.clock.After(wait):
		}
	}
}

func (d *Driver) lastError() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lastErr
}

func (d *Driver) heal(what string) {
	d.mu.Lock()
	d.stats.Heals[what]++
	d.mu.Unlock()
	d.log.Warn("pf was changed behind our back; mending it", "what", what)
}

// mendTables sees to it that our tables are there, counted, and named by a rule.
func (d *Driver) mendTables(ctx context.Context) error {
	infos, _, err := d.tableInfos(ctx, "-v")
	if err != nil {
		return err
	}
	load := false
	for _, t := range d.tables {
		info := infos[t.name]
		d.mu.Lock()
		counted := d.probe.counters && d.cfg.Rules == "" && !d.cfg.TablesOnly
		known, careful := len(t.in) > 0, !d.probe.openbsd
		d.mu.Unlock()
		named := d.cfg.Rules == "" && !d.cfg.TablesOnly || bytes.Contains([]byte(d.cfg.Rules), []byte("<"+t.name+">"))
		switch {
		case !info.Active && (known || named):
			d.heal("table")
			d.forget(t)
			load = true
		case !info.Active:
		case counted && !info.CountersOn:
			// The table came back by an add. FreeBSD has panicked when "counters" was set on a table with entries, so there it is
			// emptied first; OpenBSD takes it.
			d.heal("flags")
			load = true
			if careful {
				if err := d.pay(ctx); err != nil {
					return err
				}
				if _, err := d.exec(ctx, "flush "+t.name, d.tableArgs(t, "-T", "flush"), nil); err != nil && !errors.Is(err, ErrTableMissing) {
					return err
				}
				d.forget(t)
			}
		case named && !info.Referenced:
			d.heal("rules")
			load = true
		}
	}
	if load {
		return d.loadAnchor(ctx)
	}
	return nil
}

// compare reads a table and marks what differs. At the start, where nothing in the table is foreign, one replace may do it all.
func (d *Driver) compare(ctx context.Context, t *tableState, start bool) (replaced bool, err error) {
	if err := d.pay(ctx); err != nil {
		return false, err
	}
	res, err := d.exec(ctx, "show table <"+t.name+">", d.tableArgs(t, "-T", "show"), nil)
	if errors.Is(err, ErrTooMany) || blindAnswer(res, err) {
		d.mu.Lock()
		t.blind = true
		d.mu.Unlock()
		d.touchUnseen(t)
		return false, nil // what we know not to be there is marked already; the rest is believed
	}
	if err != nil {
		return false, err
	}
	list, skipped := ParseShow(res.Stdout)
	known, err := d.known(ctx, t, list)
	if err != nil {
		d.log.Warn("it is not known what in pf's table was ever ours; all that should not be there is left alone", "table", t.name, "error", err)
	}
	adds, dels := d.diff(t, list, known, skipped)
	if d.cfg.RemoveForeign {
		if err := d.removeNegated(ctx, t); err != nil {
			return false, err
		}
	}
	if !start || adds+dels == 0 || !d.mayReplace(t, adds) {
		return false, nil
	}
	return true, d.replace(ctx, t)
}

// blindAnswer recognises EINVAL of a table that is there, as newer pfctls print it.
func blindAnswer(res Result, err error) bool {
	return err != nil && res.Exit == 255 && bytes.Contains(res.Stderr, []byte("Anchor does not exist"))
}

// known asks which of the entries that should not be in a table, as far as nothing is known of them, were ever put there by us. The lock is not held
// meanwhile: bans go on. What it gives holds an entry for each that was asked for; after an error it is nil.
func (d *Driver) known(ctx context.Context, t *tableState, list []AddrCounts) (map[netip.Prefix]bool, error) {
	if d.cfg.RemoveForeign || d.cfg.Known == nil {
		return nil, nil
	}
	var ask []netip.Prefix
	d.mu.Lock()
	for i := range list {
		p := list[i].Prefix
		if _, want := t.desired[p]; !want && !list[i].Negated && !t.in[p] && !t.foreign[p] {
			ask = append(ask, p)
		}
	}
	d.mu.Unlock()
	if len(ask) == 0 {
		return nil, nil
	}
	ours, err := d.cfg.Known(ctx, t.part, ask)
	if err != nil {
		return nil, err
	}
	known := make(map[netip.Prefix]bool, len(ask))
	for _, p := range ask {
		known[p] = false
	}
	for _, p := range ours {
		known[p] = true
	}
	return known, nil
}

// diff takes over what a table really holds and counts what has to be added and deleted.
func (d *Driver) diff(t *tableState, list []AddrCounts, known map[netip.Prefix]bool, skipped int) (adds, dels int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Skipped += uint64(skipped)
	t.blind, t.full, t.over, t.unseen = false, false, nil, false
	in := make(map[netip.Prefix]bool, len(list)) // what is there and ours
	foreign := make(map[netip.Prefix]bool)
	clear(t.negated)
	mark := func(p netip.Prefix) {
		if !t.isDirty[p] {
			t.isDirty[p] = true
			t.dirty = append(t.dirty, p)
		}
	}
	wanted := 0
	for i := range list {
		p := list[i].Prefix
		if list[i].Negated {
			t.negated[p] = true
			continue
		}
		if in[p] {
			continue
		}
		_, want := t.desired[p]
		if want && d.refused(p) == "" {
			in[p] = true
			wanted++
			continue
		}
		if want { // the never-list has grown since
			delete(t.desired, p)
			d.stats.Refused++
		} else if _, ours := t.in[p]; !ours {
			if ours, answered := known[p]; !d.cfg.RemoveForeign && !ours {
				foreign[p] = answered || t.foreign[p]
				continue
			}
			d.stats.Heals["extra"]++
		}
		in[p] = true
		mark(p)
		dels++
	}
	lost := 0
	if wanted < len(t.desired) {
		if len(t.isDirty) == 0 && wanted == 0 {
			t.isDirty = make(map[netip.Prefix]bool, len(t.desired))
		}
		for p := range t.desired {
			if in[p] || t.negated[p] {
				continue
			}
			if t.in[p] {
				lost++
			}
			mark(p)
			adds++
		}
	}
	t.in, t.foreign = in, foreign
	if lost > 0 {
		d.stats.Heals["missing"] += uint64(lost)
		d.log.Warn("addresses were gone from a table; putting them back", "table", t.name, "addresses", lost)
	}
	return adds, dels
}

// removeNegated deletes entries "!p": they are never ours, and would keep p from being added.
func (d *Driver) removeNegated(ctx context.Context, t *tableState) error {
	d.mu.Lock()
	var list []netip.Prefix
	for p := range t.negated {
		list = append(list, p)
	}
	d.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	text := append([]byte("!"), bytes.ReplaceAll(bytes.TrimSuffix(addressList(list), []byte("\n")), []byte("\n"), []byte("\n!"))...)
	if err := d.pay(ctx); err != nil {
		return err
	}
	if _, err := d.exec(ctx, fmt.Sprintf("delete %d negated entries, table <%s>", len(list), t.name),
		d.tableArgs(t, "-T", "delete", "-f", "-"), append(text, '\n')); err != nil {
		return err
	}
	d.heal("negated")
	d.mu.Lock()
	clear(t.negated)
	d.mu.Unlock()
	d.again(t, list)
	return nil
}

// mayReplace says whether one replace can bring a table to what it should be: nothing foreign in it, old and new together within
// PF's limit, and not more than one request carries (whose buffer is doubled for it).
func (d *Driver) mayReplace(t *tableState, adds int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(t.desired)
	if n == 0 || len(t.foreign) > 0 || len(t.negated) > 0 {
		return false
	}
	if d.probe.limit > 0 && d.entries()+adds > d.probe.limit-d.probe.limit/20 {
		return false
	}
	return d.probe.openbsd || n <= d.cfg.RequestMax/2
}

// replace brings a table to the desired set in one go; what stays keeps its counters.
func (d *Driver) replace(ctx context.Context, t *tableState) error {
	d.mu.Lock()
	list := make([]netip.Prefix, 0, len(t.desired))
	for p := range t.desired {
		if why := d.refused(p); why != "" {
			delete(t.desired, p)
			d.stats.Refused++
			continue
		}
		list = append(list, p)
	}
	d.mu.Unlock()
	if err := d.pay(ctx); err != nil {
		return err
	}
	_, err := d.exec(ctx, fmt.Sprintf("replace table <%s> by %d addresses", t.name, len(list)), d.tableArgs(t, "-T", "replace", "-f", "-"), addressList(list))
	if err != nil {
		if errors.Is(err, ErrTableMissing) || errors.Is(err, ErrNotPermitted) {
			return err
		}
		d.log.Info("replace did not work; adding and deleting instead", "error", err)
		return nil // the differences are marked
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range list {
		if !t.in[p] && t.desired[p].KillStates && d.cfg.KillStates {
			d.kills.push(p)
		}
	}
	clear(t.in)
	for _, p := range list {
		t.in[p] = true
	}
	d.stats.Added += uint64(len(list))
	return nil
}
