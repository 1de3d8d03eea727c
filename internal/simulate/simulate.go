// Package simulate makes labelled traffic of a gateway: what PF would log and what the servers behind it would write, with a list of who is who.
//
// Everybody who sends something is one small generator with random numbers of its own; a heap takes the generators' next records in order of
// time. So memory grows with the number of senders and not with the records, the output streams, and the same seed gives the same bytes:
// adding an attack or leaving a class out changes no record of the others. Classes, rates and their sources are in docs/simulate.md.
package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog/pflogwrite"
	"pfwarden/internal/report"
)

// Interface is the gateway's external interface in what is written.
const Interface = "em0"

// Options say what to simulate. Zero values mean the defaults.
type Options struct {
	Seed    uint64
	Hosts   int       // addresses behind the gateway, 1 to 65536; 0 = 256
	Days    float64   // 0 = 1
	Start   time.Time // zero = 2026-10-01T00:00:00Z
	Scale   float64   // multiplies the number of senders; 0 = 1
	Classes []string  // only these; none = all that Classes marks as usual

	// Attacks on the detector, in sources.
	Flood       int           // that send one forged SYN each
	Evict       int           // that send three SYNs each, to push others out of tables
	Frame       int           // forged scans in the name of addresses that our side spoke to
	GateRaising int           // scanners that dress as victims of a flood first
	FloodSpan   time.Duration // how long the flood and the eviction attack take, in the middle of the time; 0 = 1 h
}

// Format is how records are written: see ParseDialect.
type Format struct {
	Dialect capture.Dialect
	System  pflogwrite.System
	File    pflogwrite.Format
}

// Output is where it goes. A nil writer is left out; nothing is flushed or closed.
type Output struct {
	Pflog    io.Writer
	Format   Format
	AuthLog  io.Writer // of sshd, by syslogd with RFC 3339 times
	ErrorLog io.Writer // of Apache httpd, times in UTC
}

// Totals count what was written.
type Totals struct {
	Packets, AuthLines, ErrorLines uint64
	Senders                        int // labelled ones
}

// Run writes the traffic in order of time and returns the labels, sorted by class and address. Flood and eviction sources beyond
// maxFloodLabels are labelled by sample.
func Run(ctx context.Context, o Options, out Output) ([]report.Label, Totals, error) {
	if err := o.fill(); err != nil {
		return nil, Totals{}, err
	}
	w := newWorld(o, out)
	if err := w.begin(); err != nil {
		return nil, w.totals, err
	}
	if err := w.populate(); err != nil {
		return nil, w.totals, err
	}
	if err := w.play(ctx); err != nil {
		return nil, w.totals, err
	}
	labels := make([]report.Label, 0, len(w.labels))
	for _, l := range w.labels {
		if l.last == 0 {
			continue // its time came to nothing, as in a simulation of minutes
		}
		labels = append(labels, report.Label{Address: l.address, Class: l.class, Want: l.want, First: stamp(l.first), Last: stamp(l.last)})
	}
	slices.SortStableFunc(labels, func(a, b report.Label) int {
		if a.Class != b.Class {
			if a.Class < b.Class {
				return -1
			}
			return 1
		}
		return a.Address.Compare(b.Address)
	})
	w.totals.Senders = len(labels)
	return labels, w.totals, nil
}

func stamp(at int64) time.Time { return time.Unix(0, at).UTC() }

// Validate names every fault of the options.
func (o Options) Validate() error { return o.fill() }

func (o *Options) fill() error {
	if o.Hosts == 0 {
		o.Hosts = 256
	}
	if o.Days == 0 {
		o.Days = 1
	}
	if o.Start.IsZero() {
		o.Start = time.Date(2026, time.October, 1, 0, 0, 0, 0, time.UTC)
	}
	if o.Scale == 0 {
		o.Scale = 1
	}
	if o.FloodSpan == 0 {
		o.FloodSpan = time.Hour
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if o.Hosts < 1 || o.Hosts > 1<<16 {
		fault("%d hosts, expected 1 to 65536", o.Hosts)
	}
	if !(o.Days > 0 && o.Days <= 3660) {
		fault("%v days, expected more than 0 and at most 3660", o.Days)
	}
	if !(o.Scale > 0 && o.Scale <= 1000) {
		fault("scale %v, expected more than 0 and at most 1000", o.Scale)
	}
	for _, x := range []struct {
		what    string
		n, most int
	}{{"a flood of", o.Flood, maxFlood}, {"evictions by", o.Evict, maxFlood}, {"framing of", o.Frame, 1 << 20}, {"gates raised by", o.GateRaising, 1 << 20}} {
		if x.n < 0 || x.n > x.most {
			fault("%s %d sources, expected 0 to %d", x.what, x.n, x.most)
		}
	}
	if o.FloodSpan < 0 {
		fault("a flood of %v, expected more than 0", o.FloodSpan)
	}
	if span := time.Duration(o.Days * float64(day)); o.FloodSpan > span {
		o.FloodSpan = span
	}
	if year := o.Start.UTC().Year(); year < 1971 || year > 2090 {
		fault("a start in %d, expected 1971 to 2090", year)
	}
	known := Classes()
	for _, name := range o.Classes {
		if !slices.ContainsFunc(known, func(c Class) bool { return c.Name == name }) {
			var names []string
			for _, c := range known {
				names = append(names, c.Name)
			}
			fault("no class %q: expected one of %s", name, strings.Join(names, ", "))
		}
	}
	return errors.Join(faults...)
}

const day = 24 * time.Hour

// label is what is known of a sender.
type label struct {
	address     netip.Addr
	class       string
	want        bool
	first, last int64
}

// world is one simulation.
type world struct {
	o          Options
	out        encoder
	totals     Totals
	start, end int64 // Unix nanoseconds
	queue      queue
	labels     []*label
	class      *Class
	number     uint64 // of the sender within its class
	places     places
	err        error
}

func newWorld(o Options, out Output) *world {
	w := &world{o: o, start: o.Start.UnixNano(), out: encoder{to: out}}
	w.end = w.start + int64(o.Days*float64(day))
	w.places = newPlaces(o.Seed, o.Hosts)
	return w
}

func (w *world) begin() error { return w.out.begin() }

// populate makes all senders.
func (w *world) populate() error {
	classes := Classes()
	for i := range classes {
		c := &classes[i]
		n := int(float64(c.perDay)*w.o.Scale*c.days(w.o.Days) + .5)
		switch {
		case c.attack != nil:
			n = c.attack(&w.o)
		case len(w.o.Classes) > 0 && !slices.Contains(w.o.Classes, c.Name), len(w.o.Classes) == 0 && !c.Usual:
			continue
		case n == 0:
			n = 1
		}
		if c.group > 0 {
			n = (n + c.group - 1) / c.group * c.group
		}
		w.class, w.number = c, 0
		c.make(w, n)
	}
	return w.err
}

// days says how many times a class's senders come in a simulation of so many days.
func (c *Class) days(days float64) float64 {
	if c.daily {
		return days
	}
	return 1
}

const checkEvery = 1 << 14 // records between looks at the context

// play takes the senders' records in order of time until all are done.
func (w *world) play(ctx context.Context) error {
	w.queue.init()
	for n := 0; len(w.queue) > 0; n++ {
		if n%checkEvery == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		first := &w.queue[0]
		next := first.step(first.at)
		if w.err == nil {
			w.err = w.out.err
		}
		if w.err != nil {
			return w.err
		}
		if next < first.at && next != done {
			next = first.at
		}
		if next == done || next >= w.end {
			w.queue.pop()
			continue
		}
		first.at = next
		w.queue.down(0)
	}
	w.totals.Packets, w.totals.AuthLines, w.totals.ErrorLines = w.out.packets, w.out.authLines, w.out.errorLines
	return w.out.end()
}

// sender makes a new labelled sender of the class being made, with an address of its own.
func (w *world) sender() *sender {
	s := w.at(w.places.source(w.class.index, w.number))
	return s
}

// at makes a labelled sender with a given address.
func (w *world) at(a netip.Addr) *sender {
	s := w.unlabelled(a)
	s.label = &label{address: a, class: w.class.Name, want: w.class.Want}
	w.labels = append(w.labels, s.label)
	return s
}

func (w *world) unlabelled(a netip.Addr) *sender {
	s := &sender{w: w, address: a, random: newRandom(w.o.Seed, w.class.Name, w.number)}
	s.ttl = s.ttls()
	w.number++
	return s
}

// begins puts a sender's generator into the queue. step emits what is due at its time and answers when it is due next, or done.
func (w *world) begins(at int64, step func(at int64) int64) {
	if at >= w.end {
		return
	}
	w.queue = append(w.queue, entry{at: max(at, w.start), order: uint32(len(w.queue)), step: step})
}
