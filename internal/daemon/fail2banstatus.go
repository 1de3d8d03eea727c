package daemon

import (
	"slices"
	"strings"
	"time"

	"pfwarden/internal/f2bclient"
	"pfwarden/internal/fail2ban"
)

func row(k string, v any) any { return []any{k, v} }

// logs are the files that a jail reads: those that were there when its configuration was read, and those found since.
func (q *question) logs(j *fail2ban.RunningJail) []any {
	files := []any{}
	for _, l := range j.Jail.Logs {
		if !slices.Contains(files, any(l.Path)) {
			files = append(files, l.Path)
		}
	}
	for _, s := range q.s.d.logStats() {
		if s.Present && j.Reads(s.Path) && !slices.Contains(files, any(s.Path)) {
			files = append(files, s.Path)
		}
	}
	return files
}

// counts are what status shows of a jail.
func (q *question) counts(j *fail2ban.RunningJail) (failing, total, banned, bannedTotal int) {
	name := j.Engine.Name
	_ = q.s.d.ask(q.ctx, func(time.Time) { failing = q.s.d.detector.Failing(name) })
	c := q.s.d.jailCounts(name)
	return failing, c.FoundTotal, c.Banned, c.BannedTotal
}

// jailStatus is a jail's status in one of fail2ban's flavors; one that fail2ban does not know is "basic".
func (q *question) jailStatus(j *fail2ban.RunningJail, flavor string) any {
	failing, total, banned, bannedTotal := q.counts(j)
	if flavor == "stats" {
		return []any{q.backend(j), []any{failing, total}, []any{banned, bannedTotal}}
	}
	filterRows := []any{row("Currently failed", failing), row("Total failed", total), row("File list", q.logs(j))}
	actionRows := []any{row("Currently banned", banned), row("Total banned", bannedTotal)}
	if flavor != "short" {
		bans := q.bans(j.Engine.Name)
		actionRows = append(actionRows, row("Banned IP list", ids(bans)))
		if flavor == "cymru" {
			actionRows = append(actionRows, q.origins(bans)...)
		}
	}
	return []any{row("Filter", filterRows), row("Actions", actionRows)}
}

// backend names how logs are read, in fail2ban's words.
func (q *question) backend(j *fail2ban.RunningJail) string {
	if b := j.Jail.Backend; b != "auto" {
		return b
	}
	return "polling"
}

func (q *question) status() value {
	all := q.arg(1) == "--all"
	switch {
	case len(q.argv) > 3:
		return failed("Invalid command (no status)")
	case len(q.argv) > 1 && !all:
		j, bad := q.jail(1)
		if j == nil {
			return bad
		}
		if q.arg(2) == "stats" {
			return value{Value: option{{Key: q.arg(1), Value: q.jailStatus(j, "stats")}}}
		}
		return value{Value: q.jailStatus(j, q.arg(2))}
	case all && q.arg(2) == "stats":
		return value{Value: q.stats()}
	}
	names := q.jails()
	slices.Sort(names)
	out := []any{row("Number of jail", len(names)), row("Jail list", strings.Join(names, ", "))}
	if all {
		each := option{}
		for _, n := range names {
			if j := q.running().Jail(n); j != nil {
				each = append(each, f2bclient.Pair{Key: n, Value: q.jailStatus(j, q.arg(2))})
			}
		}
		out = append(out, each)
	}
	return value{Value: out}
}

func (q *question) stats() any {
	names := q.jails()
	slices.Sort(names)
	out := option{}
	for _, n := range names {
		if j := q.running().Jail(n); j != nil {
			out = append(out, f2bclient.Pair{Key: n, Value: q.jailStatus(j, "stats")})
		}
	}
	return out
}
