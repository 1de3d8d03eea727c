// Package detect is the one detector: observations of packets and log lines go in, verdicts with their reasons come out.
//
// It is pure: no input or output, no goroutine, no clock of its own. The same inputs in the same order give the same verdicts, live or replayed.
// Its memory is bounded (Limits), and what a bound drops is counted (Stats). A Detector is not safe for concurrent use.
//
// In every jail a source has used up some fraction of the jail's threshold; the sum of these is its suspicion, and at 1 it is judged. Packets are counted in
// doors: different closed ports (address and port) that one source knocked on, whose weight halves with time (Jung, Paxson, Berger, Balakrishnan: Fast portscan
// detection using sequential hypothesis testing, 2004). The gates can stop a verdict that rests on anything a third party could have forged.
//
// A source's first packet only marks it in the doorkeeper (a Bloom filter of two generations); from its second on it has a slot in a table of fixed size, and a source
// that must make room moves to the spill, a longer table of 8 bytes per source. While new sources come at ten times the usual rate, flood mode is on.
// A company is a prefix of which so many sources knock on the same doors that it scans as one: its members' threshold is halved. A victim is a
// source that sends what only the victim of an attack sends: answers to packets forged in its name. The constants are in doorkeeper.go, slots.go, spill.go, flood.go, company.go and victims.go.
package detect

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"
)

// maxAhead is how far a record's time may lie ahead of the time at which it was read.
const maxAhead = time.Minute

// Detector turns observations into verdicts.
type Detector struct {
	config    Config
	hash      keyed
	now       int64 // newest time seen, Unix nanoseconds
	own       map[netip.Addr]bool
	trapNames map[string]bool // lower case
	jails     map[string]int
	classes   []class // the ways in which combining jails cut addresses into sources
	scan      scan
	logs      logs
	contacts  contacts
	bans      bans
	groups    prefixes
	guesses   guesses
	stats     counters
	tap       func(a netip.Addr, listed bool) bool // the flight recorder's: sees or replaces the never-list's answers

	ahead   ahead
	tally   tally   // scratch
	touched []touch // scratch
	joined  []touch // scratch: others to be judged for their part in distributed guessing
}

// class is one way to cut addresses into sources.
type class struct{ bits4, bits6 int }

func (c class) key(a netip.Addr) (key, uint8) {
	n := c.bits6
	if a.Is4() {
		n = c.bits4
	}
	return maskKey(a, c.bits4, c.bits6), uint8(n)
}

// New makes a detector. Its error joins all faults of the configuration.
func New(config Config) (*Detector, error) {
	if err := config.fill(); err != nil {
		return nil, fmt.Errorf("detector: %w", err)
	}
	d := &Detector{config: config, hash: newKeyed(config.Seed), own: map[netip.Addr]bool{}, jails: map[string]int{}, now: math.MinInt64}
	for _, a := range config.Own {
		d.own[a.Unmap().WithZone("")] = true
	}
	d.trapNames = map[string]bool{}
	for _, name := range d.config.Guess.TrapNames {
		d.trapNames[strings.ToLower(name)] = true
	}
	add := func(c class) {
		for _, x := range d.classes {
			if x == c {
				return
			}
		}
		d.classes = append(d.classes, c)
	}
	p := &d.config.Portscan
	add(class{p.Prefix4, p.Prefix6})
	for i := range d.config.Jails {
		j := &d.config.Jails[i]
		d.jails[j.Name] = i
		if j.Combine {
			add(class{j.Prefix4, j.Prefix6})
		}
	}
	d.scan = newScan(&d.config)
	d.logs = newLogs(&d.config.Limits)
	d.contacts = newContacts(d.config.Limits.Contacts)
	d.bans = newBans(d.config.Limits.Bans)
	d.groups = newPrefixes()
	d.guesses = newGuesses(&d.config.Guess)
	d.stats.observations = make([][NumKinds]uint64, len(d.config.Jails)+1)
	d.stats.verdicts = make([]verdictCount, len(d.config.Jails)+1)
	return d, nil
}

// touch is a source to be judged once the whole record is counted.
type touch struct {
	addr netip.Addr
	id   string
	jail int // index into jails, or -1 for the packet jail
	at   int64
}

// Observe takes all observations of one record and calls emit for each verdict that they lead to. It does not retain obs.
func (d *Detector) Observe(obs []Observation, emit func(Verdict)) {
	d.touched, d.joined = d.touched[:0], d.joined[:0]
	for i := range obs {
		o := &obs[i]
		at := nanos(o.Time)
		if !o.Read.IsZero() {
			if read := nanos(o.Read); at > read && uint64(at)-uint64(read) > uint64(maxAhead) {
				at = read
				d.stats.ahead++
			}
		}
		d.advance(at)
		if o.Kind != Failure {
			d.packet(o, at, emit)
			continue
		}
		j, ok := d.jails[o.Jail]
		if !ok || (!o.Source.IsValid() && o.ID == "") {
			d.stats.drops[dropUnknown]++
			continue
		}
		d.stats.observations[j][Failure]++
		d.failure(o, j, at, emit)
	}
	if len(d.touched) > 1 {
		d.shadow()
	}
	for i := range d.touched {
		t := &d.touched[i]
		if !d.repeated(i) {
			d.judge(t.addr, t.id, t.jail, t.at, emit)
		}
	}
	for _, t := range d.joined {
		d.judge(t.addr, "", t.jail, t.at, emit)
	}
}

// repeated says whether judging touched[i] was done with an earlier one: the same source in the same company of jails.
func (d *Detector) repeated(i int) bool {
	t := &d.touched[i]
	for _, u := range d.touched[:i] {
		if u.addr == t.addr && u.id == t.id && (u.jail == t.jail || d.combines(u.jail) && d.combines(t.jail)) {
			return true
		}
	}
	return false
}

func (d *Detector) combines(jail int) bool {
	if jail < 0 {
		return !d.config.Portscan.NoCombine
	}
	return d.config.Jails[jail].Combine
}

// Tick tells the detector what time it is while no records come. A time before Now is ignored.
func (d *Detector) Tick(now time.Time) { d.advance(nanos(now)) }

func (d *Detector) advance(at int64) {
	if at > d.now {
		d.now = at
	}
}

// Now returns the newest time that the detector has seen; zero before the first record.
func (d *Detector) Now() time.Time {
	if d.now == math.MinInt64 {
		return time.Time{}
	}
	return time.Unix(0, d.now).UTC()
}

// nanos returns t in Unix nanoseconds, held within what the type can hold.
func nanos(t time.Time) int64 {
	const most = math.MaxInt64/int64(time.Second) - 1
	s := min(max(t.Unix(), -most), most)
	return s*int64(time.Second) + int64(t.Nanosecond())
}

// seconds returns at as the 32-bit seconds that the tables keep (until 2106).
func seconds(at int64) uint32 {
	s := at / int64(time.Second)
	return uint32(min(max(s, 0), math.MaxUint32))
}
