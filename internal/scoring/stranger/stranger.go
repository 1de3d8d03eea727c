// Package stranger writes labelled traffic of a gateway from a second model, made without a look at internal/simulate or at
// the detector: from the design's table of evidence and list of classes, from the literature on scanning, and from what tools
// and servers are known to send and log. A detector tuned on the first generator is judged by this one.
//
// It is for tests: a Trace holds everything in memory. Which classes there are, and how often each occurs, is our choice and
// measured nowhere; docs/simulate.md says so beside the table of results.
package stranger

import (
	"cmp"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"pfwarden/capture"
)

// Options say what to generate. The same options give the same trace.
type Options struct {
	Seed  uint64
	Hosts int       // addresses behind the gateway, of each family: 1 to 256
	Days  int       // at least 1
	Start time.Time // of the trace; zero is a Monday in September 2026

	Scale float64 // of the number of sources of each class, or of their groups; 0 is 1

	// Guessing adds guessers who stay below every threshold of their own, who are wanted only where guessing.act is set.
	Guessing bool
	// Classes, if not empty, are the only ones.
	Classes []string
}

// Label says what a source of the trace is.
type Label struct {
	Address     netip.Addr
	Class       string
	Want        bool // it attacks, and the design says that it is to be banned
	First, Last time.Time
}

// Trace is labelled traffic.
type Trace struct {
	Labels []Label

	start   time.Time
	packets []packet
	lines   map[string][]line
	style   style
}

// packet is one record of pflog, at a time since the start.
type packet struct {
	at     time.Duration
	ip     []byte
	iface  string
	action capture.Action
	reason capture.Reason
	dir    capture.Direction
}

// line is one line of a server's log, without its time stamp.
type line struct {
	at   time.Duration
	text string
}

// class is one kind of source: who they are, and how many of them (or groups of them) a trace has.
type class struct {
	name string
	want bool
	n    int
	make func(g *gen)
}

// Generate draws a trace.
func Generate(o Options) *Trace {
	if o.Start.IsZero() {
		o.Start = time.Date(2026, 9, 14, 0, 0, 0, 0, time.UTC)
	}
	o.Hosts, o.Days = max(1, min(o.Hosts, 256)), max(1, o.Days)
	if o.Scale <= 0 {
		o.Scale = 1
	}
	g := newGen(o)
	for _, c := range slices.Concat(scanners(), guessers(), bystanders(), answers(), users()) {
		if len(o.Classes) > 0 && !slices.Contains(o.Classes, c.name) {
			continue
		}
		if c.name == lowGuessing && !o.Guessing {
			continue
		}
		// Each class has its own stream, so that a change to one leaves the others as they were.
		g.r = rand.New(rand.NewPCG(o.Seed, hash(c.name)))
		g.class, g.want = c.name, c.want
		for range max(1, int(math.Round(o.Scale*float64(c.n)))) {
			c.make(g)
		}
	}
	t := &Trace{start: o.Start, packets: g.packets, lines: g.lines, style: g.style}
	slices.SortStableFunc(t.packets, func(a, b packet) int { return cmp.Compare(a.at, b.at) })
	for _, lines := range t.lines {
		slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.at, b.at) })
	}
	for _, l := range g.labels {
		if !l.First.IsZero() {
			t.Labels = append(t.Labels, *l)
		}
	}
	return t
}

// Packets is the number of pflog records.
func (t *Trace) Packets() int { return len(t.packets) }

// hash is FNV-1a, to give each class a stream of its own.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
