package fail2ban

import (
	"regexp"
	"slices"
	"strings"
)

// Anchor is one anchor of PF that actions of the set-up fill.
type Anchor struct {
	Path       string // "" = the main ruleset
	Tables     []Table
	Rules      string // loaded into it; "" = it is left as it is
	TablesOnly bool
}

// Table is one table of an anchor.
type Table struct {
	Name string // in PF
	Part string // what pfwarden calls it: the name, or anchor/name where the name alone is taken
}

// place finds out which anchors and tables the jails need, and what each table is called.
func (r *Running) place(o RunOptions) {
	type where struct{ anchor, table string }
	parts := make(map[where]string)
	used := make(map[string]bool)
	for _, n := range o.Reserved {
		used[n] = true
	}
	for i := range r.Jails {
		j := &r.Jails[i]
		if j.PF == nil {
			j.Warden.NoTable = true
			continue
		}
		p := j.PF
		j.Warden.KillStates = p.KillStates || o.KillStates && allPorts(p.Rules)
		if p.Anchor == o.MainAnchor && p.Table == o.Banned {
			j.Warden.Table = o.Banned
			continue
		}
		if p.Anchor == o.MainAnchor {
			j.Warnings = append(j.Warnings, "its action fills <"+p.Table+"> of pfwarden's own anchor "+p.Anchor+", which has only <"+o.Banned+">: it goes there")
			j.Warden.Table = o.Banned
			continue
		}
		at := where{p.Anchor, p.Table}
		part, known := parts[at]
		if !known {
			if part = p.Table; used[part] {
				part = strings.TrimPrefix(p.Anchor+"/", "/") + p.Table
			}
			parts[at], used[part] = part, true
		}
		j.Warden.Table = part
		r.anchor(p, part)
	}
}

// anchor adds what one action needs of an anchor.
func (r *Running) anchor(p *PFAction, part string) {
	at := slices.IndexFunc(r.Anchors, func(a Anchor) bool { return a.Path == p.Anchor })
	if at < 0 {
		r.Anchors = append(r.Anchors, Anchor{Path: p.Anchor})
		at = len(r.Anchors) - 1
	}
	a := &r.Anchors[at]
	if !slices.ContainsFunc(a.Tables, func(t Table) bool { return t.Part == part }) {
		a.Tables = append(a.Tables, Table{p.Table, part})
	}
	a.Rules = mergeRules(a.Rules, p.Rules)
	a.TablesOnly = a.Rules == "" // what the administrator loads is left alone
}

// mergeRules joins the rules that several jails load into one anchor: tables first, each line once.
func mergeRules(a, b string) string {
	if a == "" || b == "" || a == b {
		return a + strings.TrimPrefix(b, a)
	}
	var tables, rules []string
	for line := range strings.Lines(strings.TrimRight(a, "\n") + "\n" + b) {
		line = strings.TrimRight(line, "\n")
		into := &rules
		if strings.HasPrefix(strings.TrimSpace(line), "table ") {
			into = &tables
		}
		if strings.TrimSpace(line) != "" && !slices.Contains(*into, line) {
			*into = append(*into, line)
		}
	}
	return strings.Join(append(tables, rules...), "\n") + "\n"
}

var someRule = regexp.MustCompile(`(?m)^\s*block\b.*$`)

// allPorts tells whether a rule of the text blocks whatever port is asked for.
func allPorts(rules string) bool {
	for _, r := range someRule.FindAllString(rules, -1) {
		if !strings.Contains(r, " port ") && !strings.Contains(r, " proto ") {
			return true
		}
	}
	return false
}
