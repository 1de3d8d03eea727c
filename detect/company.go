package detect

import (
	"math/bits"
	"net/netip"
	"slices"
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
	members [companyParts]roll
}

func (c *company) is4() bool { return key{c.hi, c.lo}.is4() }

func (c *company) turn(now uint32) {
	part := now / companyPart
	if part <= c.part {
		return
	}
	for n := min(part-c.part, companyParts); n > 0; n-- {
		copy(c.doors[1:], c.doors[:])
		copy(c.members[1:], c.members[:])
		c.doors[0], c.members[0] = 0, roll{}
	}
	c.part = part
}

// knocked is how many doors its members knocked on.
func (c *company) knocked() int { return int(c.doors[0]) + int(c.doors[1]) + int(c.doors[2]) }

// sources is how many members there are; of an IPv6 prefix as far as its rolls go, which is said by more.
func (c *company) sources() (n int, more bool) {
	if !c.is4() {
		var room [companyParts * rollIDs]uint32
		ids, more := c.subnets(room[:0])
		return len(ids), more
	}
	for i := range c.members[0] {
		n += bits.OnesCount64(c.members[0][i] | c.members[1][i] | c.members[2][i])
	}
	return n, false
}

// subnets appends the members of an IPv6 prefix to ids, each once, and says whether a roll is full.
func (c *company) subnets(ids []uint32) (_ []uint32, full bool) {
	for i := range c.members {
		r := &c.members[i]
		for n := range rollIDs {
			id, ok := r.id(n)
			if !ok {
				break
			}
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		full = full || r.full()
	}
	return ids, full
}

func (c *company) strong() bool {
	if c.knocked() < companyDoors {
		return false // as of nearly every prefix
	}
	if !c.is4() && c.members[0].full() {
		return true
	}
	n, _ := c.sources()
	return n >= companyMembers
}

// companies is a fixed table of prefixes. Where a bucket is full a newcomer has to gather some members first, and then the prefix with the
// fewest doors goes.
type companies struct {
	entry  []company
	gather gather
	mask   uint64
	hash   keyed
	bits6  int // of IPv6 sources
	walked uint32
}

func newCompanies(n, bits6 int, hash keyed) *companies {
	n = max(ceilPower(n), companyWays)
	return &companies{entry: make([]company, n), gather: newGather(16 * n), mask: uint64(n/companyWays - 1), hash: hash, bits6: bits6}
}

// exact says whether an IPv6 member's number in its company tells its key.
func (t *companies) exact() bool { return t.bits6 <= companyBits6+16 }

// id numbers an IPv6 source within its company: by the bits behind the company's where these are few, as they are for /64s, else by hash.
func (t *companies) id(source key) uint32 {
	if t.exact() {
		return uint32(source.hi&(1<<16-1)) >> (64 - max(t.bits6, companyBits6))
	}
	return uint32(t.hash.key(source) & (1<<20 - 1))
}

// member is the source with a number, where that is exact.
func (t *companies) member(c *company, id uint32) key {
	return key{c.hi | uint64(id)<<(64-max(t.bits6, companyBits6)), c.lo}
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
	part := min(c.part-min(now/companyPart, c.part), companyParts-1)
	if source.is4() {
		at := source.lo & 255
		c.members[part][at>>6] |= 1 << (at & 63)
	} else {
		c.members[part].note(t.id(source))
	}
	if c.doors[part] < 1<<15 {
		c.doors[part] += uint16(doors)
	}
	return !before && c.strong()
}

func (t *companies) worth(c *company, now uint32) int {
	if c.part == 0 || now/companyPart >= c.part+companyParts {
		return 0
	}
	return c.knocked()
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
	t := d.scan.companies
	if t.exact() {
		if c := t.find(k); c != nil {
			ids, _ := c.subnets(nil)
			for _, id := range ids {
				d.judgeMember(t.member(c, id), now, at, emit)
			}
		}
		return
	}
	// The members' keys are not known, so those in the spill cannot be found.
	if now-t.walked < companyWalk {
		return // the members' next knocks will do
	}
	t.walked = now
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
	n, more := c.sources()
	members := plural(n, "source")
	if more {
		members += " and more"
	}
	return members + " of " + companyKey(k).prefix(companyBits4, companyBits6).String() + " knocked on " + plural(c.knocked(), "door") +
		" within " + span(companyParts*companyPart*time.Second)
}
