package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"pfwarden/detect"
	"pfwarden/internal/control"
	"pfwarden/internal/ledger"
	"pfwarden/pfctl"
)

// Explain implements control.Service.
func (s *service) Explain(ctx context.Context, a netip.Addr) (control.Explanation, error) {
	d := s.d
	d.freshCounters(ctx, 0)
	var x detect.Explanation
	if err := d.ask(ctx, func(now time.Time) { x = d.detector.Explain(a, now) }); err != nil {
		return control.Explanation{}, err
	}
	out := control.Explanation{Address: a.String(), Now: x.Time, Score: x.Score, Never: []string{}, Shares: []control.Share{}, Gates: []control.Gate{}, Evidence: []control.Evidence{}, Bans: []control.PastBan{}}
	if e, yes := d.never.Overlaps(netip.PrefixFrom(a, a.BitLen())); yes {
		out.Never = append(out.Never, e.String())
	}
	for _, sh := range x.Shares {
		out.Shares = append(out.Shares, control.Share{Jail: sh.Jail, Fraction: sh.Fraction, Proven: sh.Proven})
	}
	for _, g := range x.Gates {
		out.Gates = append(out.Gates, control.Gate{Gate: g.Gate, Stopped: g.Stopped, Text: g.Text})
	}
	for _, e := range x.Evidence {
		out.Evidence = append(out.Evidence, evidenceOf(e))
	}
	bans, err := d.store.History(ctx, ledger.Query{Prefix: netip.PrefixFrom(a, a.BitLen()), Limit: 20})
	if err != nil {
		return out, fmt.Errorf("reading the ledger: %w", err)
	}
	for i := range bans {
		b := &bans[i]
		out.Bans = append(out.Bans, control.PastBan{Ban: banOf(b), State: b.State.String(), Ended: timeOrNull(b.Ended), EndWhy: b.EndWhy, By: b.By, EndedBy: b.EndedBy})
		if i == 0 && len(out.Evidence) == 0 {
			for _, e := range b.Story.Evidence {
				out.Evidence = append(out.Evidence, evidenceOf(e))
			}
		}
	}
	out.Story = tell(&out, &x)
	return out, nil
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

// tell puts it into sentences.
func tell(e *control.Explanation, x *detect.Explanation) []string {
	var story []string
	say := func(format string, a ...any) { story = append(story, fmt.Sprintf(format, a...)) }
	if len(e.Never) > 0 {
		say("%s is never banned: %s.", e.Address, strings.Join(e.Never, ", "))
	}
	if len(e.Shares) == 0 && len(e.Bans) == 0 {
		say("Nothing is held against %s.", e.Address)
		return story
	}
	if len(x.Reasons) > 0 {
		say("Its suspicion is %.2f of 1: %s.", e.Score, strings.Join(x.Reasons, "; "))
	}
	for _, g := range e.Gates {
		if g.Stopped {
			say("The last verdict on it was stopped: %s.", g.Text)
		}
	}
	for _, b := range e.Bans {
		hits := "PF has not seen it since"
		if b.Packets > 0 {
			hits = "this ban stopped " + strconv.FormatUint(b.Packets, 10) + " packets"
			if b.LastHit != nil {
				hits += ", last at " + b.LastHit.Format(time.RFC3339)
			}
		}
		end := "for ever"
		switch {
		case b.Ended != nil:
			end = "until " + b.Ended.Format(time.RFC3339) + " (" + b.EndWhy + ")"
		case b.Until != nil:
			end = "until " + b.Until.Format(time.RFC3339)
		}
		say("%s was put into <%s> on %s, %s; %s. Why: %s.", b.Address, b.Table, b.Since.Format(time.RFC3339), end, hits, orNone(b.Reason))
	}
	return story
}

func orNone(s string) string {
	if s == "" {
		return "no reason was given"
	}
	return s
}

// PF implements control.Service.
func (s *service) PF(ctx context.Context) (control.PFView, error) {
	d := s.d
	v, err := d.driver.View(ctx)
	if err != nil {
		return control.PFView{}, err
	}
	out := control.PFView{
		Backend: d.config.PF.Backend, Filtering: v.Filtering, Words: []string{v.Verdict}, Enabled: v.Enabled, Since: v.Status, Anchor: v.Anchor,
		Main: v.MainRules, Anchors: v.Anchors,
	}
	for _, r := range v.Rules {
		out.Rules = append(out.Rules, r.Text)
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
