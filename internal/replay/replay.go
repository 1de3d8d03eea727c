// Package replay plays finished pflog files and text logs through the same engine that the daemon runs, clocked by the records themselves: who
// would have been banned, when, why, for how long, and how many later packets the ban would have stopped. Nothing is resolved, nothing leaves
// the process, and the same input and settings give the same output.
package replay

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/detect"
	"pfwarden/detect/filter"
	"pfwarden/detect/filter/builtin"
	"pfwarden/detect/probe"
	"pfwarden/internal/config"
	"pfwarden/internal/engine"
	"pfwarden/internal/ledger"
	"pfwarden/internal/warden"
)

// Input is one file to play. Without Open, Name is opened as a file, "-" being standard input.
type Input struct {
	Name     string
	Open     func() (io.ReadCloser, error)
	Modified time.Time // with Open: what its file's modification time would be
}

// Options say what to play and how.
type Options struct {
	Config   *config.Config
	Inputs   []Input
	Stdin    io.Reader
	Location *time.Location // of text logs' times without zone; nil = local
	Year     int            // of text logs' times without year; 0 = by the file's modification time
	Now      time.Time      // present time: for the year of logs that come without a modification time
	Watch    []string       // interfaces whose blocks are evidence; none = all
	Never    *warden.NeverList
	Seed     uint64

	// OnEvent hears of every ban and unban, in order.
	OnEvent func(warden.Event)
	// OnReject hears of every packet record that could not be decoded.
	OnReject func(pflog.Rejected)
	// OnProgress hears, now and then, how many bytes of the files were read.
	OnProgress func(read int64)
	Watchers   []engine.Watcher
	// OnStopped hears of every packet that a ban in force would have stopped.
	OnStopped func(p *capture.Packet)
	Journal   io.Writer // where every input of the detector is written; may be nil
}

// Totals sum a replay up.
type Totals struct {
	Packets, Lines, Rejected, Stopped uint64
	First, Last                       time.Time // times of the records; zero if none had one
	Faults                            []error   // files that could not be read to their end
	Detector                          detect.Stats
	Skipped                           map[string]uint64 // packets that were no evidence, by cause
	Misdated                          uint64            // records dated over an hour ahead of those after them in their file, and taken to be as old
	Back                              uint64            // times that a file went back by over an hour
	Live                              []ledger.Ban      // in force at the end
	Guesses                           []detect.Guess    // distributed guessing, the widest first
	NoTime, Unresolved                uint64            // matches passed over: without time, naming a host instead of an address
}

// jailsOf lists the log jails of a replay: those of the configuration that are on, and every filter of our own that none of them uses. A log's
// lines fit the filters of the server that wrote them and no others, so each log can be given to all.
func jailsOf(c *config.Config) []config.Jail {
	var jails []config.Jail
	used := make(map[string]bool)
	for _, j := range c.Jails {
		if name, _, err := builtin.ParseSpec(j.Filter); err == nil {
			used[name] = true
		}
		used[j.Name] = true
		if !j.Enabled {
			continue
		}
		j.Logs = nil
		jails = append(jails, j)
	}
	for _, name := range builtin.Names() {
		if !used[name] {
			jails = append(jails, config.Jail{Name: name, Enabled: true, Filter: name, Rule: c.Defaults})
		}
	}
	return jails
}

// Run plays everything. Files that turn out to be damaged are played as far as they go and told in Totals.Faults; the error is for what
// keeps the whole from being played.
func Run(ctx context.Context, o Options) (*Totals, error) {
	if o.Location == nil {
		o.Location = time.Local
	}
	never := o.Never
	if never == nil {
		never = &warden.NeverList{}
		prefixes, _ := o.Config.NeverList()
		never.Set("configuration", prefixes)
	}
	plan, err := engine.NewPlan(o.Config, engine.PlanOptions{
		Filters: builtin.Lookup, Jails: jailsOf(o.Config), Never: never, Watch: o.Watch, Seed: o.Seed,
		Filter: filter.Options{Location: o.Location, Year: o.Year, Replay: true},
	})
	if err != nil {
		return nil, err
	}
	totals := &Totals{}
	sources, err := openAll(o, totals)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, s := range sources {
			s.source.close()
		}
	}()
	detector, err := detect.New(plan.Detector)
	if err != nil {
		return nil, fmt.Errorf("setting up the detector: %w", err)
	}
	plan.Warden.OnEvent = o.OnEvent
	bans, err := warden.New(ctx, plan.Warden, &ledger.Memory{}, noPF{}, never, time.Time{})
	if err != nil {
		return nil, fmt.Errorf("setting up the warden: %w", err)
	}
	classifier := probe.New(plan.Probe)
	p := &player{ctx: ctx, totals: totals, warden: bans, stopped: o.OnStopped}
	var front engine.Detector = detector
	var journal *detect.Journal
	if o.Journal != nil {
		if journal, err = detect.NewJournal(o.Journal, detector); err != nil {
			return nil, err
		}
		front = journal
	}
	p.engine = engine.New(engine.Options{
		Detector: front, Classifier: classifier, Warden: bans, Jails: plan.Jails, PacketJail: packetJail, Stopped: bans.Banned,
		Watchers: append([]engine.Watcher{p}, o.Watchers...),
	})
	if err := p.play(sources, o.OnProgress); err != nil {
		return nil, err
	}
	if journal != nil {
		if err := journal.Flush(); err != nil {
			return nil, fmt.Errorf("writing the journal: %w", err)
		}
	}
	counts := p.engine.Counts()
	totals.Detector, totals.Skipped = detector.Stats(), classifier.Skipped()
	totals.Live, totals.Guesses = bans.Live(), detector.Guesses(0)
	totals.NoTime, totals.Unresolved = counts.NoTime, counts.Unresolved
	return totals, nil
}

// packetJail is what the packet jail is called.
const packetJail = "portscan"

func openAll(o Options, totals *Totals) ([]*queued, error) {
	reject := func(r pflog.Rejected) {
		totals.Rejected++
		if o.OnReject != nil {
			o.OnReject(r)
		}
	}
	var (
		sources []*queued
		faults  []error
	)
	for i, in := range o.Inputs {
		var (
			s   source
			err error
		)
		if in.Open == nil {
			s, err = open(in.Name, o.Stdin, o, reject)
		} else {
			var r io.ReadCloser
			if r, err = in.Open(); err == nil {
				s, err = newSource(in.Name, r, r, in.Modified, o, reject)
			}
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		sources = append(sources, &queued{source: s, name: in.Name, order: i})
	}
	if len(faults) > 0 {
		for _, s := range sources {
			s.source.close()
		}
		return nil, errors.Join(faults...)
	}
	return sources, nil
}

// noPF stands where PF is: what it would stop is counted by the warden, which knows the bans.
type noPF struct{}

func (noPF) Add(context.Context, ...warden.Entry) error    { return nil }
func (noPF) Delete(context.Context, ...warden.Entry) error { return nil }

// queued is a source in the merge.
type queued struct {
	source source
	name   string
	order  int // among equal names
}

type queue []*queued

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if c := q[i].source.at().Compare(q[j].source.at()); c != 0 {
		return c < 0
	}
	// Of equal times packets come first, and then the files' names decide, so that the order in which files are named does not matter.
	if a, b := q[i].source.isText(), q[j].source.isText(); a != b {
		return b
	}
	return cmp.Or(cmp.Compare(q[i].name, q[j].name), q[i].order-q[j].order) < 0
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*queued)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// player clocks the engine by the records.
type player struct {
	ctx     context.Context
	engine  *engine.Engine
	warden  *warden.Warden
	totals  *Totals
	stopped func(*capture.Packet)
	clock   time.Time // newest time of a record
	ticked  time.Time
	staged  bool // verdicts wait for a Commit
	err     error
}

const (
	tick          = time.Second
	progressEvery = 4096 // records
)

func (p *player) play(sources []*queued, progress func(int64)) error {
	var q queue
	next := func(s *queued) bool {
		err := s.source.advance(p)
		if err != nil && !errors.Is(err, io.EOF) {
			p.totals.Faults = append(p.totals.Faults, err)
		}
		return err == nil
	}
	for _, s := range sources {
		if next(s) {
			q = append(q, s)
		}
	}
	heap.Init(&q)
	for n := 0; len(q) > 0; n++ {
		if n%progressEvery == 0 {
			if err := p.ctx.Err(); err != nil {
				return err
			}
			if progress != nil {
				progress(doneOf(sources))
			}
		}
		first := q[0]
		first.source.deliver(p)
		if p.err != nil {
			return p.err
		}
		if next(first) {
			heap.Fix(&q, 0)
		} else {
			heap.Pop(&q)
		}
	}
	if progress != nil {
		progress(doneOf(sources))
	}
	p.engine.Flush(p.clock)
	if !p.clock.IsZero() {
		p.engine.Tick(p.clock)
	}
	return p.engine.Commit(p.ctx)
}

func doneOf(sources []*queued) (n int64) {
	for _, s := range sources {
		n += s.source.done()
	}
	return n
}

// place puts the clock back where the file of the next record, which is of time t, went back: by a clock that was set, or where files were put
// together. Bans and their ends go by what the records say.
func (p *player) place(t time.Time, ahead, back bool) {
	if ahead {
		p.totals.Misdated++
	}
	if back {
		p.totals.Back++
		p.clock, p.ticked = t, t
	}
}

// advance moves the clock to the time of the next record; a record may be older than one before it.
func (p *player) advance(t time.Time) {
	if t.IsZero() {
		return
	}
	if p.totals.First.IsZero() || t.Before(p.totals.First) {
		p.totals.First = t
	}
	if t.After(p.totals.Last) {
		p.totals.Last = t
	}
	if t.After(p.clock) {
		p.clock = t
	}
	if p.clock.Sub(p.ticked) >= tick {
		p.ticked = p.clock
		p.engine.Tick(p.clock)
		p.staged = true
	}
}

func (p *player) commit() {
	if p.staged {
		p.staged = false
		p.err = p.engine.Commit(p.ctx)
	}
}

func (p *player) packet(pk *capture.Packet) {
	p.advance(pk.Time)
	p.totals.Packets++
	if pk.Direction != capture.Out && p.warden.Hit(pk.Time, pk.Flow.Source, pk.Length) {
		p.totals.Stopped++
		if p.stopped != nil {
			p.stopped(pk)
		}
		p.engine.Blocked(p.clock, pk)
		p.commit()
		return
	}
	p.engine.Packet(p.clock, time.Time{}, pk)
	p.commit()
}

func (p *player) line(l *capture.Line, at time.Time) {
	p.advance(at)
	p.totals.Lines++
	now := p.clock
	if now.IsZero() {
		now = at
	}
	p.engine.Line(now, l)
	p.commit()
}

// Packet, Line and Verdict make the player one of the engine's watchers: after a verdict there is something to commit.
func (p *player) Packet(*capture.Packet, []detect.Observation)        {}
func (p *player) Line(*capture.Line, time.Time, []detect.Observation) {}
func (p *player) Verdict(*detect.Verdict, bool)                       { p.staged = true }
