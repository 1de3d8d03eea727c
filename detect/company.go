package detect

import (
	"math"
	"math/bits"
	"slices"
	"time"
)

const (
	companyMembers = 12 // sources of one prefix …
	companyDoors   = 24 // … and doors that they knocked on together …
	companyTargets = 6  // … different ones, by all of them: customers with an old bookmark and machines of a monitoring service ask for the same few
	companyFew     = 4  // … or so many, where our side has few addresses
	companyWhole   = 3  // … and of those who began, companyShare have so many each: a spread scan gives everybody his part, wrong numbers come to few
	companyShare   = .4
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
	began   [2 * companyParts]uint16 // sources whose first door this was: those who are whole within the parts began in as many before at most
	whole   [companyParts]uint16     // sources that got their last of companyWhole doors
	targets [companyParts]uint64     // which doors: a bit for each, by hash
	members [companyParts]roll
}

func (c *company) is4() bool { return key{c.hi, c.lo}.is4() }

func (c *company) turn(now uint32) {
	part := now / companyPart
	if part <= c.part {
		return
	}
	for n := min(part-c.part, uint32(len(c.began))); n > 0; n-- {
		copy(c.doors[1:], c.doors[:])
		copy(c.began[1:], c.began[:])
		copy(c.whole[1:], c.whole[:])
		copy(c.targets[1:], c.targets[:])
		copy(c.members[1:], c.members[:])
		c.doors[0], c.began[0], c.whole[0], c.targets[0], c.members[0] = 0, 0, 0, 0, roll{}
	}
	c.part = part
}

// knocked is how many doors its members knocked on.
func (c *company) knocked() int { return sum(c.doors[:]) }

func sum(of []uint16) (n int) {
	for _, v := range of {
		n += int(v)
	}
	return n
}

// shared says whether its members seem to do parts of one work. Where our side has few addresses, a scan has few different doors, but more than the two
// or three that a monitoring service's machines check. Of IPv6 it is not asked how many of those who began have done their part, nor there how many
// doors there are: no provider lets hundreds of customers share a /64.
func (c *company) shared(few bool) bool {
	least := companyTargets
	if few {
		least = companyFew
	}
	switch {
	case !c.is4() && few:
		return true
	case c.is4() && float64(sum(c.whole[:])) < companyShare*float64(sum(c.began[:])):
		return false
	}
	return bits.OnesCount64(c.targets[0]|c.targets[1]|c.targets[2]) >= least
}

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

func (c *company) strong(few bool) bool {
	if c.knocked() < companyDoors || !c.shared(few) {
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
	head   []companyHead // of the buckets
	gather gather
	mask   uint64
	hash   keyed
	bits6  int // of IPv6 sources
	walked uint32
}

// companyHead tells of most prefixes that they are not in a bucket, and of most buckets that they have no room, without a look at the entries.
type companyHead struct {
	tags  uint64 // of the entries' hashes, 16 bits each
	until uint32 // the part before which no entry's time is over
}

const (
	companyTag = 48 // from this bit on a hash is the tag
	tagWidth   = 16 // bits
	everyTag   = 1<<(0*tagWidth) | 1<<(1*tagWidth) | 1<<(2*tagWidth) | 1<<(3*tagWidth)
)

func newCompanies(n, bits6 int, hash keyed) *companies {
	n = max(ceilPower(n), companyWays)
	return &companies{entry: make([]company, n), head: make([]companyHead, n/companyWays), gather: newGather(16 * n), mask: uint64(n/companyWays - 1), hash: hash, bits6: bits6}
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

// soon says whether all of a source's doors were knocked on within the time in which a company's are: customers behind the addresses of a provider
// get a few wrong over a day, the members of a spread scan have their few probes to send.
func (x *slot) soon() bool { return x.last-min(x.first, x.last) <= companyParts*companyPart }

func companyKey(k key) key {
	if k.is4() {
		return k.mask(96 + companyBits4)
	}
	return k.mask(companyBits6)
}

// bucket of the prefix with the hash h.
func (t *companies) bucket(h uint64) *[companyWays]company {
	return (*[companyWays]company)(t.entry[(h&t.mask)*companyWays:])
}

func (t *companies) find(k key) *company { return t.in(t.hash.key(k), k) }

// in returns the entry of a prefix with the hash h, or nil.
func (t *companies) in(h uint64, k key) *company {
	x := t.head[h&t.mask].tags ^ h>>companyTag*everyTag
	for m := (x - everyTag) &^ x & (everyTag << (tagWidth - 1)); m != 0; m &= m - 1 { // the tags that are equal, and now and then one above
		if c := &t.bucket(h)[bits.TrailingZeros64(m)/tagWidth]; c.hi == k.hi && c.lo == k.lo && c.part != 0 {
			return c
		}
	}
	return nil
}

// least returns the place of the entry with the fewest doors in the bucket of the hash h, and their number: 0 where its time is over.
func (t *companies) least(h uint64, now uint32) (at, worth int) {
	worth = math.MaxInt
	head, b := &t.head[h&t.mask], t.bucket(h)
	head.until = math.MaxUint32
	for i := range b {
		if w := b[i].worth(now); w < worth {
			at, worth = i, w
		}
		head.until = min(head.until, b[i].part+companyParts)
	}
	return at, worth
}

// put places an entry.
func (t *companies) put(h uint64, at int, c company) *company {
	head := &t.head[h&t.mask]
	head.tags = head.tags&^(0xffff<<(at*tagWidth)) | h>>companyTag<<(at*tagWidth)
	head.until = 0 // counted anew by the next newcomer
	x := &t.bucket(h)[at]
	*x = c
	return x
}

// strong says whether the source's prefix is a company at time now.
func (t *companies) strong(source key, now uint32, few bool) bool {
	c := t.find(companyKey(source))
	if c == nil {
		return false
	}
	c.turn(now)
	return c.strong(few)
}

// step is what a company is told of one knock of a source.
type step struct {
	source key
	hash   uint64  // of the source
	target uint64  // hash of the door
	before float64 // doors of the source without this knock, not decayed, credits taken off
	doors  float64 // and with it
	fresh  bool    // a new door, not a known one in a new hour
	hidden bool    // its first door was not told, but only marked it in the doorkeeper
	soon   bool
}

// step describes a knock that weighed w and was just counted.
func (x *slot) step(h, target uint64, w float32, fresh bool) step {
	return step{
		source: x.key(), hash: h, target: target, before: x.undecayed() - float64(w), doors: x.undecayed(), fresh: fresh, hidden: x.flags&flagCredit != 0, soon: x.soon(),
	}
}

// reaches says whether the source has n doors with this knock.
func (s *step) reaches(n float64) bool { return s.before < n && s.doors >= n }

// knock counts a knock of a member. A source that has one door is none yet: it is only noted that it began, where the prefix is known by others.
// The answer is true when the knock makes the prefix a company.
func (t *companies) knock(s *step, now uint32, few bool) bool {
	source := s.source
	k := companyKey(source)
	h := t.hash.key(k)
	c := t.in(h, k)
	if s.doors < 2 {
		if c != nil && s.fresh && s.reaches(1) {
			c.turn(now)
			c.add(c.began[:], now, 1)
		}
		return false
	}
	created := c == nil
	if created {
		part := now / companyPart
		at, worth, full := 0, 1, part < t.head[h&t.mask].until
		if !full {
			at, worth = t.least(h, now)
		}
		if worth > 0 && t.gather.member(h, s.hash, part) < gatherMembers {
			return false
		}
		if full {
			at, _ = t.least(h, now)
		}
		c = t.put(h, at, company{hi: k.hi, lo: k.lo, part: max(part, 1)})
	}
	c.turn(now)
	before := c.strong(few)
	part := c.at(now)
	if s.fresh {
		c.targets[part] |= 1 << (s.target >> 58)
		if created || s.hidden && s.reaches(2) {
			c.add(c.began[:], now, 1)
		}
		if s.reaches(companyWhole) {
			c.add(c.whole[:], now, 1)
		}
	}
	c.add(c.doors[:], now, 1+boolInt(s.reaches(2)))
	if source.is4() {
		at := source.lo & 255
		c.members[part][at>>6] |= 1 << (at & 63)
	} else {
		c.members[part].note(t.id(source))
	}
	return !before && c.strong(few)
}

// at is where what happened at now is counted: 0 is the newest part.
func (c *company) at(now uint32) uint32 {
	return min(c.part-min(now/companyPart, c.part), companyParts-1)
}

// add counts in the part of now, up to where a count is large by any measure.
func (c *company) add(to []uint16, now uint32, n int) {
	if p := &to[c.at(now)]; *p < 1<<15 {
		*p += uint16(n)
	}
}

// worth is the number of an entry's doors at time now; 0 where its time is over and not before.
func (c *company) worth(now uint32) int {
	if c.part == 0 || now/companyPart >= c.part+companyParts {
		return 0
	}
	return max(c.knocked(), 1)
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
	if c := t.find(k); c != nil && t.exact() {
		ids, more := c.subnets(nil)
		for _, id := range ids {
			d.judgeMember(t.member(c, id), now, at, emit)
		}
		if !more {
			return
		}
	}
	// The other members' keys are not known, so those in the spill cannot be found.
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
