package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pfwarden/internal/ledger"
)

// Outcome is how one source fared in one replay.
type Outcome struct {
	Bans    int       `json:"bans"`
	First   time.Time `json:"first"` // of its first ban
	Table   string    `json:"table"` // of its first ban
	Jail    string    `json:"jail"`
	Reasons []string  `json:"reasons"`
}

// Change is a source that one of two replays banned and the other did not.
type Change struct {
	Event   string   `json:"event"` // "difference"
	Address string   `json:"address"`
	Change  string   `json:"change"` // "more": banned only with the changed settings; "no_longer": only with the current ones
	Before  *Outcome `json:"before"` // with the current settings; null if not banned
	After   *Outcome `json:"after"`  // with the changed ones

	key source
}

// DifferenceSummary counts the changes.
type DifferenceSummary struct {
	Event         string   `json:"event"` // "difference_summary"
	Settings      []string `json:"settings"`
	More          int      `json:"more"`
	NoLonger      int      `json:"no_longer"`
	Same          int      `json:"same"` // sources that both ban
	BansBefore    uint64   `json:"bans_before"`
	BansAfter     uint64   `json:"bans_after"`
	StoppedBefore uint64   `json:"stopped_packets_before"`
	StoppedAfter  uint64   `json:"stopped_packets_after"`
	Unlisted      uint64   `json:"unlisted"` // bans beyond what the two reports keep, which are not compared
}

// Difference is what other settings come to.
type Difference struct {
	DifferenceSummary
	Changes []Change // who is banned more first, then who is no longer, each by address
}

// source identifies who was banned.
type source struct {
	prefix netip.Prefix
	ident  string
}

// Compare says whom the replay after bans more, and whom no longer, than the replay before, which ran with the same input. settings are those
// that differ, key=value.
func Compare(before, after *Report, settings []string) Difference {
	was, is := outcomes(before.Bans), outcomes(after.Bans)
	d := Difference{DifferenceSummary: DifferenceSummary{
		Event: "difference_summary", Settings: settings, BansBefore: before.BanEvents, BansAfter: after.BanEvents,
		StoppedBefore: before.StoppedPackets, StoppedAfter: after.StoppedPackets, Unlisted: before.Unlisted + after.Unlisted,
	}}
	if d.Settings == nil {
		d.Settings = []string{}
	}
	for k, o := range is {
		if was[k] != nil {
			d.Same++
			continue
		}
		d.More++
		d.Changes = append(d.Changes, Change{Event: "difference", Address: k.String(), Change: "more", After: o, key: k})
	}
	for k, o := range was {
		if is[k] == nil {
			d.NoLonger++
			d.Changes = append(d.Changes, Change{Event: "difference", Address: k.String(), Change: "no_longer", Before: o, key: k})
		}
	}
	slices.SortFunc(d.Changes, func(a, b Change) int {
		return cmp.Or(strings.Compare(a.Change, b.Change), a.key.prefix.Compare(b.key.prefix), strings.Compare(a.key.ident, b.key.ident))
	})
	return d
}

func (s source) String() string { return address(&ledger.Ban{Prefix: s.prefix, Ident: s.ident}) }

func outcomes(bans []ledger.Ban) map[source]*Outcome {
	all := make(map[source]*Outcome)
	for i := range bans {
		b := &bans[i]
		k := source{prefix: b.Prefix}
		if !b.Prefix.IsValid() {
			k.ident = b.Ident
		}
		o := all[k]
		if o == nil {
			o = &Outcome{First: b.Since.UTC(), Table: b.Table, Jail: b.Jail, Reasons: b.Reasons}
			if o.Reasons == nil {
				o.Reasons = []string{}
			}
			all[k] = o
		}
		o.Bans++
	}
	return all
}

// Difference writes a line for each change and one that sums them up.
func (j *JSON) Difference(d *Difference) {
	for i := range d.Changes {
		j.write(d.Changes[i])
	}
	j.write(d.DifferenceSummary)
}

// Text writes the difference for people.
func (d *Difference) Text(w io.Writer, o TextOptions) error {
	if o.Location == nil {
		o.Location = time.UTC
	}
	if o.Bans <= 0 {
		o.Bans = 50
	}
	t := &textWriter{Writer: bufio.NewWriter(w), o: o}
	t.title("Beside the current settings: " + plain(strings.Join(d.Settings, ", ")))
	t.line("%s more banned, %s no longer, %s as before", count(uint64(d.More), "source"), number(uint64(d.NoLonger)), number(uint64(d.Same)))
	t.line("%s instead of %s; they would have stopped %s instead of %s", count(d.BansAfter, "ban"), number(d.BansBefore),
		count(d.StoppedAfter, "later packet"), number(d.StoppedBefore))
	shown := map[string]int{}
	for i := range d.Changes {
		c := &d.Changes[i]
		if shown[c.Change]++; shown[c.Change] > o.Bans {
			continue
		}
		sign, out := "+", c.After
		if c.Change != "more" {
			sign, out = "-", c.Before
		}
		t.line("%s %s  %s, %s, %s", sign, plain(c.Address), t.time(out.First), plain(out.Table), count(uint64(out.Bans), "ban"))
		for _, reason := range out.Reasons {
			t.line("    %s", plain(reason))
		}
	}
	for _, kind := range []struct{ change, text string }{{"more", "more banned"}, {"no_longer", "no longer banned"}} {
		if n := shown[kind.change] - o.Bans; n > 0 {
			t.line("… and %s other sources %s", number(uint64(n)), kind.text)
		}
	}
	if d.Unlisted > 0 {
		t.line("(%s too many to be compared)", count(d.Unlisted, "ban"))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("writing the difference: %w", err)
	}
	return nil
}
