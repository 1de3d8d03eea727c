package detect

import (
	"math/bits"
	"net/netip"
	"time"
)

const (
	companyMembers = 12 // sources of one prefix …
	companyDoors   = 24 // … and doors that they knocked on together …
	companyParts   = 3
	companyPart    = 2 * 3600 // … within three parts of two hours
	companyWays    = 4
	companyBits4   = 24
	companyBits6   = 48
	companyWalk    = 60 // seconds between walks through the whole table
)

// company is one prefix whose members knocked.
type company struct {
	hi, lo  uint64
	part    uint32 // number of the newest part
	doors   [companyParts]uint16
	members [companyParts][4]uint64 // bits, by the last octet or by hash
}

func (c *company) turn(now uint32) {
	part := now / companyPart
	if part <= c.part {
		return
	}
	for n := min(part-c.part, companyParts); n > 0; n-- {
		copy(c.doors[1:], c.doors[:])
		copy(c.members[1:], c.members[:])
		c.doors[0], c.members[0] = 0, [4]uint64{}
	}
	c.part = part
}

func (c *company) union() (all [4]uint64, members, doors int) {
	for i := range c.members {
		for w := range all {
			all[w] |= c.members[i][w]
		}
		doors += int(c.doors[i])
	}
	for _, w := range all {
		members += bits.OnesCount64(w)
	}
	return all, members, doors
}

func (c *company) strong() bool {
	if int(c.doors[0])+int(c.doors[1])+int(c.doors[2]) < companyDoors {
		return false // as of nearly every prefix
	}
	_, members, doors := c.union()
	return members >= companyMembers && doors >= companyDoors
}

// companies is a fixed table of prefixes. Where a bucket is full a newcomer has to gather some members first, and then the prefix with the
// fewest doors goes.
type companies struct {
	entry  []company
	gather gather
	mask   uint64
	hash   keyed
	walked uint32
}

func newCompanies(n int, hash keyed) *companies {
	n = max(ceilPower(n), companyWays)
	return &companies{entry: make([]company, n), gather: newGather(16 * n), mask: uint64(n/companyWays - 1), hash: hash}
}

func companyKey(k key) key {
	if k.is4() {
		return k.mask(96 + companyBits4)
	}
	return k.mask(companyBits6)
}

func (t *companies) bucket(k key) []company {
	i := (t.hash.key(k) & t.mask) * companyWays
	return t.entry[i : i+companyWays]
}

func (t *companies) find(k key) *company {
	b := t.bucket(k)
	for i := range b {
		if b[i].hi == k.hi && b[i].lo == k.lo && b[i].part != 0 {
			return &b[i]
		}
	}
	return nil
}

// strong says whether the source's prefix is a company at time now.
func (t *companies) strong(source key, now uint32) bool {
	c := t.find(companyKey(source))
	if c == nil {
		return false
	}
	c.turn(now)
	return c.strong()
}

// knock counts doors of a member. It answers true when that makes the prefix a company.
func (t *companies) knock(source key, now uint32, doors int) bool {
	k := companyKey(source)
	c := t.find(k)
	if c == nil {
		b := t.bucket(k)
		c = &b[0]
		for i := range b {
			if t.worth(&b[i], now) < t.worth(c, now) {
				c = &b[i]
			}
		}
		if h := t.hash.key(k); t.worth(c, now) > 0 && t.gather.member(h, t.hash.key(source), now/companyPart) < gatherMembers {
			return false
		}
		*c = company{hi: k.hi, lo: k.lo, part: max(now/companyPart, 1)}
	}
	c.turn(now)
	before := c.strong()
	at := uint(t.hash.key(source) & 255)
	if source.is4() {
		at = uint(source.lo & 255)
	}
	part := min(c.part-min(now/companyPart, c.part), companyParts-1)
	c.members[part][at>>6] |= 1 << (at & 63)
	if c.doors[part] < 1<<15 {
		c.doors[part] += uint16(doors)
	}
	return !before && c.strong()
}

func (t *companies) worth(c *company, now uint32) int {
	if c.part == 0 || now/companyPart >= c.part+companyParts {
		return 0
	}
	return int(c.doors[0]) + int(c.doors[1]) + int(c.doors[2])
}

// judgeCompany judges the members of a prefix that has just become a company: what they did before counts against half the threshold too.
func (d *Detector) judgeCompany(source key, at int64, emit func(Verdict)) {
	d.stats.companies++
	k := companyKey(source)
	now := seconds(at)
	if k.is4() {
		for i := range uint64(256) {
			d.judgeMember(key{k.hi, k.lo | i}, now, at, emit)
		}
		return
	}
	if now-d.scan.companies.walked < companyWalk {
		return // the members' next knocks will do
	}
	d.scan.companies.walked = now
	for i := range d.scan.table.slot {
		if x := &d.scan.table.slot[i]; companyKey(x.key()) == k {
			d.judgeMember(x.key(), now, at, emit)
		}
	}
}

func (d *Detector) judgeMember(k key, now uint32, at int64, emit func(Verdict)) {
	x := d.scan.glance(k, d.hash.key(k), now)
	if x == nil {
		return
	}
	if f, _ := d.scan.fraction(x, now); f >= nearlyOne {
		d.judge(k.addr(), "", -1, at, emit)
	}
}

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
	w.Gates = append(w.Gates, d.memberGate(p))
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
func (d *Detector) memberGate(p netip.Prefix) GateAnswer {
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
	if state, spoke := d.contacts.asked(d.prefixHash(p.Addr()), seconds(d.now)); state || spoke {
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

// companyText tells of a company for people.
func (d *Detector) companyText(k key) string {
	c := d.scan.companies.find(companyKey(k))
	if c == nil {
		return ""
	}
	_, members, doors := c.union()
	return plural(members, "source") + " of " + companyKey(k).prefix(companyBits4, companyBits6).String() + " knocked on " + plural(doors, "door") +
		" within " + span(companyParts*companyPart*time.Second)
}
