package daemon

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"pfwarden/internal/config"
	"pfwarden/internal/engine"
	"pfwarden/internal/fail2ban"
)

// movedPorts tells which jails a configuration gives other ports, each with its place; nil if none.
func movedPorts(old, fresh *config.Config, before, after *engine.Plan) error {
	var errs []error
	for _, name := range jailNames(old, fresh) {
		x, y := portsOf(before, name), portsOf(after, name)
		if slices.Equal(x, y) {
			continue
		}
		key := "jail." + name + ".ports"
		where := func(c *config.Config) string { return cmp.Or(c.Where(key), c.Where("jail."+name)) }
		errs = append(errs, config.NeedsRestart(key, config.Given{Value: portsText(x), Where: where(old)}, config.Given{Value: portsText(y), Where: where(fresh)}))
	}
	return errors.Join(errs...)
}

func jailNames(configs ...*config.Config) []string {
	var names []string
	for _, c := range configs {
		for i := range c.Jails {
			names = append(names, c.Jails[i].Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// portsOf gives the ports that the rules of our anchor block for a jail's bans; nil = all, or the jail does not run.
func portsOf(p *engine.Plan, jail string) []uint16 {
	table := p.Warden.Jails[jail].Table
	for _, t := range p.Ports {
		if t.Name == table {
			return t.Ports
		}
	}
	return nil
}

func portsText(ports []uint16) string {
	return strings.ReplaceAll(fmt.Sprint(ports), " ", ", ")
}

// movedAnchors tells which anchors of PF the actions of a fail2ban folder fill otherwise than before, for which jails; nil if none.
func movedAnchors(old, fresh *fail2ban.Running) error {
	before, after := anchorsOf(old), anchorsOf(fresh)
	var errs []error
	for _, path := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(paths(before), paths(after))))) {
		x, y := before[path], after[path]
		what := ""
		switch {
		case reflect.DeepEqual(x, y):
			continue
		case x == nil:
			what = "was not filled before"
		case y == nil:
			what = "is not filled any more"
		case !reflect.DeepEqual(x.Tables, y.Tables):
			what = "has the tables " + tableNames(y) + " instead of " + tableNames(x)
		default:
			what = "gets other rules"
		}
		jails := slices.Compact(slices.Sorted(slices.Values(append(jailsOf(old, path), jailsOf(fresh, path)...))))
		errs = append(errs, fmt.Errorf("anchor %q of PF, which actions of %s fill, %s: this cannot change while pfwarden runs: restart it, or put their actions back as they were",
			path, strings.Join(jails, ", "), what))
	}
	return errors.Join(errs...)
}

func anchorsOf(f *fail2ban.Running) map[string]*fail2ban.Anchor {
	all := make(map[string]*fail2ban.Anchor)
	if f != nil {
		for i := range f.Anchors {
			all[f.Anchors[i].Path] = &f.Anchors[i]
		}
	}
	return all
}

func paths(anchors map[string]*fail2ban.Anchor) (list []string) {
	for path := range anchors {
		list = append(list, path)
	}
	return list
}

func tableNames(a *fail2ban.Anchor) string {
	var names []string
	for _, t := range a.Tables {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}

// jailsOf names the jails that fill an anchor, with the folder that they are written in.
func jailsOf(f *fail2ban.Running, anchor string) (names []string) {
	if f == nil {
		return nil
	}
	for i := range f.Jails {
		if p := f.Jails[i].PF; p != nil && p.Anchor == anchor {
			names = append(names, "jail "+f.Jails[i].Engine.Name+" in "+f.Setup.Dir)
		}
	}
	return names
}
