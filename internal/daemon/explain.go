package daemon

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"pfwarden/detect"
	"pfwarden/internal/control"
	"pfwarden/internal/ledger"
	"pfwarden/internal/warden"
)

// Explain implements control.Service.
func (s *service) Explain(ctx context.Context, p netip.Prefix) (control.Explanation, error) {
	d := s.d
	d.freshCounters(ctx, 0)
	var x detect.Explanation
	if err := d.ask(ctx, func(now time.Time) { x = d.detector.Explain(p.Addr(), now) }); err != nil {
		return control.Explanation{}, err
	}
	d.mu.Lock()
	most := cmp.Or(d.plan.Warden.SuspectsPerDay, warden.DefaultSuspectsPerDay)
	d.mu.Unlock()
	return known{never: d.never, bans: d.bans, store: d.store, most: most}.explain(ctx, p, x)
}

// known is what is asked of an address besides the detector.
type known struct {
	never *warden.NeverList
	bans  *warden.Warden
	store ledger.Store
	most  int // how often a source may be a suspect in 24 hours
}

// explain tells of p, of whose first address the detector knows x. A prefix that is no source of its own has no suspicion; it has bans.
func (k known) explain(ctx context.Context, p netip.Prefix, x detect.Explanation) (control.Explanation, error) {
	if !p.IsSingleIP() && p != x.Key {
		x = detect.Explanation{Time: x.Time, Key: p}
	}
	out := control.Explanation{Address: control.FormatPrefix(p), Now: x.Time, Score: x.Score, Never: []string{}, Bans: []control.PastBan{}}
	part := ""
	if e, yes := k.never.Overlaps(p); yes && e.Prefix.Bits() <= p.Bits() {
		out.Never = append(out.Never, e.String())
	} else if yes {
		part = e.String()
	}
	out.Shares, out.Gates, out.Evidence = sharesOf(x.Shares), gatesOf(x.Gates), allEvidence(x.Evidence)
	if x.Key.IsValid() && x.Key != p {
		out.Source = x.Key.String()
	}
	bans, err := k.store.History(ctx, ledger.Query{Prefix: p, Limit: 20})
	if err != nil {
		return out, fmt.Errorf("reading the ledger: %w", err)
	}
	live := map[int64]*ledger.Ban{} // the ledger hears of counters only now and then
	for _, b := range k.bans.Lookup(p) {
		live[b.ID] = &b
	}
	for i := range bans {
		if b, l := &bans[i], live[bans[i].ID]; l != nil {
			b.Packets, b.Bytes, b.LastHit, b.Until = l.Packets, l.Bytes, l.LastHit, l.Until
		}
	}
	tellBans(&out, x.Key, bans)
	out.Guesses = guessesOf(x.Guesses)
	out.Labels = x.Labels
	_, _, out.Suspect = k.bans.Steps(x.Time, x.Key)
	out.Story = tell(&out, &x, k.most)
	if part != "" {
		out.Story = append([]string{fmt.Sprintf("Nothing bans all of %s, since in it this is never banned: %s.", out.Address, part)}, out.Story...)
	}
	return out, nil
}

// tellBans adds the bans, newest first, of a source and of wider prefixes that hold it. Where the source has no other evidence, that of its own
// newest ban is told; the evidence of a wider prefix is that of others, and stays with that ban's verdict.
func tellBans(out *control.Explanation, source netip.Prefix, bans []ledger.Ban) {
	for i := range bans {
		b := &bans[i]
		out.Bans = append(out.Bans, control.PastBan{
			Ban: banOf(b), State: b.State.String(), Ended: timeOrNull(b.Ended), EndWhy: b.EndWhy, By: b.By, EndedBy: b.EndedBy, Verdict: verdictOf(&b.Story),
		})
		if own := b.Prefix.Bits() >= source.Bits(); own && len(out.Evidence) == 0 && len(b.Story.Evidence) > 0 {
			out.Evidence, out.Spent = allEvidence(b.Story.Evidence), true
		}
	}
}

// labelText tells what detect.Explanation's labels say.
func labelText(label string) string {
	switch label {
	case "udp_scan":
		return "It asks for many UDP ports, which alone bans nobody: anybody can forge that."
	case "victim":
		return "It looks like the victim of an attack that is forged in its name: its threshold is doubled."
	case "ttl_spread":
		return "Its packets seem to come from several places: its threshold is doubled."
	case "tool_mark":
		return "Its packets carry a scanner's mark: its threshold is halved."
	case "company":
		return "Many sources of its network knock: its threshold is halved."
	case "flood":
		return "It was first seen in a flood of new sources."
	}
	return "Label: " + label + "."
}

func verdictOf(s *ledger.Story) *control.Verdict {
	if s.Empty() {
		return nil
	}
	return &control.Verdict{
		Score: s.Score, Failures: s.Failures, Shares: sharesOf(s.Shares), Gates: gatesOf(s.Gates), Evidence: allEvidence(s.Evidence),
		Lost: s.Lost,
	}
}

func sharesOf(shares []detect.Share) []control.Share {
	all := make([]control.Share, 0, len(shares))
	for _, s := range shares {
		all = append(all, control.Share{Jail: s.Jail, Fraction: s.Fraction, Proven: s.Proven})
	}
	return all
}

func gatesOf(gates []detect.GateAnswer) []control.Gate {
	all := make([]control.Gate, 0, len(gates))
	for _, g := range gates {
		all = append(all, control.Gate{Gate: g.Gate, Stopped: g.Stopped, Text: g.Text})
	}
	return all
}

func allEvidence(evidence []detect.Evidence) []control.Evidence {
	all := make([]control.Evidence, 0, len(evidence))
	for _, e := range evidence {
		all = append(all, evidenceOf(e))
	}
	return all
}

func evidenceOf(e detect.Evidence) control.Evidence {
	c := control.Evidence{Time: e.Time, Jail: e.Jail, Kind: e.Kind.String(), Proven: e.Proven, Text: e.Text, User: e.User}
	if e.Target.Address.IsValid() {
		c.Target = e.Target.Address.String()
		if e.Target.Port != 0 {
			c.Target = netip.AddrPortFrom(e.Target.Address, e.Target.Port).String()
		}
	}
	return c
}

// tell puts it into sentences; most is how often a source may be a suspect in 24 hours.
func tell(e *control.Explanation, x *detect.Explanation, most int) []string {
	var story []string
	say := func(format string, a ...any) { story = append(story, fmt.Sprintf(format, a...)) }
	if len(e.Never) > 0 {
		say("%s is never banned: %s.", e.Address, strings.Join(e.Never, ", "))
	}
	for _, l := range e.Labels {
		say("%s", labelText(l))
	}
	if len(e.Shares) == 0 && len(e.Bans) == 0 {
		say("Nothing is held against %s.", e.Address)
		return story
	}
	if e.Source != "" {
		say("It counts as one source with all of %s.", e.Source)
	}
	if len(x.Reasons) > 0 {
		say("Its suspicion is %.2f of 1: %s.", e.Score, strings.Join(x.Reasons, "; "))
	}
	for _, g := range x.Guesses {
		say("It takes part in distributed guessing, %s.", g)
	}
	for _, g := range e.Gates {
		switch {
		case !g.Stopped:
		case e.Score >= 1:
			say("The last verdict on it was stopped: %s.", g.Text)
		case len(e.Never) == 0:
			say("A verdict on what anybody can forge would be stopped: %s.", g.Text)
		}
	}
	if e.Suspect >= most {
		say("It was a suspect %d times within 24 hours: what anybody can forge bans it no more today.", e.Suspect)
	}
	for _, b := range e.Bans {
		put, hits := "was put", "PF has stopped no packet for it"
		if b.Observed {
			put, hits = "would have been put", "nothing was done, since pfwarden only observed"
		}
		if b.Packets > 0 {
			hits = "this ban stopped " + plural(b.Packets, "packet")
			if b.LastHit != nil {
				hits += ", last " + ago(e.Now.Sub(*b.LastHit))
			}
		}
		end := "for ever"
		switch {
		case b.Ended != nil:
			end = "until " + b.Ended.Format(time.RFC3339) + " (" + b.EndWhy + ")"
		case b.Until != nil:
			end = "until " + b.Until.Format(time.RFC3339)
		}
		where := put + " into <" + b.Table + ">"
		if b.Table == "" { // its jail has actions of another kind
			where = strings.TrimSuffix(put, "put") + "banned"
		}
		say("%s %s on %s, %s; %s. Why: %s.", b.Address, where, b.Since.Format(time.RFC3339), end, hits, orNone(b.Reason))
	}
	return story
}

// plural writes a number of things, its digits in groups of three.
func plural(n uint64, thing string) string {
	digits := strconv.FormatUint(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if n != 1 {
		thing += "s"
	}
	return digits + " " + thing
}

// ago says how long something is past, in the largest unit that fits.
func ago(d time.Duration) string {
	switch {
	case d < time.Second:
		return "just now"
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return fmt.Sprintf("%d days ago", int(d.Hours()/24))
}

func orNone(s string) string {
	if s == "" {
		return "no reason was given"
	}
	return s
}
