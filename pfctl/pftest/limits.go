package pftest

import (
	"strconv"
	"strings"
)

// limitOf returns a limit of -s memory.
func (pf *PF) limitOf(name string) int {
	if name == "table-entries" {
		return pf.limit
	}
	if n, ok := pf.limits[name]; ok {
		return n
	}
	return pf.defaultLimit(name)
}

func (pf *PF) defaultLimit(name string) int {
	for _, l := range pf.prof.Limits {
		if l.Name == name {
			return l.Max
		}
	}
	return 0
}

// used counts what a limit bounds.
func (pf *PF) used(name string) int {
	switch name {
	case "states":
		return len(pf.states)
	case "tables":
		return pf.kernelTables()
	case "table-entries":
		return pf.entries()
	case "anchors":
		return len(pf.paths())
	}
	return 0
}

// kernelTables counts tables as PF's pool does: a table in an anchor has a hidden one of its name in the main ruleset.
func (pf *PF) kernelTables() int {
	n := 0
	hidden := map[string]bool{}
	for path, rs := range pf.sets {
		n += len(rs.tables)
		for name := range rs.tables {
			if path != "" && pf.sets[""].tables[name] == nil {
				hidden[name] = true
			}
		}
	}
	return n + len(hidden)
}

// tableRoom says whether PF may make n more tables. The default limit binds nobody; one that was set does.
func (pf *PF) tableRoom(n int) bool {
	limit, set := pf.limits["tables"]
	return !set || pf.kernelTables()+n <= limit
}

// parseLimits reads "limit NAME N" and "limit { NAME N, … }" after "set". bad is what was not understood.
func (pf *PF) parseLimits(words []string) (limits []Limit, bad string) {
	words = words[1:]
	if len(words) > 2 && words[0] == "{" {
		words = words[1 : len(words)-1]
	}
	for i := 0; i < len(words); i++ {
		if words[i] == "," {
			continue
		}
		if i+1 >= len(words) {
			return nil, words[i]
		}
		n, err := strconv.Atoi(words[i+1])
		if err != nil || n < 0 {
			return nil, words[i]
		}
		limits = append(limits, Limit{strings.ToLower(words[i]), n})
		i++
	}
	return limits, ""
}

// loadLimits sets the limits that a main ruleset asks for, and puts back those that it does not mention. It reports whether all could
// be set.
func (c *call) loadLimits(set []Limit) bool {
	pf := c.pf
	want := map[string]int{}
	for _, l := range set {
		want[l.Name] = l.Max
	}
	ok := true
	for _, l := range pf.prof.Limits {
		n, asked := want[l.Name]
		if !asked {
			n = l.Max
			want[l.Name] = n
		}
		if pf.prof.LimitBusy && pf.used(l.Name) > n {
			c.warn("Current pool size exceeds requested %s limit %d", l.Name, n)
			ok = false
		}
	}
	if !ok {
		return false
	}
	for name, n := range want {
		switch {
		case name == "table-entries":
			if n != pf.limit { // PF sets only what changes, so the default that it began with never bound anybody
				pf.limit, pf.limitSet = n, true
			}
		case n == pf.limitOf(name):
		default:
			if pf.limits == nil {
				pf.limits = map[string]int{}
			}
			pf.limits[name] = n
		}
	}
	pf.wake()
	return true
}
