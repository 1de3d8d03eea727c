package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
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

// Change is a source that one of two replays banned and the other did not, or that both put into different tables.
type Change struct {
	Event   string   `json:"event"` // "difference"
	Address string   `json:"address"`
	Class   string   `json:"class,omitempty"` // in labelled traffic: what it is
	Change  string   `json:"change"`          // "more": banned only with the changed settings; "no_longer": only with the current ones; "table": in another table
	Before  *Outcome `json:"before"`          // with the current settings; null if not banned
	After   *Outcome `json:"after"`           // with the changed ones

	key source
}

// DifferenceSummary counts the changes.
type DifferenceSummary struct {
	Event         string   `json:"event"` // "difference_summary"
	Settings      []string `json:"settings"`
	More          int      `json:"more"`
	NoLonger      int      `json:"no_longer"`
	Same          int      `json:"same"`        // sources that both ban
	Sooner        int      `json:"sooner"`      // of these, those that are banned sooner with the changed settings,
	Later         int      `json:"later"`       // later,
	OtherTable    int      `json:"other_table"` // and into another table
	BansBefore    uint64   `json:"bans_before"`
	BansAfter     uint64   `json:"bans_after"`
	StoppedBefore uint64   `json:"stopped_packets_before"`
	StoppedAfter  uint64   `json:"stopped_packets_after"`
	Unlisted      uint64   `json:"unlisted"` // bans beyond what the two reports keep, which are not compared
}

// ClassChange is how a class of labelled sources fares otherwise with the changed settings.
type ClassChange struct {
	Event        string  `json:"event"` // "difference_score"
	Class        string  `json:"class"`
	Want         bool    `json:"want"`
	Sources      int     `json:"sources"`
	BannedBefore int     `json:"banned_before"`
	BannedAfter  int     `json:"banned_after"`
	RecallBefore float64 `json:"recall_before"` // of a class that is not wanted, its harm
	RecallAfter  float64 `json:"recall_after"`
}

// Difference is what other settings come to.
type Difference struct {
	DifferenceSummary
	Changes  []Change      // who is banned more first, then who is no longer, then who is in another table, each by address
	Classes  []ClassChange // of labelled traffic: those of which others are banned
	Labelled bool
}

// source identifies who was banned.
type source struct {
	prefix netip.Prefix
	ident  string
}

// Compare says whom the replay after bans more, and whom no longer, than the replay before, which ran with the same input. settings are those
// that differ, key=value; labels say who is who, if that is known.
func Compare(before, after *Report, settings []string, labels []Label) Difference {
	was, is := outcomes(before.Bans), outcomes(after.Bans)
	d := Difference{DifferenceSummary: DifferenceSummary{
		Event: "difference_summary", Settings: settings, BansBefore: before.BanEvents, BansAfter: after.BanEvents,
		StoppedBefore: before.StoppedPackets, StoppedAfter: after.StoppedPackets, Unlisted: before.Unlisted + after.Unlisted,
	}}
	if d.Settings == nil {
		d.Settings = []string{}
	}
	for k, o := range is {
		if w := was[k]; w != nil {
			d.Same++
			switch c := o.First.Compare(w.First); {
			case c < 0:
				d.Sooner++
			case c > 0:
				d.Later++
			}
			if o.Table != w.Table {
				d.OtherTable++
				d.Changes = append(d.Changes, Change{Event: "difference", Address: k.String(), Change: "table", Before: w, After: o, key: k})
			}
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
	if d.Labelled = len(labels) > 0; d.Labelled {
		d.classify(labels)
		d.classes(before.Scores, after.Scores)
	}
	slices.SortFunc(d.Changes, func(a, b Change) int {
		return cmp.Or(strings.Compare(a.Change, b.Change), a.key.prefix.Compare(b.key.prefix), strings.Compare(a.key.ident, b.key.ident))
	})
	return d
}

// classify adds to each change the class of the labelled source in it; of several in one prefix, the first's by name.
func (d *Difference) classify(labels []Label) {
	byAddr, byNet := make(map[netip.Addr]string, len(labels)), map[netip.Prefix]string{}
	for i := range labels {
		l := &labels[i]
		byAddr[l.Address] = l.Class
		if n := net64(l.Address); l.Address.Is6() && (byNet[n] == "" || l.Class < byNet[n]) {
			byNet[n] = l.Class
		}
	}
	for i := range d.Changes {
		c := &d.Changes[i]
		switch p := c.key.prefix; {
		case !p.IsValid():
		case p.IsSingleIP():
			c.Class = byAddr[p.Addr()]
		case p.Addr().Is6() && p.Bits() == 64:
			c.Class = byNet[p]
		}
	}
}

// classes lists the classes of which more or fewer sources are banned.
func (d *Difference) classes(before, after []Score) {
	for i := range after {
		a := &after[i]
		b := slices.IndexFunc(before, func(s Score) bool { return s.Class == a.Class && s.Want == a.Want })
		if b < 0 || before[b].Banned == a.Banned {
			continue
		}
		d.Classes = append(d.Classes, ClassChange{
			Event: "difference_score", Class: a.Class, Want: a.Want, Sources: a.Sources,
			BannedBefore: before[b].Banned, BannedAfter: a.Banned, RecallBefore: before[b].Recall, RecallAfter: a.Recall,
		})
	}
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

// Difference writes a line for each change, one for each class that fares otherwise, and one that sums the changes up.
func (j *JSON) Difference(d *Difference) {
	for i := range d.Changes {
		j.write(d.Changes[i])
	}
	for i := range d.Classes {
		j.write(d.Classes[i])
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
	if d.Sooner+d.Later+d.OtherTable > 0 {
		t.line("of those banned as before %s sooner, %s later, %s into another table",
			number(uint64(d.Sooner)), number(uint64(d.Later)), number(uint64(d.OtherTable)))
	}
	t.line("%s instead of %s; they would have stopped %s instead of %s", count(d.BansAfter, "ban"), number(d.BansBefore),
		count(d.StoppedAfter, "later packet"), number(d.StoppedBefore))
	t.classChanges(d)
	shown := map[string]int{}
	for i := range d.Changes {
		c := &d.Changes[i]
		if shown[c.Change]++; shown[c.Change] > o.Bans {
			continue
		}
		t.change(c)
	}
	for _, kind := range []struct{ change, text string }{{"more", "more banned"}, {"no_longer", "no longer banned"}, {"table", "in another table"}} {
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

// classChanges tells how the classes of labelled traffic fare: what the settings are worth.
func (t *textWriter) classChanges(d *Difference) {
	if !d.Labelled {
		return
	}
	if len(d.Classes) == 0 {
		t.line("by the labels no class fares otherwise")
		return
	}
	tab := tabwriter.NewWriter(t, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "class\twanted\tsources\tbanned now\twould be\t")
	for _, c := range d.Classes {
		want := "yes"
		if !c.Want {
			want = "no"
		}
		fmt.Fprintf(tab, "%s\t%s\t%d\t%d\t%d\t\n", plain(c.Class), want, c.Sources, c.BannedBefore, c.BannedAfter)
	}
	tab.Flush()
}

// change tells of one source.
func (t *textWriter) change(c *Change) {
	sign, out, where := "+", c.After, ""
	switch c.Change {
	case "no_longer":
		sign, out = "-", c.Before
	case "table":
		sign, where = "~", c.Before.Table+" → "
	}
	class := ""
	if c.Class != "" {
		class = " (" + c.Class + ")"
	}
	t.line("%s %s%s  %s, %s, %s", sign, plain(c.Address), plain(class), t.time(out.First), plain(where+out.Table), count(uint64(out.Bans), "ban"))
	for _, reason := range out.Reasons {
		t.line("    %s", plain(reason))
	}
}
