package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pfwarden/detect/filter/builtin"
	"pfwarden/internal/config"
	"pfwarden/internal/engine"
	"pfwarden/internal/fail2ban"
	"pfwarden/internal/screen"
	"pfwarden/internal/warden"
	"pfwarden/pfctl"
)

// Needs is what a daemon of a configuration needs of others: the files that it reads and the anchors that it fills.
type Needs struct {
	Files   []string // paths and globs of the logs, and of the pflog file
	Lists   []string // paths of the files of addresses
	Anchors []pfctl.Config
}

// NeedsOf works them out. f may be nil; rules are those of pf.rules_file.
func NeedsOf(c *config.Config, f *fail2ban.Running, rules string) (Needs, error) {
	var n Needs
	add := func(path string) {
		if path != "" && path != "-" && !slices.Contains(n.Files, path) {
			n.Files = append(n.Files, path)
		}
	}
	for _, j := range c.Jails {
		if j.Enabled {
			for _, path := range j.Logs {
				add(path)
			}
		}
	}
	if c.Portscan.Enabled {
		add(c.Pflog.File)
	}
	lists := []*screen.List{}
	if never, err := screen.NewList(c.Never, nil, nil); err == nil {
		lists = append(lists, never)
	}
	if f != nil {
		lists = append(lists, f.Lists...)
	}
	for _, l := range lists {
		for _, path := range l.Files() {
			if path = filepath.Clean(path); filepath.IsAbs(path) && !slices.Contains(n.Lists, path) {
				n.Lists = append(n.Lists, path)
			}
		}
	}
	plan, err := engine.NewPlan(c, engine.PlanOptions{Filters: builtin.Lookup, Jails: ownJails(c, f, nil), Never: &warden.NeverList{}, Rules: rules})
	if plan == nil {
		return n, err
	}
	extend(plan, f)
	n.Anchors = append(n.Anchors, pfctl.Config{
		Anchor: c.PF.Anchor, Banned: c.PF.Banned, Suspects: c.PF.Suspects, NoLog: !c.PF.Log, Rules: rules, PortTables: plan.Ports,
	})
	if f == nil {
		return n, nil
	}
	for _, j := range f.Jails {
		for _, path := range j.Engine.Logs {
			add(path)
		}
	}
	for _, a := range f.Anchors {
		cfg := pfctl.Config{Anchor: a.Path, NoLog: !c.PF.Log, Rules: a.Rules, TablesOnly: a.TablesOnly, LongAnchor: true}
		for i, t := range a.Tables {
			if i == 0 {
				cfg.Banned, cfg.Suspects = t.Name, t.Name
			} else {
				cfg.PortTables = append(cfg.PortTables, pfctl.PortTable{Name: t.Name})
			}
		}
		n.Anchors = append(n.Anchors, cfg)
	}
	return n, nil
}

// RulesOf reads pf.rules_file, "" if there is none.
func RulesOf(c *config.Config) (string, error) {
	if c.PF.RulesFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(c.PF.RulesFile)
	return string(text), err
}

// Absolute makes every path of a configuration absolute.
func Absolute(c *config.Config) error {
	if strings.Contains(c.PF.Pfctl, "/") {
		abs, err := filepath.Abs(c.PF.Pfctl)
		if err != nil {
			return err
		}
		c.PF.Pfctl = abs
	}
	paths := []*string{&c.Pflog.File, &c.Control.Socket, &c.PF.RulesFile, &c.Fail2ban, &c.Metrics.WebConfig}
	if c.Store.File != ":memory:" {
		paths = append(paths, &c.Store.File)
	}
	for i := range c.Jails {
		c.Jails[i].Logs = slices.Clone(c.Jails[i].Logs)
		for k := range c.Jails[i].Logs {
			if c.Jails[i].Logs[k] != "-" {
				paths = append(paths, &c.Jails[i].Logs[k])
			}
		}
	}
	for _, p := range paths {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = abs
	}
	return nil
}
