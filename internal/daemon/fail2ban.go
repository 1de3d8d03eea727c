package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"pfwarden/internal/config"
	"pfwarden/internal/engine"
	"pfwarden/internal/fail2ban"
	"pfwarden/internal/screen"
	"pfwarden/pfctl"
)

// readFail2ban reads the fail2ban folder that the configuration names, nil if it names none. Unless strictness is asked for, a fault
// costs its jail alone.
func (d *Daemon) readFail2ban(c *config.Config) (*fail2ban.Running, error) {
	if c.Fail2ban == "" {
		d.fault("fail2ban", "")
		return nil, nil
	}
	r, err := d.o.Apart.fail2ban(c, d.overrides)
	if err != nil {
		return nil, fmt.Errorf("fail2ban folder %s: %w", c.Fail2ban, err)
	}
	var texts []string
	for _, f := range r.Faults {
		texts = append(texts, f.Error())
		d.log.Error("a jail of fail2ban's is left out", "jail", f.Jail, "error", f.Err)
	}
	for _, j := range r.Jails {
		for _, w := range j.Warnings {
			d.log.Warn("a jail of fail2ban's", "jail", j.Engine.Name, "warning", w)
		}
	}
	d.fault("fail2ban", strings.Join(texts, "; "))
	return r, nil
}

// ReadFail2ban reads the fail2ban folder of a configuration and makes its jails ready to run. own are this machine's addresses.
func ReadFail2ban(c *config.Config, own []netip.Addr) (*fail2ban.Running, error) {
	return readFail2banFolder(c, own, nil)
}

func readFail2banFolder(c *config.Config, own []netip.Addr, over []override) (*fail2ban.Running, error) {
	setup, err := fail2ban.Load(c.Fail2ban, fail2ban.Options{Strict: c.Fail2banStrict, AllowMissingLogs: !c.Fail2banStrict, NoJournal: true})
	if err != nil {
		return nil, err
	}
	overlay(setup, over)
	r := setup.Compile(runOptions(c, own))
	if c.Fail2banStrict && len(r.Faults) > len(setup.Faults) {
		var errs []error
		for _, f := range r.Faults[len(setup.Faults):] {
			errs = append(errs, f)
		}
		return nil, errors.Join(errs...)
	}
	return r, nil
}

func runOptions(c *config.Config, own []netip.Addr) fail2ban.RunOptions {
	var taken []string
	for _, j := range c.Jails {
		if j.Enabled && j.Named {
			taken = append(taken, j.Name)
		}
	}
	return fail2ban.RunOptions{
		Own: own, Taken: taken, MainAnchor: c.PF.Anchor, Banned: c.PF.Banned, KillStates: c.PF.KillStates,
		Reserved: []string{c.PF.Banned, c.PF.Suspects, string(pfctl.Banned), string(pfctl.Suspects)},
	}
}

// ownJails are the log jails of pfwarden's own to run. glob finds their logs; nil = in the file system. A jail of the system's that nobody asked
// for gives way to fail2ban's of that name.
func ownJails(c *config.Config, f *fail2ban.Running, glob func(string) ([]string, error)) []config.Jail {
	return slices.DeleteFunc(c.ActiveJails(glob), func(j config.Jail) bool { return !j.Named && f.Jail(j.Name) != nil })
}

// screenJails says what is asked about candidates of fail2ban's jails.
func screenJails(f *fail2ban.Running) (map[string]screen.Jail, []*screen.List) {
	if f == nil {
		return nil, nil
	}
	jails := make(map[string]screen.Jail)
	for _, j := range f.Jails {
		jails[j.Engine.Name] = j.Screen
	}
	return jails, f.Lists
}

func extend(p *engine.Plan, f *fail2ban.Running) {
	if f != nil {
		f.Extend(p)
	}
}

// anchor is one anchor of PF beside our own.
type anchor struct {
	*pfctl.Driver
	path  string
	parts map[string]pfctl.Table // the driver's name of a table, by the warden's
	names map[pfctl.Table]string // and the other way round
}

// newAnchors makes a driver for each anchor that fail2ban's actions fill.
func (d *Daemon) newAnchors(f *fail2ban.Running) ([]anchor, error) {
	if f == nil {
		return nil, nil
	}
	var out []anchor
	for _, a := range f.Anchors {
		x := anchor{path: a.Path, parts: make(map[string]pfctl.Table), names: make(map[pfctl.Table]string)}
		cfg := d.driverConfig(d.config)
		cfg.PortTables = nil
		cfg.Anchor, cfg.Rules, cfg.TablesOnly, cfg.LongAnchor = a.Path, a.Rules, a.TablesOnly, true
		for i, t := range a.Tables {
			part := pfctl.Table(t.Name)
			if i == 0 {
				part, cfg.Banned, cfg.Suspects = pfctl.Banned, t.Name, t.Name
			} else {
				cfg.PortTables = append(cfg.PortTables, pfctl.PortTable{Name: t.Name})
			}
			x.parts[t.Part], x.names[part] = part, t.Part
		}
		cfg.Known = func(ctx context.Context, t pfctl.Table, list []netip.Prefix) ([]netip.Prefix, error) {
			return d.knownAs(ctx, x.names[t], list)
		}
		var err error
		if x.Driver, err = pfctl.New(cfg, d.runner, d.log.With("part", "pfctl", "anchor", a.Path), clock{d.o.Now}); err != nil {
			return nil, fmt.Errorf("anchor %q of fail2ban's actions: %w", a.Path, err)
		}
		out = append(out, x)
	}
	return out, nil
}

// drivers lists every driver with our own first.
func (d *Daemon) drivers() []*pfctl.Driver {
	list := []*pfctl.Driver{d.driver}
	for _, a := range d.anchors {
		list = append(list, a.Driver)
	}
	return list
}

// route sorts entries by the driver whose table they are for. Entries of tables that the configuration does not know any more are left out.
func (d *Daemon) route(entries []pfctl.Entry) map[*pfctl.Driver][]pfctl.Entry {
	out := make(map[*pfctl.Driver][]pfctl.Entry)
next:
	for _, e := range entries {
		for _, a := range d.anchors {
			if part, ok := a.parts[string(e.Table)]; ok {
				e.Table = part
				out[a.Driver] = append(out[a.Driver], e)
				continue next
			}
		}
		if e.Table == pfctl.Banned || e.Table == pfctl.Suspects ||
			slices.ContainsFunc(d.plan.Ports, func(t pfctl.PortTable) bool { return t.Name == string(e.Table) }) {
			out[d.driver] = append(out[d.driver], e)
			continue
		}
		d.log.Warn("a ban is for a table that no configuration names any more: pf is not told", "table", e.Table, "address", e.Prefix)
	}
	return out
}

// each calls f for all drivers at once and joins the errors.
func (d *Daemon) each(f func(*pfctl.Driver) error) error {
	list := d.drivers()
	errs := make([]error, len(list))
	var running sync.WaitGroup
	for i, driver := range list {
		running.Go(func() { errs[i] = f(driver) })
	}
	running.Wait()
	return errors.Join(errs...)
}

// allCounters reads the counters of every driver's tables, under the warden's names.
func (d *Daemon) allCounters(ctx context.Context, age time.Duration) (pfctl.Counters, error) {
	c, err := d.driver.Counters(ctx, age)
	if len(d.anchors) == 0 {
		return c, err
	}
	c.Tables = slices.Clone(c.Tables)
	for _, a := range d.anchors {
		more, moreErr := a.Counters(ctx, age)
		err = errors.Join(err, moreErr)
		c.Err = errors.Join(c.Err, more.Err)
		for _, t := range more.Tables {
			t.Table = pfctl.Table(a.names[t.Table])
			t.Name = string(t.Table)
			c.Tables = append(c.Tables, t)
		}
	}
	return c, err
}

// anchorHealth is what stands in the way of the other anchors.
func (d *Daemon) anchorHealth() (out []pfctl.HealthItem) {
	for _, a := range d.anchors {
		for _, h := range a.Health() {
			if !h.OK {
				h.Name += " " + strings.ReplaceAll(a.path, "/", "_")
				h.Text = "anchor " + a.path + ": " + h.Text
				out = append(out, h)
			}
		}
	}
	return out
}
