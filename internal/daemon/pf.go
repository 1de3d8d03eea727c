package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pfwarden/internal/config"
	"pfwarden/internal/ledger"
	"pfwarden/internal/metrics"
	"pfwarden/internal/warden"
	"pfwarden/pfctl"
)

func (d *Daemon) driverConfig(c *config.Config) pfctl.Config {
	cfg := pfctl.Config{
		Anchor: c.PF.Anchor, Banned: c.PF.Banned, Suspects: c.PF.Suspects, NoLog: !c.PF.Log, KillStates: c.PF.KillStates,
		Flush: !c.PF.KeepOnStop, RemoveForeign: c.PF.Foreign == "remove", Reconcile: c.PF.Reconcile,
		Rules: d.rules, PortTables: d.plan.Ports, Observe: c.Observe, Reader: d.reader, Refuse: d.never.Forbids, Known: d.known,
	}
	return cfg
}

// readRules reads the administrator's own rules for our anchor.
func (d *Daemon) readRules(c *config.Config) {
	if c.PF.RulesFile == "" {
		return
	}
	text, err := d.o.Apart.readFile(c.PF.RulesFile)
	if err == nil && len(bytes.TrimSpace(text)) == 0 {
		err = fmt.Errorf("%s: no rules in it", c.PF.RulesFile)
	}
	if err != nil {
		d.log.Error("the anchor's own rules cannot be read; the default ones are used", "error", err)
		d.fault("rules_file", err.Error()+"; the default rules are used")
		return
	}
	d.rules = string(text)
}

// setRunners measures every run of pfctl, and lets what only reads go beside what changes.
func (d *Daemon) setRunners() {
	d.runner = d.metrics.TimedRunner(d.o.Runner, d.o.Now)
	if d.o.Reader != nil {
		d.reader = d.metrics.TimedRunner(d.o.Reader, d.o.Now)
	}
}

// known tells which entries that PF holds were ever put there by us.
func (d *Daemon) known(ctx context.Context, t pfctl.Table, list []netip.Prefix) ([]netip.Prefix, error) {
	return d.knownAs(ctx, d.pf.Name(t), list)
}

// Bounds of knownAs: fewEntries are looked up one by one, since that is quicker than to read all bans; knownTime is what it may take.
const (
	fewEntries = 16
	knownTime  = time.Minute
)

func (d *Daemon) knownAs(ctx context.Context, table string, list []netip.Prefix) (ours []netip.Prefix, err error) {
	ctx, cancel := context.WithTimeout(ctx, knownTime)
	defer cancel()
	if len(list) <= fewEntries {
		for _, p := range list {
			bans, err := d.store.History(ctx, ledger.Query{Prefix: p, Table: table, WithoutStory: true})
			if err != nil {
				return nil, fmt.Errorf("asking the ledger about entry %s of table <%s>: %w", p, table, err)
			}
			if slices.ContainsFunc(bans, func(b ledger.Ban) bool { return b.Prefix == p }) {
				ours = append(ours, p)
			}
		}
		return ours, nil
	}
	asked := make(map[netip.Prefix]bool, len(list))
	for _, p := range list {
		asked[p] = true
	}
	err = d.store.Walk(ctx, time.Time{}, func(b ledger.Past) error {
		if b.Table == table && asked[b.Prefix] {
			delete(asked, b.Prefix)
			ours = append(ours, b.Prefix)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("asking the ledger about %d entries of table <%s>: %w", len(list), table, err)
	}
	return ours, nil
}

// oneTable tells whether the administrator's own rules have one table for proven bans and suspects.
func (d *Daemon) oneTable() bool {
	return d.rules != "" && !strings.Contains(d.rules, "<"+d.pf.Suspects+">")
}

// router hands entries to the driver whose table they are for.
type router struct{ d *Daemon }

// Add implements warden.Tables.
func (r router) Add(list ...pfctl.Entry) error {
	var errs []error
	for driver, entries := range r.d.route(list) {
		errs = append(errs, driver.Add(entries...))
	}
	return errors.Join(errs...)
}

// Delete implements warden.Tables.
func (r router) Delete(list ...pfctl.Entry) error {
	var errs []error
	for driver, entries := range r.d.route(list) {
		errs = append(errs, driver.Delete(entries...))
	}
	return errors.Join(errs...)
}

// startPF brings PF's tables to what they should hold.
func (d *Daemon) startPF(ctx context.Context) error {
	if d.adopt {
		d.takeOver(ctx)
	}
	// What ended while we were away goes even where PF does not let us read a table.
	if err := d.pf.Delete(ctx, d.bans.Leaving()...); err != nil {
		d.log.Warn("entries of ended bans", "error", err)
	}
	by := d.route(d.pf.Entries(d.bans.Desired()))
	err := d.each(func(x *pfctl.Driver) error { return x.Start(ctx, by[x]) })
	err = errors.Join(err, d.bans.Commit(ctx))
	d.settled(ctx)
	return err
}

// takeOver makes bans of what PF's tables hold, since the ledger that knew them is lost. It comes before the driver is started,
// which would compare the tables with an empty ledger. Entries that cannot be read now are later seen as foreign.
func (d *Daemon) takeOver(ctx context.Context) {
	counters, err := d.driver.Counters(ctx, 0)
	if err != nil {
		d.log.Error("pf's tables cannot be read to take over their bans", "error", err)
		return
	}
	for _, t := range counters.Tables {
		var prefixes []netip.Prefix
		for _, a := range t.Addresses {
			prefixes = append(prefixes, a.Prefix)
		}
		d.engine.Notices(d.bans.Adopt(d.now(), d.pf.Name(t.Table), prefixes))
	}
	d.adopt = false
}

// countersEvery is how often PF's counters are read at least while bans are in force; reading takes at most a twentieth of the time.
const countersEvery = 10 * time.Second

// scrapeAge is how old counters may be in a scrape, so that several scrapers share a reading. Whoever asks over the control socket sees PF's
// counters of this moment.
const scrapeAge = 100 * time.Millisecond

// readCounters keeps the bans' counters up to date, and reads them once more just before a ban ends: whether it is still hit decides
// whether it goes on.
func (d *Daemon) readCounters(ctx context.Context) {
	ticker := time.NewTicker(beforeEnd / 2)
	defer ticker.Stop()
	last, took := time.Now(), time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !d.countersDue(time.Since(last), took) {
			continue
		}
		last = time.Now()
		if d.bans.Len() > 0 {
			d.freshCounters(ctx, scrapeAge)
		}
		took = time.Since(last)
	}
}

// beforeEnd is how long before a ban's end its counters are read.
const beforeEnd = 500 * time.Millisecond

// countersDue says whether counters are to be read, so long after the last reading, which took so long.
func (d *Daemon) countersDue(since, took time.Duration) bool {
	switch end, ok := d.bans.NextEnd(); {
	case since < max(beforeEnd, 20*took):
		return false
	case since >= countersEvery:
		return true
	default:
		return ok && end.Sub(d.o.Now()) <= beforeEnd
	}
}

// freshCounters hands PF's counters, at most so old, to the warden.
func (d *Daemon) freshCounters(ctx context.Context, age time.Duration) pfctl.Counters {
	counters, err := d.allCounters(ctx, age)
	if err != nil {
		d.log.Debug("reading pf's counters", "error", err)
	}
	var counts []warden.Count
	for _, t := range counters.Tables {
		for _, a := range t.Addresses {
			b := a.Counts.Blocked()
			c := warden.Count{Table: d.pf.Name(t.Table), Prefix: a.Prefix, Packets: b.Packets, Bytes: b.Bytes}
			counts = append(counts, c)
			if t.Table == pfctl.Banned && d.oneTable() {
				c.Table = d.pf.Suspects
				counts = append(counts, c)
			}
		}
	}
	d.bans.Counters(counters.Taken, counts)
	return counters
}

// pfCounters gives PF's counters as metrics.
func (d *Daemon) pfCounters() (metrics.PFCounters, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c := d.freshCounters(ctx, scrapeAge)
	out := metrics.PFCounters{Read: c.Taken}
	for _, t := range c.Tables {
		m := metrics.TableCounters{Table: t.Name, Cleared: t.Cleared, Addresses: len(t.Addresses), Totals: metrics.CountsFrom(t.Totals)}
		for _, a := range t.Addresses {
			m.ByAddress = append(m.ByAddress, metrics.AddressCounters{Prefix: a.Prefix, Counts: metrics.CountsFrom(a.Counts)})
		}
		out.Tables = append(out.Tables, m)
	}
	return out, c.Err
}
