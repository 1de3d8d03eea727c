package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Given is what a configuration says of a key, and where: "/etc/pfwarden.toml:12", "--set:1", or "" where it says nothing and the default holds.
type Given struct{ Value, Where string }

// Pinned are the keys that cannot change while pfwarden runs, with what a configuration says of them.
type Pinned map[string]Given

// Pinned gives what c says of the keys that a reload cannot change.
func (c *Config) Pinned() Pinned {
	p := make(Pinned)
	for key, value := range map[string]any{
		"observe": c.Observe, "store.file": c.Store.File,
		"pf.backend": c.PF.Backend, "pf.pfctl": c.PF.Pfctl, "pf.anchor": c.PF.Anchor, "pf.banned": c.PF.Banned, "pf.suspects": c.PF.Suspects,
		"pf.rules_file": c.PF.RulesFile, "pf.log": c.PF.Log, "pf.foreign": c.PF.Foreign, "pf.reconcile": FormatDuration(c.PF.Reconcile),
		"control.socket": c.Control.Socket, "control.group": c.Control.Group,
		"metrics.listen": c.Metrics.Listen, "metrics.web_config": c.Metrics.WebConfig, "metrics.addresses": c.Metrics.Addresses,
		"log.level": c.Log.Level, "log.target": c.Log.Target, "log.format": c.Log.Format,
	} {
		text := fmt.Sprint(value)
		if s, ok := value.(string); ok && key != "pf.reconcile" {
			text = fmt.Sprintf("%q", s)
		}
		p[key] = Given{text, c.Where(key)}
	}
	return p
}

// Where says where a key was given, as Given does. A section or jail stands where its header does.
func (c *Config) Where(key string) string {
	p, ok := c.places[key]
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s:%d", p.file, max(p.line, 1))
}

// Moved tells which of the named keys (none named: of all) another configuration changes, as an error, one a line and each with its place; nil if
// none.
func (p Pinned) Moved(to Pinned, keys ...string) error {
	if len(keys) == 0 {
		for key := range p {
			keys = append(keys, key)
		}
		slices.Sort(keys)
	}
	var lines []string
	for _, key := range keys {
		if old, fresh := p[key], to[key]; old.Value != fresh.Value {
			lines = append(lines, NeedsRestart(key, old, fresh).Error())
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return fmt.Errorf("%s", strings.Join(lines, "\n"))
}

// NeedsRestart says that a key that was changed cannot change while pfwarden runs, and what to do about it.
func NeedsRestart(key string, old, fresh Given) error {
	place, is := fresh.Where, ""
	if place == "" {
		place, is = cmp.Or(old.Where, "configuration"), ", the default,"
	}
	return fmt.Errorf("%s: %s: %s%s instead of %s: this cannot change while pfwarden runs: restart it, or put the old value back",
		place, key, fresh.Value, is, old.Value)
}
