package warden

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"pfwarden/pfctl"
)

// Refusal is returned by a PF that took all entries but some, for good: their bans end.
type Refusal struct {
	Entries []Entry
	Why     []error // of each
}

// Error tells every refused entry.
func (r *Refusal) Error() string {
	var b strings.Builder
	for i, e := range r.Entries {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s into %s: %v", short(e.Prefix), e.Table, r.Why[i])
	}
	return b.String()
}

// Unwrap gives the reasons.
func (r *Refusal) Unwrap() []error { return r.Why }

// Tables is the part of pfctl.Driver that the warden uses: it takes changes at once and carries them out by itself.
type Tables interface {
	Add(entries ...pfctl.Entry) error
	Delete(entries ...pfctl.Entry) error
}

// Driver makes the driver of pfctl(8) the warden's PF.
type Driver struct {
	Tables           Tables
	Banned, Suspects string // what the two tables are called in the warden's Config; others go by their name
}

var _ PF = Driver{}

// Add implements PF.
func (d Driver) Add(_ context.Context, entries ...Entry) error {
	list := d.Entries(entries)
	if d.Tables.Add(list...) == nil {
		return nil
	}
	// It took the good ones already; taking them once more changes nothing and tells which are not.
	refusal := &Refusal{}
	for i, e := range list {
		if err := d.Tables.Add(e); err != nil {
			refusal.Entries, refusal.Why = append(refusal.Entries, entries[i]), append(refusal.Why, err)
		}
	}
	if len(refusal.Entries) == 0 {
		return nil
	}
	return refusal
}

// Delete implements PF.
func (d Driver) Delete(_ context.Context, entries ...Entry) error {
	return d.Tables.Delete(d.Entries(entries)...)
}

// Entries translates the warden's entries, for pfctl.Driver.Start.
func (d Driver) Entries(entries []Entry) []pfctl.Entry {
	list := make([]pfctl.Entry, len(entries))
	for i, e := range entries {
		list[i] = pfctl.Entry{Table: d.part(e.Table), Prefix: e.Prefix, KillStates: e.KillStates}
	}
	return list
}

func (d Driver) part(table string) pfctl.Table {
	switch table {
	case d.Banned:
		return pfctl.Banned
	case d.Suspects:
		return pfctl.Suspects
	}
	return pfctl.Table(table)
}

// Name gives the warden's name of one of the driver's tables.
func (d Driver) Name(part pfctl.Table) string {
	switch part {
	case pfctl.Banned:
		return d.Banned
	case pfctl.Suspects:
		return d.Suspects
	}
	return string(part)
}

// Forbids says why p must never be in a table, "" if it may: for pfctl.Config.Refuse, so that the driver asks the never-list too.
func (n *NeverList) Forbids(p netip.Prefix) string {
	if e, bad := n.Overlaps(p); bad {
		return "the never-list holds " + e.String()
	}
	return ""
}
