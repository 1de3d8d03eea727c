package detect

import "net/netip"

// maxMembers bounds the members that a prefix verdict may ask for.
const maxMembers = 256

// proven is one prefix with members that earned proven verdicts.
type proven struct {
	members map[netip.Addr]int64 // when each was last judged
	last    int64
}

// prefixes counts proven members of prefixes, for verdicts on the whole prefix.
type prefixes struct{ of map[netip.Prefix]*proven }

const maxPrefixes = 4096

func newPrefixes() prefixes { return prefixes{map[netip.Prefix]*proven{}} }

// member notes a proven verdict; enough of them in one prefix make a verdict on the prefix.
func (d *Detector) member(a netip.Addr, at int64, v *Verdict, emit func(Verdict)) {
	c := &d.config.Prefix
	if !c.Enabled {
		return
	}
	p := maskKey(a, c.Bits4, c.Bits6).prefix(c.Bits4, c.Bits6)
	g := d.groups.of[p]
	if g == nil {
		if len(d.groups.of) >= maxPrefixes {
			d.groups.drop()
		}
		g = &proven{members: map[netip.Addr]int64{}}
		d.groups.of[p] = g
	}
	g.last = max(g.last, at)
	g.members[v.Source.Addr()] = at
	for m, t := range g.members {
		if t < at-int64(c.Window) {
			delete(g.members, m)
		}
	}
	if len(g.members) < c.Members {
		return
	}
	n := len(g.members)
	delete(d.groups.of, p)
	w := Verdict{
		Time: v.Time, Source: p, Jail: v.Jail, Shares: v.Shares, Score: v.Score, Proven: true, Evidence: v.Evidence, Failures: n,
		Reasons: []string{plural(n, "proven attacker") + " of " + p.String() + " within " + span(c.Window) + ", the last of them " + a.String()},
	}
	w.Gates = append(w.Gates, d.memberGate(p, at))
	w.Stopped = w.Gates[0].Stopped
	d.stats.count(d.shareJail(v.Jail), &w, len(d.config.Jails))
	emit(w)
}

func (d *Detector) shareJail(name string) int {
	if j, ok := d.jails[name]; ok {
		return j
	}
	return -1
}

// memberGate refuses a prefix that holds a never-listed, own or contacted address.
func (d *Detector) memberGate(p netip.Prefix, at int64) GateAnswer {
	stop := func(why string) GateAnswer { return GateAnswer{Gate: GateMember, Stopped: true, Text: why} }
	listed := false
	if n := d.config.Never; n != nil {
		o, ok := n.(overlapper)
		listed = ok && o.OverlapsPrefix(p) || n.Contains(p.Addr())
	}
	if d.tap != nil {
		listed = d.tap(p.Addr(), listed)
	}
	if listed {
		return stop("a never-listed address lies in " + p.String())
	}
	for a := range d.own {
		if p.Contains(a) {
			return stop("an address of our own lies in " + p.String())
		}
	}
	if state, spoke := d.contacts.asked(d.prefixHash(p.Addr()), seconds(at)); state || spoke {
		return stop("our side spoke to an address in " + p.String() + " in the last 24 hours")
	}
	return GateAnswer{Gate: GateMember, Text: "no never-listed or contacted address inside"}
}

// drop forgets the prefix that was quiet longest.
func (g *prefixes) drop() {
	var oldest netip.Prefix
	at := int64(1<<63 - 1)
	for p, x := range g.of {
		if x.last < at || x.last == at && p.Compare(oldest) < 0 {
			oldest, at = p, x.last
		}
	}
	delete(g.of, oldest)
}
