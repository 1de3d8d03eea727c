package pfctl

import (
	"context"
	"time"
)

// observe is a step of a driver that changes nothing: it looks at PF when it is time to.
func (d *Driver) observe(ctx context.Context, due bool) time.Duration {
	if due {
		d.look(ctx)
	}
	d.pass()
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.clock.Now()
	if due {
		d.nextRecon = now.Add(d.cfg.Reconcile)
	}
	return max(d.nextRecon.Sub(now), time.Millisecond)
}

// pass lets all that was submitted be, since PF is only looked at.
func (d *Driver) pass() {
	d.mu.Lock()
	for _, t := range d.tables {
		clear(t.in)
		clear(t.isDirty)
		t.dirty = t.dirty[:0]
	}
	d.wanted = false
	d.mu.Unlock()
	d.settle(0, nil)
}
