package detect

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Explanation is all that the detector holds about one source.
type Explanation struct {
	Time     time.Time
	Source   netip.Addr
	Key      netip.Prefix // the prefix that the packet jail counts as one source
	Score    float64      // the sum over jails that combine; 1 is judged
	Shares   []Share      // of every jail with evidence, largest first, including those that do not combine
	Reasons  []string     // a sentence for each share
	Doors    float64      // portscan's count of doors, decayed to Time
	Limit    float64      // doors that judge this source now
	Labels   []string     // "udp_scan", "victim", "ttl_spread", "tool_mark", "company", "flood": what else is known about it
	Gates    []GateAnswer // what all gates would now answer to a verdict on spoofable evidence
	Evidence []Evidence   // every observation kept, oldest first
	Banned   bool         // a ban is in force, as far as the detector was told
	Until    time.Time    // its end; zero = for ever
	Guesses  []Guess      // distributed guessing of the last 24 hours that it takes part in
	Bans     int          // bans so far
	LastBan  time.Time    // time of the last ban or unban; older observations do not count
}

// Explain returns what the detector holds about a source at time now. It changes nothing.
func (d *Detector) Explain(a netip.Addr, now time.Time) Explanation {
	a = a.Unmap().WithZone("")
	at := nanos(now)
	k := d.scanKey(a)
	e := Explanation{Time: now.UTC(), Source: a}
	if !a.IsValid() {
		return e
	}
	e.Key = k.prefix(d.config.Portscan.Prefix4, d.config.Portscan.Prefix6)
	saved := d.tally
	d.tally = tally{}
	t := d.weigh(a, at)
	e.Score = t.sum
	shares := slices.Clone(t.shares)
	d.tally = saved
	if d.config.Portscan.NoCombine {
		if sh, ok := d.scanShare(a, at); ok {
			shares = append(shares, sh)
		}
	}
	for i := range d.config.Jails {
		j := &d.config.Jails[i]
		s := d.logs.sources[d.sourceKeyOf(i, a, "")]
		if j.Combine || s == nil {
			continue
		}
		if js := s.in(i); js != nil {
			if sh := js.standing(j, at); sh.own > 0 {
				shares = append(shares, sh)
			}
		}
	}
	named := d.named(a, at)
	slices.SortStableFunc(shares, func(x, y share) int {
		switch {
		case x.own > y.own:
			return -1
		case x.own < y.own:
			return 1
		}
		return x.jail - y.jail
	})
	for i := range shares {
		sh := &shares[i]
		e.Shares = append(e.Shares, Share{Jail: d.jailName(sh.jail), Fraction: max(sh.own, sh.tried), Proven: sh.jail >= 0 && sh.allProven})
		e.Reasons = append(e.Reasons, d.reason(a, "", sh, at))
	}
	for _, n := range named {
		e.Shares = append(e.Shares, Share{Jail: d.jailName(n.share.jail), Fraction: n.share.own, Proven: n.share.allProven})
		e.Reasons = append(e.Reasons, d.reason(a, n.id, &n.share, at)+"; counted as "+strconv.Quote(n.id))
		e.Evidence = append(e.Evidence, d.evidence(a, n.id, n.share.jail)...)
	}
	for j := -1; j < len(d.config.Jails); j++ {
		e.Evidence = append(e.Evidence, d.evidence(a, "", j)...)
		if b := d.bans.of(d.banKeyOf(a, "", j)); b != nil {
			e.Bans = max(e.Bans, b.count)
			if last := time.Unix(0, b.at).UTC(); last.After(e.LastBan) {
				e.LastBan = last
			}
			if b.until > at {
				e.Banned = true
				if b.until != neverEnds {
					e.Until = time.Unix(0, b.until).UTC()
				}
			}
		}
	}
	slices.SortStableFunc(e.Evidence, func(x, y Evidence) int { return x.Time.Compare(y.Time) })
	e.Guesses = d.takesPart(a, e.Evidence)
	e.Gates = d.everyGate(a, seconds(at))
	d.explainSlot(&e, k, at)
	return e
}

// namedShare is what a jail holds under an identifier that is no address.
type namedShare struct {
	id    string
	share share
}

// named returns what the jails taken from fail2ban hold under identifiers of their own for lines that name a: a session, a host's name, an
// address with something around it. It looks at every source there is, which is for people who ask.
func (d *Detector) named(a netip.Addr, at int64) []namedShare {
	var list []namedShare
	text := a.String()
	for k, s := range d.logs.sources {
		if k.id == "" {
			continue
		}
		for i := range s.jails {
			js := &s.jails[i]
			about := k.id == text || slices.ContainsFunc(js.evidence, func(e Evidence) bool {
				return e.Fields["ip4"] == text || e.Fields["ip6"] == text || e.Fields["host"] == text
			})
			if sh := js.standing(&d.config.Jails[js.jail], at); about && sh.own > 0 {
				list = append(list, namedShare{k.id, sh})
			}
		}
	}
	slices.SortFunc(list, func(x, y namedShare) int {
		return cmp.Or(x.share.jail-y.share.jail, strings.Compare(x.id, y.id))
	})
	return list[:min(len(list), maxNamed)]
}

// maxNamed bounds the identifiers that one explanation names.
const maxNamed = 32

// takesPart lists the cases of distributed guessing that a source is of, as far as its evidence tells.
func (d *Detector) takesPart(a netip.Addr, evidence []Evidence) []Guess {
	fails := slices.ContainsFunc(evidence, func(e Evidence) bool { return e.Kind == Failure })
	return slices.DeleteFunc(d.Guesses(guessLife), func(g Guess) bool {
		if g.User == "" {
			return !fails || !g.Prefix.Contains(a)
		}
		return !slices.ContainsFunc(evidence, func(e Evidence) bool { return e.User == g.User })
	})
}

func (d *Detector) explainSlot(e *Explanation, k key, at int64) {
	h := d.hash.key(k)
	label := func(name string, on bool) {
		if on {
			e.Labels = append(e.Labels, name)
		}
	}
	x := d.scan.glance(k, h, seconds(at))
	if x == nil {
		label("victim", d.scan.victims.is(h, seconds(at)))
		e.Limit = d.scan.config.Threshold
		return
	}
	l := d.scan.limit(x)
	e.Limit = l.doors
	e.Doors = d.scan.doors(x, seconds(at), l.doors)
	label("udp_scan", x.caps&15 >= weakCap)
	label("victim", l.victim)
	label("ttl_spread", l.ttl)
	label("tool_mark", l.mark)
	label("company", l.company)
	label("flood", x.flags&flagFloodBorn != 0)
}

// everyGate asks all gates that a single source can meet.
func (d *Detector) everyGate(a netip.Addr, now uint32) []GateAnswer {
	state, spoke := d.contacts.asked(d.hash.key(d.scanKey(a)), now)
	answer := func(gate string, stopped bool, no, yes string) GateAnswer {
		if stopped {
			return GateAnswer{gate, true, yes}
		}
		return GateAnswer{gate, false, no}
	}
	return []GateAnswer{
		answer(GateNever, d.listed(a, ""), "not on the never-list", "on the never-list"),
		answer(GateOwn, d.own[a], "none of our own addresses", "one of our own addresses"),
		answer(GateBogon, Bogon(a), "an ordinary address", "nobody can have this address as a sender"),
		answer(GateState, state, "no connection that our side opened", "our side has a connection with it"),
		answer(GateContact, spoke, "our side did not speak to it in the last 24 hours", "our side spoke to it in the last 24 hours"),
	}
}

// standing is the jail's share whatever its strategy.
func (js *jailState) standing(j *JailConfig, at int64) share {
	if j.Strategy != Fail2ban {
		return js.count(j, at)
	}
	sh := share{
		jail: js.jail, failures: js.failures, allProven: js.rate.proven, bits4: j.Prefix4, bits6: j.Prefix6,
		first: int64(js.rate.first * float64(time.Second)), last: js.rate.newest,
	}
	if j.KeepStale || sh.last > at-int64(j.Findtime) {
		sh.own = float64(js.rate.retry) / float64(j.Threshold)
		sh.sum = sh.own
	}
	return sh
}

// String tells the explanation as a person would.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v at %s: score %.2f of 1", e.Source, e.Time.Format(time.RFC3339), e.Score)
	if e.Source.Is6() && e.Key.Bits() < 128 {
		fmt.Fprintf(&b, " (as one source with %v)", e.Key)
	}
	b.WriteByte('\n')
	if len(e.Shares) == 0 {
		b.WriteString("  nothing counts against it\n")
	}
	for _, r := range e.Reasons {
		fmt.Fprintf(&b, "  %s\n", r)
	}
	for _, g := range e.Guesses {
		fmt.Fprintf(&b, "  takes part in distributed guessing: %s\n", g)
	}
	if len(e.Labels) > 0 {
		fmt.Fprintf(&b, "  labels: %s\n", strings.Join(e.Labels, ", "))
	}
	switch {
	case e.Banned && e.Until.IsZero():
		fmt.Fprintf(&b, "  banned for ever, ban number %d\n", e.Bans)
	case e.Banned:
		fmt.Fprintf(&b, "  banned until %s, ban number %d\n", e.Until.Format(time.RFC3339), e.Bans)
	case !e.LastBan.IsZero():
		fmt.Fprintf(&b, "  not banned; last banned or unbanned %s\n", e.LastBan.Format(time.RFC3339))
	}
	b.WriteString("  gates for spoofable evidence:\n")
	for _, g := range e.Gates {
		mark := "open"
		if g.Stopped {
			mark = "stop"
		}
		fmt.Fprintf(&b, "    %-4s %-8s %s\n", mark, g.Gate, g.Text)
	}
	if len(e.Evidence) > 0 {
		b.WriteString("  observations kept:\n")
		for _, o := range e.Evidence {
			fmt.Fprintf(&b, "    %s %s %s\n", o.Time.Format(time.RFC3339), o.Jail, o)
		}
	}
	return b.String()
}

// String tells one observation in one line.
func (e Evidence) String() string {
	if e.Kind == Failure {
		return e.Text
	}
	proto := ""
	switch e.Target.Protocol {
	case 6:
		proto = "tcp "
	case 17:
		proto = "udp "
	}
	if e.Target.Port == 0 {
		return fmt.Sprintf("%v to %s%v", e.Kind, proto, e.Target.Address)
	}
	return fmt.Sprintf("%v to %s%v", e.Kind, proto, netip.AddrPortFrom(e.Target.Address, e.Target.Port))
}
