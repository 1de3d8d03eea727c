package pfctl

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// RulesText returns what is loaded into our anchor: the administrator's own text, or the default rules. counters says whether this
// PF knows the word; where it does not, entries have counters without it.
func (c Config) RulesText(counters bool) string {
	c = c.withDefaults()
	if c.Rules != "" {
		return strings.TrimRight(c.Rules, "\n") + "\n"
	}
	word := ""
	if counters {
		word = " counters"
	}
	log := " log"
	if c.NoLog {
		log = ""
	}
	var b strings.Builder
	for _, name := range []string{c.Banned, c.Suspects} {
		fmt.Fprintf(&b, "table <%s> persist%s\n", name, word)
	}
	for _, t := range c.PortTables {
		fmt.Fprintf(&b, "table <%s> persist%s\n", t.Name, word)
	}
	fmt.Fprintf(&b, "block drop%s quick from <%s> to any\n", log, c.Banned)
	fmt.Fprintf(&b, "block drop in%s quick from <%s> to any\n", log, c.Suspects)
	for _, t := range c.PortTables {
		dir := ""
		if t.Spoof {
			dir = " in"
		}
		protos := t.Protos
		if len(protos) == 0 {
			protos = []string{"tcp", "udp"}
		}
		if len(t.Ports) == 0 {
			fmt.Fprintf(&b, "block drop%s%s quick from <%s> to any\n", dir, log, t.Name)
			continue
		}
		ports := make([]string, len(t.Ports))
		for i, p := range t.Ports {
			ports[i] = strconv.Itoa(int(p))
		}
		for _, proto := range protos {
			fmt.Fprintf(&b, "block drop%s%s quick proto %s from <%s> to any port { %s }\n", dir, log, proto, t.Name, strings.Join(ports, ", "))
		}
	}
	return b.String()
}

// CheckRules asks pfctl whether it understands a text for our anchor, without changing anything (-nf -).
func (d *Driver) CheckRules(ctx context.Context, text string) error {
	_, err := d.exec(ctx, "check the rules of anchor "+d.cfg.Anchor, d.anchorArgs("-nf", "-"), []byte(text))
	return err
}

// probeCounters finds out whether this PF's grammar knows "counters".
func (d *Driver) probeCounters(ctx context.Context) error {
	d.mu.Lock()
	known := d.probe.grammar
	d.mu.Unlock()
	if known {
		return nil
	}
	err := d.CheckRules(ctx, d.cfg.RulesText(true))
	if err == nil {
		d.mu.Lock()
		d.probe.grammar = true
		d.mu.Unlock()
	}
	if err == nil || d.cfg.Rules != "" || !errors.Is(err, ErrSyntax) {
		return err
	}
	if err2 := d.CheckRules(ctx, d.cfg.RulesText(false)); err2 != nil {
		return err
	}
	d.mu.Lock()
	d.probe.counters, d.probe.grammar = false, true
	d.mu.Unlock()
	return nil
}

// busyTries is how often a load is tried while somebody else is loading rules.
const busyTries = 6

// loadAnchor loads our rules. Addresses in the tables stay.
func (d *Driver) loadAnchor(ctx context.Context) error {
	if d.cfg.TablesOnly {
		d.setRules(nil)
		return nil
	}
	if err := d.probeCounters(ctx); err != nil {
		d.setRules(err)
		return err
	}
	d.mu.Lock()
	text := d.cfg.RulesText(d.probe.counters)
	d.mu.Unlock()
	wait := 50 * time.Millisecond
	for try := 1; ; try++ {
		_, err := d.exec(ctx, "load anchor "+d.cfg.Anchor, d.anchorArgs("-f", "-"), []byte(text))
		if err == nil || !errors.Is(err, ErrBusy) || try == busyTries {
			d.setRules(err)
			if err == nil {
				d.mu.Lock()
				d.stats.Reloads++
				d.mu.Unlock()
			}
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.clock.After(wait):
		}
		wait *= 2
	}
}

func (d *Driver) setRules(err error) {
	d.mu.Lock()
	d.probe.rules = err
	d.probe.loaded = d.probe.loaded || err == nil
	d.mu.Unlock()
}
