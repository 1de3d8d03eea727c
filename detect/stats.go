package detect

// Causes for which an observation came to nothing.
const (
	dropUnknown    = iota // of a jail that is not configured, or without a source
	dropBeforeBan         // older than the last ban or unban of its source
	dropDoorkeeper        // first packet of a new source: marked only
	numDrops
)

// dropNames are label values of metrics.
var dropNames = [numDrops]string{dropUnknown: "unknown", dropBeforeBan: "before_ban", dropDoorkeeper: "doorkeeper"}

type verdictCount struct{ proven, spoofable, stopped uint64 }

type counters struct {
	observations [][NumKinds]uint64
	notices      [numNotices]uint64
	verdicts     []verdictCount
	gates        map[string]uint64
	drops        [numDrops]uint64
	tooLate      uint64
	ahead        uint64
	credits      uint64
	companies    uint64
}

func (c *counters) count(jail int, v *Verdict, packetJail int) {
	if jail < 0 {
		jail = packetJail
	}
	n := &c.verdicts[jail]
	switch {
	case v.Stopped:
		n.stopped++
	case v.Proven:
		n.proven++
	default:
		n.spoofable++
	}
	for _, g := range v.Gates {
		if g.Stopped {
			if c.gates == nil {
				c.gates = map[string]uint64{}
			}
			c.gates[g.Gate]++
		}
	}
}

// JailStats counts one jail's observations and verdicts since the start.
type JailStats struct {
	Jail         string
	Observations [NumKinds]uint64 // by Kind
	Proven       uint64           // verdicts on proven evidence
	Spoofable    uint64           // verdicts on evidence that could be forged
	Stopped      uint64           // verdicts that a gate stopped
}

// Stats says what the detector has done and how full it is. Counters (uint64) count from the start of the process; sizes are current.
type Stats struct {
	Jails   []JailStats       // the packet jail last
	Notices map[string]uint64 // by NoticeKind's name
	Gates   map[string]uint64 // verdicts stopped, by gate; holds every gate
	Drops   map[string]uint64 // observations that did not count, by cause
	TooLate uint64            // observations that came after their window had closed
	Ahead   uint64            // records dated later than they were read
	Credits uint64            // doors taken off again because their source logged in there

	Slots, SlotsUsed    int     // portscan's table
	Evictions           uint64  // sources pushed out of it, into the spill
	Spill, Spilled      int     // the spill's entries, and how many are used
	SpillLost           uint64  // sources that the spill had no room for: forgotten
	DoorkeeperFill      float64 // share of bits set in the doorkeeper's current generation, 0 to 1
	DoorkeeperRotations uint64  // generations begun
	Flood               bool    // flood mode is on
	FloodMinutes        uint64  // minutes in flood mode
	Companies           uint64  // prefixes that became a company
	Victims             uint64  // sources that were labelled a victim

	Sources          int    // with failures in log jails
	SourcesEvicted   uint64 // pushed out
	EvidenceBytes    int    // kept for them
	EvidenceStripped uint64 // sources whose evidence was dropped to save memory
	Contacts         uint64 // contacts that were pushed out before they expired
	Bans             int    // remembered
	BansEvicted      uint64
	Guesses          uint64 // entries of the guessing report pushed out
}

// Stats returns the counters.
func (d *Detector) Stats() Stats {
	c := &d.stats
	s := Stats{
		Notices: map[string]uint64{}, Gates: map[string]uint64{}, Drops: map[string]uint64{},
		TooLate: c.tooLate, Ahead: c.ahead, Credits: c.credits, Companies: c.companies, Victims: d.scan.victims.labelled,
		Slots: len(d.scan.table.slot), SlotsUsed: d.scan.table.used, Evictions: d.scan.table.evicted,
		Spill: d.scan.spill.len(), Spilled: d.scan.spill.used, SpillLost: d.scan.spill.lost,
		DoorkeeperFill: d.scan.door.fill(), DoorkeeperRotations: d.scan.door.rotated, Flood: d.scan.flood.on, FloodMinutes: d.scan.flood.minutes,
		Sources: len(d.logs.sources), SourcesEvicted: d.logs.evicted, EvidenceBytes: d.logs.texts, EvidenceStripped: d.logs.stripped,
		Contacts: d.contacts.evicted, Bans: len(d.bans.last), BansEvicted: d.bans.evicted, Guesses: d.guesses.dropped,
	}
	for i := range c.observations {
		name := d.config.Portscan.Name
		if i < len(d.config.Jails) {
			name = d.config.Jails[i].Name
		}
		v := c.verdicts[i]
		s.Jails = append(s.Jails, JailStats{Jail: name, Observations: c.observations[i], Proven: v.proven, Spoofable: v.spoofable, Stopped: v.stopped})
	}
	for i, n := range c.notices {
		s.Notices[NoticeKind(i).String()] = n
	}
	for _, g := range gates() {
		s.Gates[g] = c.gates[g]
	}
	for i, n := range c.drops {
		s.Drops[dropNames[i]] = n
	}
	return s
}
