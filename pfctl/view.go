package pfctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// View is what the administrator would see by asking pfctl himself: status, main rules with our anchor's rules in them, anchors,
// tables, addresses and counters, and in plain words whether packets are really being filtered.
type View struct {
	Taken     time.Time
	Enabled   bool
	Status    string     // the first line of -s info
	Info      []string   // -s info
	MainRules []string   // -s rules, with our anchor's rules indented below the rule that calls it
	Anchors   []string   // -s Anchors
	Anchor    string     // our anchor's path
	Rules     []RuleView // its rules with their counters, -a ANCHOR -v -s rules
	Tables    []TableView
	Limits    []string // -s memory
	Health    []HealthItem
	Filtering bool     // packets of banned addresses are being dropped, as far as can be seen
	Verdict   string   // the same in a sentence, with the reason
	Faults    []string // commands that did not work
}

// RuleView is a rule with its counters, as pfctl -v -s rules prints them.
type RuleView struct {
	Text           string // as PF words it
	Evaluations    uint64 // packets that were compared with it
	Packets, Bytes uint64 // that matched it
	States         uint64 // that it created and that exist now
}

// TableView is a table of our anchor with its addresses.
type TableView struct {
	TableInfo
	Part      Table // which of the driver's tables it is
	Entries   []AddrCounts
	ReadError string // why the entries could not be read
}

// View asks PF anew. Parts that cannot be read are missing and named in Faults; an error means that nothing could be read.
func (d *Driver) View(ctx context.Context) (View, error) {
	v := View{Taken: d.clock.Now(), Anchor: d.cfg.Anchor}
	failed := 0
	ask := func(what string, args ...string) []byte {
		res, err := d.exec(ctx, what, args, nil)
		if err != nil {
			failed++
			v.Faults = append(v.Faults, err.Error())
		}
		return res.Stdout
	}
	v.Info = lines(ask("show status", "-s", "info"))
	if len(v.Info) > 0 {
		v.Status = v.Info[0]
		v.Enabled = strings.HasPrefix(v.Status, "Status: Enabled")
	}
	main := lines(ask("show the main rules", "-s", "rules"))
	v.Anchors = lines(ask("list anchors", "-v", "-s", "Anchors"))
	for i := range v.Anchors {
		v.Anchors[i] = strings.TrimSpace(v.Anchors[i])
	}
	v.Rules = parseRuleCounters(ask("show our rules", "-a", d.cfg.Anchor, "-v", "-s", "rules"))
	v.Limits = lines(ask("show limits", "-s", "memory"))
	infos, skipped := ParseTables(ask("list our tables", "-a", d.cfg.Anchor, "-vv", "-s", "Tables"))
	for _, info := range infos {
		tv := TableView{TableInfo: info}
		for _, t := range d.tables {
			if t.name == info.Name {
				tv.Part = t.part
			}
		}
		res, err := d.exec(ctx, "show table <"+info.Name+">", []string{"-a", d.cfg.Anchor, "-t", info.Name, "-v", "-T", "show"}, nil)
		if err != nil {
			tv.ReadError = err.Error()
			v.Faults = append(v.Faults, tv.ReadError)
		}
		var n int
		tv.Entries, n = ParseShow(res.Stdout)
		skipped += n
		if err == nil {
			tv.Addresses = len(tv.Entries) // FreeBSD 15's own number is wrong after a reload
		}
		v.Tables = append(v.Tables, tv)
	}
	d.look(ctx)
	d.mu.Lock()
	d.stats.Skipped += uint64(skipped)
	call := d.probe.call
	d.mu.Unlock()
	v.MainRules = inline(main, call.Line, v.Rules)
	v.Health = d.Health()
	v.Filtering, v.Verdict = d.verdict(v, call)
	if failed == 6 {
		return v, fmt.Errorf("pfctl: pf cannot be read: %w", errors.New(v.Faults[0]))
	}
	return v, nil
}

// verdict says in words whether packets are being filtered.
func (d *Driver) verdict(v View, call Call) (bool, string) {
	addresses, asked := 0, uint64(0)
	dropped := Count{}
	referenced := false
	var unnamed []string
	for _, t := range d.tables {
		i := slices.IndexFunc(v.Tables, func(x TableView) bool { return x.Name == t.name })
		if i < 0 || !v.Tables[i].Referenced {
			unnamed = append(unnamed, "<"+t.name+">")
		}
	}
	for _, t := range v.Tables {
		addresses += len(t.Entries)
		asked += t.Match + t.NoMatch
		dropped.add(t.Counts.Blocked())
		referenced = referenced || t.Referenced
	}
	switch {
	case d.cfg.Observe:
		return false, "No: pfwarden only observes (observe = true): it decides and reports, and nothing of it is in PF."
	case !v.Enabled:
		return false, "No: pf is disabled, so no packet is filtered. Enable it with: pfctl -e"
	case !call.Found:
		return false, fmt.Sprintf("No: the main ruleset does not call our anchor, so its rules are never read. Add to pf.conf, above any \"pass quick\": anchor \"%s\"",
			v.Anchor)
	case call.Before != "":
		return false, "No: a quick pass rule stands above our anchor, so packets never reach it: " + call.Before
	case len(v.Rules) == 0:
		return false, "No: our anchor has no rules; they were flushed and will be loaded at the next reconciliation."
	case len(v.Tables) == 0 || !referenced:
		return false, "No: our tables are not there or no rule names them; they will be loaded at the next reconciliation."
	case len(unnamed) > 0:
		return false, fmt.Sprintf("Not all: %s %s not there or no rule names it; it will be loaded at the next reconciliation.",
			strings.Join(unnamed, ", "), noun(len(unnamed), "is", "are"))
	case call.Narrow != "":
		return true, fmt.Sprintf("In part: pf is enabled, but its main ruleset calls our anchor for some packets only (%s): those of %d %s are dropped, others pass.",
			call.Narrow, addresses, noun(addresses, "address", "addresses"))
	}
	text := fmt.Sprintf("Yes: pf is enabled and its main ruleset calls our anchor; packets of %d %s are dropped",
		addresses, noun(addresses, "address", "addresses"))
	if asked == 0 {
		return true, text + ". No packet has been looked up in our tables since they were loaded, so this is not seen at work yet."
	}
	return true, fmt.Sprintf("%s. %d packets were looked up in our tables, %d packets (%d bytes) were dropped.", text, asked, dropped.Packets, dropped.Bytes)
}

func noun(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func lines(out []byte) []string {
	var list []string
	for l := range bytes.Lines(out) {
		list = append(list, strings.TrimRight(string(l), "\r\n"))
	}
	return list
}

// inline puts our rules below the rule that calls our anchor.
func inline(main []string, call string, rules []RuleView) []string {
	var out []string
	for _, l := range main {
		out = append(out, l)
		if call == "" || strings.TrimSuffix(strings.TrimSpace(l), " {") != call {
			continue
		}
		for _, r := range rules {
			out = append(out, "    "+r.Text)
		}
	}
	return out
}

// parseRuleCounters reads -v -s rules: a rule, then "  [ Evaluations: 8 Packets: 6 Bytes: 460 States: 0 ]".
func parseRuleCounters(out []byte) []RuleView {
	var list []RuleView
	for l := range bytes.Lines(out) {
		s := strings.TrimRight(string(l), "\n")
		trimmed := strings.TrimSpace(s)
		switch {
		case trimmed == "":
		case strings.HasPrefix(trimmed, "[") && len(list) > 0:
			r := &list[len(list)-1]
			f := strings.Fields(trimmed)
			for i := 0; i+1 < len(f); i++ {
				var n uint64
				if _, err := fmt.Sscan(f[i+1], &n); err != nil {
					continue
				}
				switch f[i] {
				case "Evaluations:":
					r.Evaluations = n
				case "Packets:":
					r.Packets = n
				case "Bytes:":
					r.Bytes = n
				case "States:":
					r.States = n
				}
			}
		case !strings.HasPrefix(trimmed, "["):
			list = append(list, RuleView{Text: s})
		}
	}
	return list
}
