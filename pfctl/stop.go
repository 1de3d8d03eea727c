package pfctl

import (
	"context"
	"errors"
)

// Stop finishes what was submitted and, with Config.Flush, empties our tables. Call it after Run has returned.
func (d *Driver) Stop(ctx context.Context) error {
	d.work.Lock()
	defer d.work.Unlock()
	if d.cfg.Flush && !d.cfg.Observe {
		return d.flush(ctx)
	}
	return d.finish(ctx)
}

// Leave is Stop for when another driver takes over the same tables: they stay, whatever Flush says.
func (d *Driver) Leave(ctx context.Context) error {
	d.work.Lock()
	defer d.work.Unlock()
	return d.finish(ctx)
}

// finish brings PF all that was submitted, whatever the budget says.
func (d *Driver) finish(ctx context.Context) error {
	if d.cfg.Observe {
		d.pass()
		return nil
	}
	_, err := d.apply(ctx, true)
	return err
}

// flush empties our tables and forgets what shall be in them. Foreign entries go too.
func (d *Driver) flush(ctx context.Context) error {
	if d.cfg.Observe {
		d.pass()
		return nil
	}
	var errs []error
	for _, t := range d.tables {
		d.mu.Lock()
		clear(t.desired)
		clear(t.isDirty)
		t.dirty = nil
		d.mu.Unlock()
		_, err := d.exec(ctx, "flush "+t.name, d.tableArgs(t, "-T", "flush"), nil)
		if err != nil && !errors.Is(err, ErrTableMissing) {
			errs = append(errs, err)
			continue
		}
		d.mu.Lock()
		clear(t.in)
		clear(t.foreign)
		clear(t.negated)
		d.mu.Unlock()
	}
	d.kills.clear()
	d.settle(0, errors.Join(errs...))
	return errors.Join(errs...)
}
