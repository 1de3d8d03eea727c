package detect

import (
	"math"
	"net/netip"
)

// scan is the packet jail: doors that sources knocked on.
type scan struct {
	config    *PortscanConfig
	table     *slots
	spill     spill
	door      *doorkeeper
	trails    *trails
	companies *companies
	victims   *victims
	flood     flood
	hash      keyed
	traps     [65536 / 64]uint64
	hosts     hosts
	halfLife  float64 // seconds
	leastFull float64 // doors below which nothing is judged in whatever company, and half of it for sources with a tool's mark
	waitMost  float32 // doors that a source may have and wait in the spill
	suffices  float32 // doors that fill a threshold which company has halved
	forget    float64 // seconds after which a score is as good as none
	crowded   bool    // the tables have asked for large pages
}

const (
	// slack is what decay may take of a full threshold: the sequential test needs ln 9900 at ln 4 a door, which is 6.64 doors and not 7.
	slack        = 0.9482
	companySlack = 0.88   // members of a company are spread over hours
	daySlack     = 2. / 3 // of the doors, where they were knocked on within one half-life: seven doors over a day are seven new doors in a day
	halfLives    = 4      // after as many a score is forgotten
	fewAddresses = 4      // fewer than these
	ttlSpread    = 24     // routes move by 1 to 3 hops, and nmap draws its first hop count from 37 to 59; more looks like several senders
)

func newScan(c *Config) scan {
	p := &c.Portscan
	s := scan{
		config: p, table: newSlots(p.Slots, p.Threshold, p.HalfLife.Seconds()), door: newDoorkeeper(p.Doorkeeper), trails: newTrails(c.Limits.Trails),
		companies: newCompanies(c.Limits.Companies, p.Prefix6, newKeyed(^c.Seed)), victims: newVictims(),
		hash: newKeyed(c.Seed), hosts: newHosts(p.Addresses), halfLife: p.HalfLife.Seconds(), forget: halfLives * p.HalfLife.Seconds(),
	}
	s.spill = newSpill(len(s.table.slot), p.Threshold, s.forget, newKeyed(c.Seed^0x5b111).a)
	s.waitMost = waitMost(p.Threshold)
	s.suffices = float32(companySlack * max(math.Floor(p.Threshold/2), 1))
	s.leastFull = max(math.Floor(p.Threshold/2), 1) * daySlack
	for _, port := range p.TrapPorts {
		s.traps[port>>6] |= 1 << (port & 63)
	}
	return s
}

// weight of one new target.
func weight(k Kind) float32 {
	switch k {
	case Probe:
		return 1
	case Stealth, UnknownFlags:
		return 0.5
	case UDPProbe, Sweep:
		return 0.25
	default:
		return 0
	}
}

// decay is the share that is left of a door after dt seconds; of a late record, counted where it belongs, as well.
func (s *scan) decay(dt float64) float32 {
	if dt == 0 {
		return 1
	}
	return float32(math.Exp2(-math.Abs(dt) / s.halfLife))
}

// doors returns the slot's score at time now: hard evidence, and weak evidence up to half of limit.
func (s *scan) doors(x *slot, now uint32, limit float64) float64 {
	f := 1.0
	if now > x.last {
		f = float64(s.decay(float64(now - x.last)))
	}
	weak := float64(x.weak) / weakUnit
	return (float64(x.hard) + min(weak, limit/2)) * f
}

func (s *scan) trap(port uint16) bool { return s.traps[port>>6]>>(port&63)&1 == 1 }

// scanKey is the source's key in the packet jail.
func (d *Detector) scanKey(a netip.Addr) key {
	return maskKey(a, d.config.Portscan.Prefix4, d.config.Portscan.Prefix6)
}

// packet counts one observation of the packet jail.
func (d *Detector) packet(o *Observation, at int64, emit func(Verdict)) {
	d.stats.observations[len(d.config.Jails)][min(int(o.Kind), NumKinds-1)]++
	if d.config.Portscan.Disabled || !o.Source.IsValid() {
		return
	}
	w := weight(o.Kind)
	if w == 0 {
		d.label(o, at)
		return
	}
	s := &d.scan
	epochs := w == 1 && s.hosts.few(o.Target.Address) && s.trap(o.Target.Port)
	now := seconds(at)
	k := d.scanKey(o.Source)
	h := d.hash.key(k)
	th := d.hash.target(&o.Target, 0)
	if o.Kind == Sweep {
		th = d.hash.target(&Target{Address: o.Target.Address, Protocol: 1}, 0)
	}
	print := uint16(th)
	x := s.table.find(k, h)
	if x == nil {
		if entry := s.spill.find(h, now); entry != nil {
			if !epochs && d.waiting(entry, o, k, h, th, now, at, emit) {
				return
			}
			x = s.revive(entry, k, h, now)
		}
	}
	if x != nil && float64(now)-float64(x.last) > s.forget && x.flags&flagStopped == 0 {
		*x = slot{hi: k.hi, lo: k.lo, first: now, last: now, ttlMin: o.TTL, ttlMax: o.TTL}
		s.table.ranked(x, h)
	}
	if x != nil && x.seen(print) {
		if epochs {
			counted := d.epoch(x, o, h, now, th)
			st := x.step(h, th, 0.5, false)
			st.soon = st.soon && counted
			d.reached(x, o, &st, at, emit)
		}
		return
	}
	if x == nil {
		if len(d.bans.last) > 0 && d.stale(o.Source, at, -1) {
			return
		}
		credit, flooding, ok := d.enters(o, h, th, now, w)
		if !ok || !epochs && d.waits(o, k, h, th, now, credit, flooding, at, emit) {
			return
		}
		x = d.admit(o, k, h, now, w, credit, flooding)
	} else {
		if float64(x.last)-float64(now) > s.forget {
			d.stats.tooLate++
			return
		}
		if len(d.bans.last) > 0 && d.stale(o.Source, at, -1) {
			return
		}
		if x.flags&flagCredit != 0 && !epochs && d.credited(h, th, w) {
			x.keep(uint16(th))
			x.flags &^= flagCredit // its target is known now
			return
		}
	}
	if !d.count(x, o, h, now, th, w) {
		return
	}
	if epochs {
		d.newHour(x, now, th)
	}
	st := x.step(h, th, w, true)
	d.reached(x, o, &st, at, emit)
}

// reached judges the slot's source where that is due; the common case, a source far from its threshold, costs little.
func (d *Detector) reached(x *slot, o *Observation, step *step, at int64, emit func(Verdict)) {
	s := &d.scan
	if d.logged(o.Source) {
		d.judge(o.Source, "", -1, at, emit)
	} else if !s.mayBeFull(x) {
		x.flags &^= flagStopped
	} else if f, _ := s.fraction(x, seconds(at)); f >= nearlyOne {
		d.judge(o.Source, "", -1, at, emit)
	} else {
		x.flags &^= flagStopped
	}
	if weight(o.Kind) > 0.25 {
		d.accompany(step, seconds(at), at, emit)
	}
}

// accompany tells the source's company of a knock. A company is made by sources with two doors or more within its time.
func (d *Detector) accompany(step *step, now uint32, at int64, emit func(Verdict)) {
	if step.soon && d.scan.companies.knock(step, now, d.scan.hosts.fewer(step.source)) {
		d.judgeCompany(step.source, at, emit)
	}
}

// logged says whether log jails that combine with the packet jail may know the source.
func (d *Detector) logged(a netip.Addr) bool { return len(d.logs.sources) > 0 && d.inLogs(a) }

func (d *Detector) inLogs(a netip.Addr) bool {
	for _, c := range d.classes {
		k, n := c.key(a)
		if d.logs.sources[sourceKey{key: k, bits: n}] != nil {
			return true
		}
	}
	return false
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// count adds a new target to the slot. It answers false where the kind's cap is reached.
func (d *Detector) count(x *slot, o *Observation, h uint64, now uint32, th uint64, w float32) bool {
	s := &d.scan
	switch o.Kind {
	case UDPProbe:
		if x.caps&15 >= weakCap || int(x.n) >= len(x.prints) {
			return false
		}
		x.caps++
	case Sweep:
		if x.caps>>4 >= weakCap || int(x.n) >= len(x.prints) {
			return false
		}
		x.caps += 16
	}
	s.add(x, h, now, w)
	x.keep(uint16(th))
	if o.TTL != 0 {
		if x.ttlMin == 0 || o.TTL < x.ttlMin {
			x.ttlMin = o.TTL
		}
		x.ttlMax = max(x.ttlMax, o.TTL)
	}
	if o.Mark != NoMark {
		if o.Mark != Masscan || x.flags&flagMarkOnce != 0 {
			x.flags |= flagMark
		}
		x.flags |= flagMarkOnce
	}
	if !s.flood.on || x.n > 1 { // in a flood first knocks are too many to keep
		s.trails.add(x, o, now, h)
	}
	return true
}

// add moves the slot's score to the newer of its time and now, and adds w where it belongs.
func (s *scan) add(x *slot, h uint64, now uint32, w float32) {
	late := float32(1)
	if now >= x.last {
		f := s.decay(float64(now - x.last))
		x.hard *= f
		x.weak = uint16(float32(x.weak) * f)
		x.last = now
	} else {
		late = s.decay(float64(x.last - now))
		x.first = min(x.first, now)
	}
	if w == 0.25 {
		x.weak += uint16(w * late * weakUnit)
	} else {
		x.hard += w * late
		x.count(w)
	}
	s.table.ranked(x, h)
}

// newHour notes a knock on a trap port; it answers true for the first on this target in its hour.
func (d *Detector) newHour(x *slot, now uint32, th uint64) bool {
	hour := uint16(now / 3600)
	bit := uint16(1) << (th >> 32 & 15)
	if x.trapHour != hour {
		x.trapHour, x.trapBits = hour, 0
	}
	fresh := x.trapBits&bit == 0
	x.trapBits |= bit
	return fresh
}

// epoch counts half a door for a known trap port in a new hour, on gateways with few addresses. It answers false where the hour is not new.
func (d *Detector) epoch(x *slot, o *Observation, h uint64, now uint32, th uint64) bool {
	if now < x.last || !d.newHour(x, now, th) {
		return false
	}
	d.scan.add(x, h, now, 0.5)
	d.scan.trails.add(x, o, now, h)
	return true
}

// label notes what tells that a source is a victim and no attacker.
func (d *Detector) label(o *Observation, at int64) {
	if o.Kind != Backscatter && o.Kind != Reflection {
		return
	}
	now := seconds(at)
	k := d.scanKey(o.Source)
	h := d.hash.key(k)
	if d.scan.victims.note(h, now) {
		if x := d.scan.table.find(k, h); x != nil {
			x.flags |= flagVictim
		}
	}
}
