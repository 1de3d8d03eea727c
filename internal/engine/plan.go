package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"pfwarden/detect"
	"pfwarden/detect/filter"
	"pfwarden/detect/probe"
	"pfwarden/internal/config"
	"pfwarden/internal/warden"
	"pfwarden/pfctl"
)

// Filters finds the definition of a filter by its spec, "name[options]".
type Filters func(spec string) (filter.Definition, error)

// PlanOptions say what a configuration does not.
type PlanOptions struct {
	Filters Filters
	Filter  filter.Options // common to all filters; FindTime is set by jail
	Jails   []config.Jail  // log jails to run
	Own     []netip.Addr   // our own addresses
	Never   detect.Never
	Watch   []string // interfaces, groups resolved; none = all
	Seed    uint64
	Rules   string // the administrator's own rules for our anchor; "" = the default ones
}

// Plan is what a configuration comes to: the settings of every part.
type Plan struct {
	Jails    []Jail
	Detector detect.Config
	Probe    probe.Config
	Warden   warden.Config
	Ports    []pfctl.PortTable // tables of the jails that ask for ports
}

// NewPlan compiles the filters and works the settings out. The error names every jail that is at fault; the plan holds the others and
// can be run.
func NewPlan(c *config.Config, o PlanOptions) (*Plan, error) {
	p := &Plan{
		Detector: detect.Config{
			Seed: o.Seed, Never: o.Never, Own: o.Own,
			Portscan: detect.PortscanConfig{
				Disabled: !c.Portscan.Enabled, Threshold: c.Portscan.Threshold, HalfLife: c.Portscan.HalfLife,
				TrapPorts: c.Portscan.TrapPorts, Slots: c.Portscan.TableSlots,
				Prefix4: c.Defaults.Prefix4, Prefix6: c.Defaults.Prefix6, NoCombine: !c.Defaults.Combine,
			},
			Guess: detect.GuessConfig{
				Act: c.Guessing.Act, Addresses: c.Guessing.Addresses, Failures: c.Guessing.Failures, Window: c.Guessing.Window, Weight: c.Guessing.Weight,
				Names: c.Guessing.Names, NamesWindow: c.Guessing.NamesWindow, TrapNames: c.Guessing.TrapNames,
			},
			Prefix: detect.PrefixConfig{Enabled: c.Prefix.Enabled, Members: c.Prefix.Members, Window: c.Prefix.Window},
		},
		Probe: probe.Config{Watch: o.Watch, Anchor: c.PF.Anchor, Own: o.Own},
		Warden: warden.Config{
			Banned: c.PF.Banned, Suspects: c.PF.Suspects, Observe: c.Observe, KillStates: c.PF.KillStates, Seed: o.Seed,
			Jails: map[string]warden.Jail{}, Default: wardenJail(c.Defaults, c),
		},
	}
	var faults []error
	for _, j := range o.Jails {
		f, err := compile(j, o)
		if err != nil {
			faults = append(faults, jailFault(c, j.Name, err))
			continue
		}
		rule, judged := wardenJail(j.Rule, c), detect.JailConfig{
			Name: j.Name, Strategy: detect.Window, Threshold: j.MaxRetry, Findtime: j.FindTime, Combine: j.Combine,
			Prefix4: j.Prefix4, Prefix6: j.Prefix6,
		}
		if j.Counting == asFail2ban {
			if rule.Fail2ban, err = growthOf(j.Rule); err != nil {
				faults = append(faults, jailFault(c, j.Name, err))
				continue
			}
			judged = detect.JailConfig{
				Name: j.Name, Strategy: detect.Fail2ban, Threshold: j.MaxRetry, Findtime: j.FindTime, BypassGates: true, KeepMatches: j.MaxRetry,
				Increment: len(j.Ladder) > 1,
			}
		}
		p.Jails = append(p.Jails, Jail{Name: j.Name, Filter: f, Logs: j.Logs, Exact: j.Counting == asFail2ban})
		p.Detector.Jails = append(p.Detector.Jails, judged)
		if t, ok := portTable(j, o.Rules); ok {
			rule.Table = t.Name
			p.Ports = append(p.Ports, t)
		}
		p.Warden.Jails[j.Name] = rule
	}
	return p, errors.Join(faults...)
}

// jailFault says what is wrong with a jail, and where it stands.
func jailFault(c *config.Config, jail string, err error) error {
	if where := c.Where("jail." + jail); where != "" {
		return fmt.Errorf("%s: jail %s: %w", where, jail, err)
	}
	return fmt.Errorf("jail %s: %w", jail, err)
}

// asFail2ban is the counting of jails that count and ban as fail2ban does.
const asFail2ban = "fail2ban"

// growthOf says a ladder as fail2ban says it, by multipliers of its first step.
func growthOf(r config.Rule) (*warden.Growth, error) {
	first := r.Ladder[0].Seconds()
	multipliers := make([]string, len(r.Ladder))
	for i, d := range r.Ladder {
		multipliers[i] = strconv.FormatFloat(d.Seconds()/first, 'g', -1, 64)
	}
	return warden.NewGrowth(warden.GrowthOptions{
		BanTime: first, Increment: len(r.Ladder) > 1, Multipliers: strings.Join(multipliers, " "), RndTime: r.Jitter.Seconds(),
	})
}

func wardenJail(r config.Rule, c *config.Config) warden.Jail {
	return warden.Jail{
		Ladder: r.Ladder, Memory: r.LadderMemory, Jitter: r.Jitter, Prolong: r.Prolong,
		Suspect: c.Portscan.Ban, KillStates: c.PF.KillStates,
	}
}

// DefinitionOf is what a jail looks for in its logs; filters finds filters by their specification.
func DefinitionOf(j *config.Jail, filters func(spec string) (filter.Definition, error)) (filter.Definition, error) {
	def := filter.Definition{Name: j.Name, Failregex: j.FailRegex, Prefregex: j.PrefRegex}
	if j.Filter != "" {
		var err error
		if def, err = filters(j.Filter); err != nil {
			return def, err
		}
	}
	def.Ignoreregex = append(slices.Clone(def.Ignoreregex), j.IgnoreRegex...)
	if len(j.DatePattern) > 0 {
		def.Datepattern = strings.Join(j.DatePattern, "\n")
	}
	if j.MaxLines > 0 {
		def.MaxLines = j.MaxLines
	}
	for _, o := range []struct {
		to   *string
		text string
	}{{&def.UseDNS, j.UseDNS}, {&def.LogEncoding, j.Encoding}, {&def.TimeZone, j.Timezone}, {&def.Proof, j.Proof}} {
		if o.text != "" {
			*o.to = o.text
		}
	}
	def.Forgeable = def.Forgeable && j.Proof == "" // else the administrator has judged
	return def, nil
}

func compile(j config.Jail, o PlanOptions) (*filter.Filter, error) {
	def, err := DefinitionOf(&j, o.Filters)
	if err != nil {
		return nil, err
	}
	options := o.Filter
	options.FindTime = j.FindTime
	return filter.Compile(def, options)
}
