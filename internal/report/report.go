// Package report tells what a replay found: who would have been banned, when, why and for how long, what the bans would have
// stopped, and what the traffic was made of; as text, JSON Lines, CSV, or one HTML page that needs nothing else.
//
// It only counts: everything it keeps is bounded, and what a bound drops is counted and shown. Whatever comes from a log or a
// packet is written escaped for where it is written.
package report

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"pfwarden/capture"
	"pfwarden/detect"
	"pfwarden/internal/ledger"
	"pfwarden/internal/warden"
)

// Options of New. Zero values mean the defaults.
type Options struct {
	Labels []Label // score against them
	Bound  int     // keys that a ranking follows at most, 131072
	Bans   int     // bans that are listed at most, 100000
}

// Collector counts while records pass. It is used by one goroutine.
type Collector struct {
	o        Options
	packets  uint64
	lines    uint64
	rejected uint64
	stopped  uint64
	passed   uint64 // of stopped: what no rule blocked

	first, last time.Time
	sources     *distinct
	banned      map[netip.Prefix]struct{}
	bans        uint64
	byID        map[int64]*ledger.Ban
	order       []int64
	unlisted    uint64 // bans beyond Options.Bans
	guesses     []detect.Guess
	scans       *scans

	bySource *tally[netip.Addr]
	byPort   *tally[port]
	byRule   *tally[rule]
	byLog    *tally[string]
	byIface  *tally[string]
	byJail   *tally[string] // observations
	byUser   *tally[string]
	kinds    [256]uint64
	gates    *tally[string]
	refused  *tally[string]
	jails    map[string]*JailSum
	timeline Timeline
	score    *scorer
	gated    uint64 // verdicts that gates stopped
}

type port struct {
	number   uint16
	protocol uint8
}

func (p port) String() string {
	name := map[uint8]string{1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}[p.protocol]
	if name == "" {
		name = fmt.Sprintf("protocol %d", p.protocol)
	}
	if p.number == 0 && p.protocol != 6 && p.protocol != 17 {
		return name // it has no ports
	}
	return fmt.Sprintf("%d/%s", p.number, name)
}

type rule struct {
	anchor          string
	number, subrule uint32
}

func (r rule) String() string {
	text := "default"
	if r.number != capture.NoRule {
		text = fmt.Sprintf("rule %d", r.number)
	}
	if r.anchor != "" {
		text += "/" + r.anchor
	}
	if r.subrule != capture.NoRule {
		text += fmt.Sprintf("/%d", r.subrule)
	}
	return text
}

// JailSum sums one jail up.
type JailSum struct {
	Jail    string `json:"jail"`
	Bans    uint64 `json:"bans"`
	Proven  uint64 `json:"proven"`
	Sources uint64 `json:"sources"`
	Stopped uint64 `json:"stopped_packets"`

	seen map[netip.Prefix]struct{}
}

// New returns an empty collector.
func New(o Options) *Collector {
	if o.Bound <= 0 {
		o.Bound = 1 << 17
	}
	if o.Bans <= 0 {
		o.Bans = 100_000
	}
	c := &Collector{
		o: o, sources: newDistinct(1 << 16), banned: make(map[netip.Prefix]struct{}), byID: make(map[int64]*ledger.Ban),
		bySource: newTally[netip.Addr](o.Bound), byPort: newTally[port](o.Bound), byRule: newTally[rule](o.Bound),
		byLog: newTally[string](1024), byIface: newTally[string](1024), byJail: newTally[string](1024), byUser: newTally[string](o.Bound),
		gates: newTally[string](256), refused: newTally[string](256), jails: make(map[string]*JailSum), scans: newScans(o.Bound),
	}
	if o.Labels != nil {
		c.score = newScorer(o.Labels)
	}
	return c
}

// Packet counts one packet record with what it is evidence of; it makes a Collector an engine.Watcher.
func (c *Collector) Packet(p *capture.Packet, obs []detect.Observation) {
	c.packets++
	c.seen(p.Time)
	c.byIface.add(p.Interface, 1)
	if p.Action == capture.ActionBlock {
		c.byRule.add(rule{p.Anchor, p.Rule, p.Subrule}, 1)
		c.timeline.add(p.Time, Bin{Blocked: 1})
	}
	for i := range obs {
		c.observation(&obs[i])
		if obs[i].Target.Address.IsValid() {
			c.byPort.add(port{obs[i].Target.Port, obs[i].Target.Protocol}, 1)
		}
	}
}

// Line counts one line of a log, at is its time if a filter found one; it makes a Collector an engine.Watcher.
func (c *Collector) Line(l *capture.Line, at time.Time, obs []detect.Observation) {
	c.lines++
	c.byLog.add(l.Origin, 1)
	c.seen(at)
	for i := range obs {
		c.observation(&obs[i])
		if u := obs[i].User; u != "" && len(u) <= 128 {
			c.byUser.add(u, 1)
		}
	}
	if len(obs) > 0 {
		c.timeline.add(at, Bin{Failures: 1})
	}
}

func (c *Collector) observation(o *detect.Observation) {
	c.kinds[o.Kind]++
	c.byJail.add(o.Jail, 1)
	if !o.Source.IsValid() {
		return
	}
	if c.bySource.add(o.Source, 1) { // what is followed was counted already
		c.sources.add(o.Source)
	}
	c.scans.add(o)
	if c.score != nil {
		c.score.record(o.Source)
	}
}

func (c *Collector) seen(at time.Time) {
	if at.IsZero() {
		return
	}
	if c.first.IsZero() || at.Before(c.first) {
		c.first = at
	}
	if at.After(c.last) {
		c.last = at
	}
}

// Verdict counts what gates said; it makes a Collector an engine.Watcher.
func (c *Collector) Verdict(v *detect.Verdict, _ bool) {
	if v.Stopped {
		c.gated++
	}
	for _, g := range v.Gates {
		if g.Stopped {
			c.gates.add(g.Gate, 1)
		}
	}
}

// Guesses files the distributed guessing that the detector found.
func (c *Collector) Guesses(list []detect.Guess) { c.guesses = list }

// Rejected counts records that could not be read.
func (c *Collector) Rejected(n uint64) { c.rejected += n }

// Stopped counts a packet that a ban in force would have stopped.
func (c *Collector) Stopped(p *capture.Packet) {
	c.stopped++
	if p.Action != capture.ActionBlock {
		c.passed++
	}
	c.timeline.add(p.Time, Bin{Stopped: 1})
}

// Event takes what the warden did.
func (c *Collector) Event(e warden.Event) {
	switch e.Kind {
	case warden.EventBan:
		c.ban(e)
	case warden.EventRefuse:
		if e.Why != "gate" { // counted by gate, by Verdict
			c.refused.add(e.Why, 1)
		}
	default: // the ban as it now stands
		if b := c.byID[e.Ban.ID]; b != nil {
			story := b.Story
			*b = e.Ban
			b.Story = story
		}
	}
}

func (c *Collector) ban(e warden.Event) {
	c.bans++
	c.timeline.add(e.Time, Bin{Bans: 1})
	if c.score != nil && e.Ban.Prefix.IsValid() {
		c.score.ban(e.Ban.Prefix, e.Ban.Since)
	}
	if len(c.byID) >= c.o.Bans {
		c.unlisted++
		return
	}
	b := e.Ban
	c.byID[b.ID] = &b
	c.order = append(c.order, b.ID)
	c.banned[b.Prefix] = struct{}{}
	j := c.jails[b.Jail]
	if j == nil {
		j = &JailSum{Jail: b.Jail, seen: make(map[netip.Prefix]struct{})}
		c.jails[b.Jail] = j
	}
	j.Bans++
	if b.Proven {
		j.Proven++
	}
	j.seen[b.Prefix] = struct{}{}
}

// Live takes over the counters of the bans that are in force at the end.
func (c *Collector) Live(bans []ledger.Ban) {
	for i := range bans {
		if b := c.byID[bans[i].ID]; b != nil {
			b.Until, b.Packets, b.Bytes, b.LastHit, b.Longer = bans[i].Until, bans[i].Packets, bans[i].Bytes, bans[i].LastHit, bans[i].Longer
		}
	}
}

// Summary is the end of a report, in the words of `replay -o json`.
type Summary struct {
	Event           string     `json:"event"` // "summary"
	Records         uint64     `json:"records"`
	Packets         uint64     `json:"packets"`
	Lines           uint64     `json:"lines"`
	Rejected        uint64     `json:"rejected"`
	Sources         uint64     `json:"sources"`
	BanEvents       uint64     `json:"bans"`
	BannedAddresses int        `json:"banned_addresses"`
	StoppedPackets  uint64     `json:"stopped_packets"`
	First           *time.Time `json:"first"`
	Last            *time.Time `json:"last"`
}

// Report is everything that was found, ready to be written.
type Report struct {
	Summary
	SourcesExact bool
	Passed       uint64 // of the stopped packets: what no rule had blocked
	Gated        uint64 // verdicts that a gate stopped
	Bans         []ledger.Ban
	Unlisted     uint64 // bans that were too many to list
	Jails        []JailSum
	Rankings     []Ranking
	Guesses      []detect.Guess // distributed guessing, the widest first
	Scans        []Scan         // of UDP ports, or by echo request, the widest first
	Timeline     Timeline
	Scores       []Score
}

// Ranking is one list of the biggest.
type Ranking struct {
	Title string
	Unit  string
	Rows  []Row
	Shed  uint64 // weight of what the bound dropped
}

const topRows = 10

// Report sums up. The collector may go on counting.
func (c *Collector) Report() Report {
	n, exact := c.sources.count()
	r := Report{
		Summary: Summary{
			Event: "summary", Records: c.packets + c.lines, Packets: c.packets, Lines: c.lines, Rejected: c.rejected, Sources: n, BanEvents: c.bans,
			BannedAddresses: len(c.banned), StoppedPackets: c.stopped, First: utc(c.first), Last: utc(c.last),
		},
		SourcesExact: exact, Passed: c.passed, Gated: c.gated, Unlisted: c.unlisted, Guesses: c.guesses, Scans: c.scans.list(), Timeline: c.timeline,
	}
	r.Timeline.Bins = slices.Clone(c.timeline.Bins)
	for _, id := range c.order {
		b := *c.byID[id]
		r.Bans = append(r.Bans, b)
	}
	for _, name := range slices.Sorted(maps.Keys(c.jails)) {
		j := *c.jails[name]
		j.Sources = uint64(len(j.seen))
		for i := range r.Bans {
			if r.Bans[i].Jail == name {
				j.Stopped += r.Bans[i].Packets
			}
		}
		r.Jails = append(r.Jails, j)
	}
	text := func(s string) string { return s }
	kinds := newTally[string](256)
	for k, count := range c.kinds {
		if count > 0 {
			kinds.add(detect.Kind(k).String(), count)
		}
	}
	for _, k := range []Ranking{
		{"Top sources", "observations", c.bySource.top(topRows, netip.Addr.String), c.bySource.shed},
		{"Top ports", "packets", c.byPort.top(topRows, port.String), c.byPort.shed},
		{"Top rules", "blocked packets", c.byRule.top(topRows, rule.String), c.byRule.shed},
		{"Interfaces", "packets", c.byIface.top(topRows, text), c.byIface.shed},
		{"Evidence", "observations", kinds.top(topRows+5, text), 0},
		{"Scans that alone ban nobody, since anybody can forge them", "different targets", scanRows(r.Scans), 0},
		{"Jails that saw something", "observations", c.byJail.top(topRows, text), c.byJail.shed},
		{"User names tried", "attempts", c.byUser.top(topRows, text), c.byUser.shed},
		{"Distributed guessing", "addresses, about", c.guessing(), 0},
		{"Logs", "lines", c.byLog.top(topRows, text), c.byLog.shed},
		{"Gates that stopped a verdict", "verdicts", c.gates.top(topRows, text), c.gates.shed},
		{"Verdicts not carried out", "verdicts", c.refused.top(topRows, text), c.refused.shed},
	} {
		if len(k.Rows) > 0 {
			r.Rankings = append(r.Rankings, k)
		}
	}
	if c.score != nil {
		r.Scores = c.score.scores()
	}
	return r
}

// guessing ranks the cases of distributed guessing by the addresses that took part.
func (c *Collector) guessing() []Row {
	var rows []Row
	for _, g := range c.guesses[:min(len(c.guesses), topRows)] {
		rows = append(rows, Row{Name: fmt.Sprintf("%s, %d failures", g.What(), g.Failures), Count: uint64(max(g.Addresses, 0))})
	}
	return rows
}

func utc(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// address writes a prefix as OUTPUT says: a bare address, or a prefix; fail2ban's identifier where there is neither.
func address(b *ledger.Ban) string {
	switch {
	case !b.Prefix.IsValid():
		return b.Ident
	case b.Prefix.IsSingleIP():
		return b.Prefix.Addr().String()
	}
	return b.Prefix.String()
}
