package daemon

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"pfwarden/internal/control"
	"pfwarden/pfctl"
)

// PF implements control.Service.
func (s *service) PF(ctx context.Context) (control.PFView, error) {
	d := s.d
	v, err := d.driver.View(ctx)
	if err != nil {
		return control.PFView{}, err
	}
	out := control.PFView{
		Backend: d.settings().PF.Backend, Filtering: v.Filtering, Words: []string{v.Verdict}, Enabled: v.Enabled, Since: v.Status, Anchor: v.Anchor,
		Main: v.MainRules, Anchors: v.Anchors, Rules: ruleLines(v.Rules), Limits: limits(v.Limits),
		Addresses: []control.PFAddress{}, Problems: []control.HealthItem{},
	}
	if d.settings().PF.Backend == "memory" {
		out.Filtering = false
		out.Words = []string{"No: this PF is in memory, for trying out, and filters nothing. Were it real: " + v.Verdict}
	}
	out.Words = append(out.Words, v.Faults...)
	counters := d.freshCounters(ctx, 0)
	out.Tables = tableStatus(counters)
	for _, t := range counters.Tables {
		for _, a := range t.Addresses {
			out.Addresses = append(out.Addresses, control.PFAddress{
				Table: t.Name, Address: control.FormatPrefix(a.Prefix), Cleared: timeOrNull(a.Cleared),
				InBlock: counter(a.Counts.InBlock), InPass: counter(a.Counts.InPass), OutBlock: counter(a.Counts.OutBlock), OutPass: counter(a.Counts.OutPass),
			})
		}
	}
	for _, h := range v.Health {
		out.Called = out.Called || h.Name == "anchor" && h.OK
		if !h.OK {
			out.Problems = append(out.Problems, control.HealthItem{Name: h.Name, Text: h.Text, Remedy: h.Fix})
		}
	}
	return out, nil
}

func counter(c pfctl.Count) control.Counter {
	return control.Counter{Packets: c.Packets, Bytes: c.Bytes}
}

// ruleLines shows our rules with what they have counted.
func ruleLines(rules []pfctl.RuleView) []string {
	var out []string
	for _, r := range rules {
		out = append(out, fmt.Sprintf("%s   [%s, %s, %s]", r.Text, plural(r.Evaluations, "evaluation"), plural(r.Packets, "packet"), plural(r.Bytes, "byte")))
	}
	return out
}

// limits reads lines such as "table-entries hard limit   200000".
func limits(lines []string) []control.PFLimit {
	var out []control.PFLimit
	for _, l := range lines {
		name, value, ok := strings.Cut(l, "hard limit")
		if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64); ok && err == nil {
			out = append(out, control.PFLimit{Name: strings.TrimSpace(name), Value: n})
		}
	}
	return out
}
