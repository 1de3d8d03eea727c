package pfctl

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Backing off after an error.
const (
	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 5 * time.Second
)

// step does what is due and says how long to wait before the next one; 0 is no wait, and there is always something to wait for.
func (d *Driver) step(ctx context.Context) time.Duration {
	d.work.Lock()
	defer d.work.Unlock()
	if ctx.Err() != nil {
		return 0
	}
	now := d.clock.Now()
	d.mu.Lock()
	if d.nextRecon.IsZero() {
		d.nextRecon = now.Add(d.cfg.Reconcile)
	}
	due := d.wanted || !now.Before(d.nextRecon)
	load := !d.probe.loaded // an add before the first load would make tables without counters
	held := now.Before(d.retryAt)
	retryAt := d.retryAt
	d.mu.Unlock()
	if d.cfg.Observe {
		return d.observe(ctx, due)
	}
	if held {
		return retryAt.Sub(now)
	}
	if due || load {
		d.mu.Lock()
		d.wanted = false
		d.nextRecon = now.Add(d.cfg.Reconcile)
		d.mu.Unlock()
		if wait := d.maintain(ctx, load); wait > 0 {
			return wait
		}
	}
	if wait, err := d.apply(ctx, false); err != nil || wait > 0 {
		return d.after(err, wait)
	}
	wait, err := d.killSome(ctx)
	if err != nil {
		return d.after(err, 0)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.backoff, d.tries, d.tryErr = 0, 0, nil
	d.probe.killed[changing] = nil // whatever it had done, all is as it should be now
	rest := max(d.nextRecon.Sub(d.clock.Now()), time.Millisecond)
	if wait > 0 {
		rest = min(rest, wait)
	}
	return rest
}

// maintain looks at PF and compares.
func (d *Driver) maintain(ctx context.Context, load bool) time.Duration {
	d.look(ctx)
	var err error
	if load {
		err = d.loadAnchor(ctx)
	}
	if err == nil {
		err = d.reconcile(ctx, false)
	}
	if err != nil {
		d.failed(err)
		d.settle(0, err)
		return d.after(err, 0)
	}
	return 0
}

// after turns the outcome of a step into a wait. A missing table is mended at once, the first time.
func (d *Driver) after(err error, wait time.Duration) time.Duration {
	if err == nil {
		return wait
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !errors.Is(err, context.Canceled) { // we are ending, which is no fault of pf's
		d.tries++
		d.tryErr = err
	}
	missing := errors.Is(err, ErrTableMissing)
	if missing || errors.Is(err, ErrStuck) || errors.Is(err, ErrKilled) {
		d.wanted = true // what is in PF is not known now
	}
	first := d.backoff == 0
	if first {
		d.backoff = firstBackoff
	} else {
		d.backoff = min(2*d.backoff, lastBackoff)
	}
	if missing && first {
		return time.Millisecond
	}
	d.retryAt = d.clock.Now().Add(d.backoff)
	return d.backoff
}

// failed writes an error down.
func (d *Driver) failed(err error) {
	d.log.Warn("pf does not do what it should; trying again", "error", err)
}

// batch is the difference of one table at one moment.
type batch struct {
	t        *tableState
	add, del []netip.Prefix
}

// take empties the dirty lists into batches, and returns up to which submission they go.
func (d *Driver) take() (list []batch, upTo uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.tables {
		b := batch{t: t}
		for _, p := range t.dirty {
			_, want := t.desired[p]
			known, have := t.in[p]
			switch {
			case want && !(have && known):
				if why := d.refused(p); why != "" { // the last step before PF: the never-list may have grown since
					delete(t.desired, p)
					d.stats.Refused++
					d.log.Warn("refused at the last step", "address", p, "reason", why)
					if have {
						b.del = append(b.del, p)
					}
					continue
				}
				b.add = append(b.add, p)
			case !want && have:
				b.del = append(b.del, p)
			}
		}
		t.dirty = t.dirty[:0]
		clear(t.isDirty)
		if len(b.add)+len(b.del) > 0 {
			list = append(list, b)
		}
	}
	return list, d.submitted
}

// apply brings PF what has been submitted: per table one run of deletes and one of adds, in chunks. wait asks to come again when
// the budget allows; with force there is no budget. What could not be done is marked to be looked at again.
func (d *Driver) apply(ctx context.Context, force bool) (wait time.Duration, err error) {
	for ctx.Err() == nil {
		d.mu.Lock()
		idle := true
		for _, t := range d.tables {
			idle = idle && len(t.dirty) == 0
		}
		d.mu.Unlock()
		if idle {
			d.settle(0, nil)
			return 0, nil
		}
		if !force { // before the batch is taken: what arrives while we wait goes out with it
			if wait := d.budget.take(d.clock.Now()); wait > 0 {
				return wait, nil
			}
		}
		list, upTo := d.take()
		paid := !force
		var errs []error
		for i, b := range list {
			if err := d.applyTable(ctx, b, &paid, force); err != nil {
				errs = append(errs, err)
				if !errors.Is(err, ErrLimit) {
					for _, rest := range list[i+1:] {
						d.again(rest.t, append(rest.del, rest.add...))
					}
					break
				}
			}
		}
		err = errors.Join(errs...)
		d.settle(upTo, err)
		if err != nil {
			d.failed(err)
			if onlyLimit(errs) {
				return 0, nil // waits for the next reconciliation, which sees whether there is room
			}
			return 0, err
		}
	}
	return 0, ctx.Err()
}

func onlyLimit(errs []error) bool {
	for _, e := range errs {
		if !errors.Is(e, ErrLimit) {
			return false
		}
	}
	return true
}

// again marks addresses to be looked at in a later step.
func (d *Driver) again(t *tableState, list []netip.Prefix) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range list {
		if !t.isDirty[p] {
			t.isDirty[p] = true
			t.dirty = append(t.dirty, p)
		}
	}
}

// applyTable runs the chunks of one table's batch, deletes first. After an error what the failed chunk did is not known.
func (d *Driver) applyTable(ctx context.Context, b batch, paid *bool, force bool) error {
	if err := d.chunks(ctx, b.t, "delete", b.del, paid, force); err != nil {
		if errors.Is(err, ErrTableMissing) {
			d.forget(b.t)
		}
		d.again(b.t, b.add)
		return err
	}
	room := d.room(len(b.add))
	over := b.add[room:]
	err := d.chunks(ctx, b.t, "add", b.add[:room], paid, force)
	if len(over) > 0 {
		d.tooFull(b.t, over)
		err = errors.Join(err, fmt.Errorf("pfctl: %d addresses do not fit in table <%s>: %w; raise \"set limit table-entries\" in pf.conf",
			len(over), b.t.name, ErrLimit))
	}
	return err
}

// chunks runs one verb over a list.
func (d *Driver) chunks(ctx context.Context, t *tableState, verb string, list []netip.Prefix, paid *bool, force bool) error {
	half := 0 // a chunk for which there may be room yet
	for len(list) > 0 {
		n := min(len(list), d.chunk)
		if half > 0 {
			n = min(n, half)
		}
		if !*paid && !force {
			if err := d.pay(ctx); err != nil {
				d.again(t, list)
				return err
			}
		}
		*paid = false
		err := d.change(ctx, t, verb, list[:n])
		switch {
		case err == nil:
		case errors.Is(err, ErrLimit) && n > smallestChunk:
			half = n / 2
			continue
		case errors.Is(err, ErrLimit):
			d.tooFull(t, list)
			return err
		case errors.Is(err, ErrTooMany) && n > smallestChunk:
			d.chunk = n / 2
			d.log.Info("pf takes fewer addresses in one request than thought", "addresses", d.chunk)
			continue
		default:
			d.again(t, list)
			return err
		}
		list = list[n:]
	}
	return nil
}

// smallestChunk is not made smaller when PF says that a chunk is too large.
const smallestChunk = 64

// tooFull puts addresses aside for which PF has no room, until a delete or the next reconciliation.
func (d *Driver) tooFull(t *tableState, list []netip.Prefix) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t.full = true
	for _, p := range list {
		delete(t.in, p)
	}
	t.over = append(t.over, list...)
}

// pay waits for a token of the budget of table runs.
func (d *Driver) pay(ctx context.Context) error {
	for {
		wait := d.budget.take(d.clock.Now())
		if wait == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.clock.After(wait):
		}
	}
}

// change is one run of add or delete.
func (d *Driver) change(ctx context.Context, t *tableState, verb string, list []netip.Prefix) error {
	unsure := false
	d.mu.Lock()
	for _, p := range list { // not known until the run has ended well
		known, have := t.in[p]
		unsure = unsure || have && !known // an earlier run may have done it
		if verb == "add" || known {
			t.in[p] = false
		}
	}
	d.mu.Unlock()
	res, err := d.exec(ctx, fmt.Sprintf("%s %d addresses, table <%s>", verb, len(list), t.name),
		d.tableArgs(t, "-T", verb, "-f", "-"), addressList(list))
	if err != nil {
		return err
	}
	d.mu.Lock()
	for _, p := range list {
		if verb == "add" {
			t.in[p] = true
			delete(t.foreign, p)
			if e := t.desired[p]; e.KillStates && d.cfg.KillStates {
				d.kills.push(p)
			}
		} else {
			delete(t.in, p)
		}
	}
	if verb == "add" {
		d.stats.Added += uint64(len(list))
	} else {
		d.stats.Deleted += uint64(len(list))
		for _, p := range t.over { // there is room again
			if _, want := t.desired[p]; want && !t.isDirty[p] {
				t.isDirty[p] = true
				t.dirty = append(t.dirty, p)
			}
		}
		t.over, t.full = nil, false
	}
	d.mu.Unlock()
	// It was gone and has come back without its counters, or an address did not go in.
	if tableCreated(res.Stderr) || verb == "add" && !unsure && fewer(res.Stderr) {
		d.mu.Lock()
		d.wanted = true
		d.mu.Unlock()
	}
	return nil
}

// addressList is what pfctl reads from standard input.
func addressList(list []netip.Prefix) []byte {
	b := make([]byte, 0, len(list)*16)
	for _, p := range list {
		if p.IsSingleIP() {
			b = p.Addr().AppendTo(b)
		} else {
			b = p.AppendTo(b)
		}
		b = append(b, '\n')
	}
	return b
}

// forget takes a table for empty: it is gone. Everything desired is looked at again.
func (d *Driver) forget(t *tableState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(t.in)
	clear(t.foreign)
	clear(t.negated)
	t.unseen = false
	for p := range t.desired {
		if !t.isDirty[p] {
			t.isDirty[p] = true
			t.dirty = append(t.dirty, p)
		}
	}
}
