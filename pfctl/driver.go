package pfctl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// Driver keeps the tables of one anchor as they should be. It is level-triggered: callers say what should be in a table, the worker
// compares that with what it knows to be there and applies the difference: at once, after an error, and at every
// reconciliation. Add and Delete never wait for PF.
type Driver struct {
	cfg   Config
	run   Runner
	read  Runner
	log   *slog.Logger
	clock Clock

	runMu   sync.Mutex // one pfctl that changes something at a time
	readMu  sync.Mutex // and one that reads
	work    sync.Mutex // one step at a time: the worker's, or a Start or Stop beside it
	tables  []*tableState
	byPart  map[Table]*tableState
	budget  *bucket
	chunk   int // addresses in one run; halved when PF says that it is too many
	kills   *killQueue
	counter counterCache

	mu        sync.Mutex // below: shared with callers
	submitted uint64     // changes handed in
	settled   uint64     // and done or failed
	lastErr   error      // of the changes settled last; nil if they are done
	progress  chan struct{}
	kick      chan struct{}
	nextRecon time.Time
	wanted    bool // a reconciliation was asked for
	retryAt   time.Time
	backoff   time.Duration
	tries     int   // steps that failed in a row
	tryErr    error // the last of them
	active    [2]activeRun
	probe     probeState
	stats     Stats
}

// activeRun is a run of pfctl that has not ended yet: of those that change something, and of those that only read, there is one at
// most. The zero value is none.
type activeRun struct {
	what  string
	begin time.Time
}

// tableState is one table: what shall be in it and what is.
type tableState struct {
	part    Table
	name    string // in PF
	desired map[netip.Prefix]Entry
	in      map[netip.Prefix]bool // ours and in PF, as far as we know; false: not known
	dirty   []netip.Prefix        // to look at, in the order of submission
	isDirty map[netip.Prefix]bool
	foreign map[netip.Prefix]bool // in PF and never ours; false: as long as Known has not said so
	negated map[netip.Prefix]bool // entries "!p" found in PF
	over    []netip.Prefix        // for which PF had no room
	blind   bool                  // PF does not let us read the table: more entries than one request may carry
	full    bool                  // PF has no room for more
	unseen  bool                  // what was desired at the start was not compared with PF yet, nor is it dirty
}

// New makes a driver. It runs nothing before Start.
func New(cfg Config, run Runner, log *slog.Logger, clock Clock) (*Driver, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("pfctl: %w", err)
	}
	cfg = cfg.withDefaults()
	d := &Driver{
		cfg: cfg, run: run, read: cfg.Reader, log: log, clock: clock, chunk: cfg.Chunk,
		byPart:   map[Table]*tableState{},
		progress: make(chan struct{}),
		kick:     make(chan struct{}, 1),
		budget:   newBucket(cfg.RunsPer, cfg.Burst, clock.Now()),
		kills:    newKillQueue(cfg, clock.Now()),
	}
	if d.read == nil {
		d.read = run
	}
	d.stats.init()
	d.probe.counters = true
	d.addTable(Banned, cfg.Banned)
	if cfg.Suspects == cfg.Banned {
		d.byPart[Suspects] = d.byPart[Banned] // rules of the administrator's own may have one table for both
	} else {
		d.addTable(Suspects, cfg.Suspects)
	}
	for _, t := range cfg.PortTables {
		d.addTable(Table(t.Name), t.Name)
	}
	return d, nil
}

func (d *Driver) addTable(part Table, name string) {
	t := &tableState{part: part, name: name, desired: map[netip.Prefix]Entry{}, in: map[netip.Prefix]bool{}, isDirty: map[netip.Prefix]bool{},
		foreign: map[netip.Prefix]bool{}, negated: map[netip.Prefix]bool{}}
	d.tables = append(d.tables, t)
	d.byPart[part] = t
}

// Add says that entries should be in their tables from now on. It returns at once; an address that may not be banned is refused
// with an error that wraps ErrRefused, the others are taken.
func (d *Driver) Add(entries ...Entry) error {
	d.mu.Lock()
	err := d.put(entries, true)
	d.mu.Unlock()
	d.wake()
	return err
}

// put takes entries that shall be in their tables; touch marks them to be looked at.
func (d *Driver) put(entries []Entry, touch bool) error {
	var errs []error
	for _, e := range entries {
		t, p, err := d.accept(e)
		if err != nil {
			d.stats.Refused++
			errs = append(errs, err)
			continue
		}
		e.Prefix = p
		if old, there := t.desired[p]; there && old.Table == Banned && e.Table != Banned {
			continue // where both parts share a table, a proven ban is not weakened
		}
		t.desired[p] = e
		if touch {
			d.touch(t, p)
		}
	}
	return errors.Join(errs...)
}

// Delete says that entries should no longer be in their tables. It returns at once. Before Start it names entries that an earlier
// life may have left behind: they go even where PF does not let us read a table.
func (d *Driver) Delete(entries ...Entry) error {
	var errs []error
	d.mu.Lock()
	for _, e := range entries {
		t := d.byPart[e.Table]
		if t == nil {
			errs = append(errs, fmt.Errorf("pfctl: table %q is not ours", e.Table))
			continue
		}
		p := unmap(e.Prefix)
		if old, there := t.desired[p]; there && old.Table != e.Table {
			continue
		}
		delete(t.desired, p)
		if _, have := t.in[p]; !have && (!d.probe.loaded || t.blind) {
			t.in[p] = false // it may be there from an earlier life
		}
		d.kills.drop(p)
		d.touch(t, p)
	}
	d.mu.Unlock()
	d.wake()
	return errors.Join(errs...)
}

// unmap gives a prefix the form in which it is kept, without judging it.
func unmap(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// accept judges an entry.
func (d *Driver) accept(e Entry) (*tableState, netip.Prefix, error) {
	t := d.byPart[e.Table]
	if t == nil {
		return nil, e.Prefix, fmt.Errorf("pfctl: table %q is not ours", e.Table)
	}
	p, err := Canonical(e.Prefix)
	if err != nil {
		return nil, p, fmt.Errorf("pfctl: %w", err)
	}
	if why := d.refused(p); why != "" {
		return nil, p, fmt.Errorf("pfctl: %w: %v: %s", ErrRefused, p, why)
	}
	return t, p, nil
}

func (d *Driver) refused(p netip.Prefix) string {
	if d.cfg.Refuse == nil {
		return ""
	}
	return d.cfg.Refuse(p)
}

// touch marks an address to be looked at by the worker.
func (d *Driver) touch(t *tableState, p netip.Prefix) {
	d.submitted++
	if !t.isDirty[p] {
		t.isDirty[p] = true
		t.dirty = append(t.dirty, p)
	}
}

// Reconcile asks the worker to compare PF with what should be, soon.
func (d *Driver) Reconcile() {
	d.mu.Lock()
	d.wanted = true
	d.mu.Unlock()
	d.wake()
}

func (d *Driver) wake() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

// Sync waits until everything that was submitted before is done or has failed once. What failed is tried again by itself; its
// error is returned.
func (d *Driver) Sync(ctx context.Context) error {
	d.mu.Lock()
	goal := d.submitted
	for d.settled < goal {
		ch := d.progress
		d.mu.Unlock()
		select {
		case <-ctx.Done():
			return fmt.Errorf("pfctl: changes are still on their way to pf: %w", ctx.Err())
		case <-ch:
		}
		d.mu.Lock()
	}
	err := d.lastErr
	d.mu.Unlock()
	return err
}

// Start takes the desired set, looks at PF, loads the anchor and brings the tables to that set at once, whatever they held before.
// An error says what is wrong with PF or its rules; Run goes on trying all the same.
func (d *Driver) Start(ctx context.Context, desired []Entry) error {
	d.work.Lock()
	defer d.work.Unlock()
	refused := d.expect(desired)
	d.look(ctx)
	if d.cfg.Observe {
		d.pass()
		return refused
	}
	err := d.loadAnchor(ctx)
	if err == nil {
		err = d.reconcile(ctx, true)
	}
	if err != nil {
		for _, t := range d.tables {
			d.touchUnseen(t)
		}
		d.failed(err)
		d.settle(0, err)
	}
	d.mu.Lock()
	d.nextRecon = d.clock.Now().Add(d.cfg.Reconcile)
	d.mu.Unlock()
	return errors.Join(refused, err)
}

// expect takes the set desired at the start. What of it PF lacks is found out by comparing, so nothing is marked.
func (d *Driver) expect(desired []Entry) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	count := make(map[Table]int)
	for i := range desired {
		count[desired[i].Table]++
	}
	for part, n := range count {
		if t := d.byPart[part]; t != nil && len(t.desired) == 0 {
			t.desired = make(map[netip.Prefix]Entry, n)
		}
	}
	for _, t := range d.tables {
		t.unseen = true
	}
	return d.put(desired, false)
}

// touchUnseen marks what was desired at the start, where comparing was not possible.
func (d *Driver) touchUnseen(t *tableState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.unseen {
		t.unseen = false
		for p := range t.desired {
			d.touch(t, p)
		}
	}
}

// Run works until ctx is done, and then returns nil. No error of PF ends it.
func (d *Driver) Run(ctx context.Context) error {
	for {
		wait := d.step(ctx)
		var timer <-chan time.Time
		if wait > 0 {
			timer = d.clock.After(wait)
		}
		if wait == 0 {
			if ctx.Err() != nil {
				return nil
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-d.kick:
		case <-timer:
		}
	}
}

// settle tells waiters that changes up to a number are done or failed; 0 is all.
func (d *Driver) settle(upTo uint64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if upTo == 0 {
		upTo = d.submitted
	}
	d.settled = max(d.settled, upTo)
	d.lastErr = err
	close(d.progress)
	d.progress = make(chan struct{})
}

// ReconcileNow compares PF with what should be and mends it before it returns.
func (d *Driver) ReconcileNow(ctx context.Context) error {
	d.work.Lock()
	defer d.work.Unlock()
	d.look(ctx)
	if d.cfg.Observe {
		d.pass()
		return nil
	}
	d.mu.Lock()
	load := !d.probe.loaded
	d.wanted = false
	d.mu.Unlock()
	if load {
		if err := d.loadAnchor(ctx); err != nil {
			return err
		}
	}
	if err := d.reconcile(ctx, false); err != nil {
		return err
	}
	for {
		wait, err := d.apply(ctx, false)
		if err != nil || wait == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.clock.After(wait):
		}
	}
}
