// Package engine joins the parts: it takes records (packets and lines), passes them through classifier or filters, the
// one detector and the warden, and passes what the warden decided back to the detector. It is the same for the daemon, the demo
// and replay; only its caller and the clock differ. It starts no goroutine and reads no clock.
package engine

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"pfwarden/capture"
	"pfwarden/detect"
	"pfwarden/detect/filter"
	"pfwarden/detect/probe"
	"pfwarden/internal/warden"
)

// Jail is a log jail as the engine sees it. Thresholds are the detector's, ban times the warden's.
type Jail struct {
	Name   string
	Filter *filter.Filter
	Logs   []string // paths and globs; a nil list takes every log
	// Exact keeps fail2ban's identifier as the source's key; our own jails go by address.
	Exact bool
}

// Candidates screens what needs the outside world. Names come back through Engine.Resolved.
type Candidates interface {
	// Resolve asks for the addresses of a host name found in a line; it must not block.
	Resolve(jail string, host string, o detect.Observation)
	// Ignored tells whether a jail's ignore lists hold the source; it must not block.
	Ignored(jail string, o *detect.Observation) bool
}

// Detector is the one detector: a detect.Detector, or the detect.Journal in front of it.
type Detector interface {
	Observe(obs []detect.Observation, emit func(detect.Verdict))
	Notice(n detect.Notice)
	Tick(now time.Time)
	Lookahead() int
	Ahead(source netip.Addr)
}

// Watcher is told what passes through, for metrics and reports. Calls come from the engine's goroutine; nothing of the arguments may be kept
// without copying it.
type Watcher interface {
	Packet(p *capture.Packet, obs []detect.Observation)
	Line(l *capture.Line, at time.Time, obs []detect.Observation)
	Verdict(v *detect.Verdict, made bool)
}

// Options are the parts that an engine joins.
type Options struct {
	Detector   Detector
	Classifier *probe.Classifier // nil: packets are only counted
	Warden     *warden.Warden
	PacketJail string // the jail of Blocked packets
	Jails      []Jail
	Candidates Candidates // nil: host names in lines are passed over
	Watchers   []Watcher
	// Stopped tells of a source that PF would have kept from writing any line; its lines count for nothing. For replay; nil = none.
	Stopped func(source netip.Addr) bool
}

// Engine joins the parts. It is used by one goroutine.
type Engine struct {
	o        Options
	sets     map[string]*set // by the path of a log
	compiled map[string]*set // by the jails that read it: what the sets of their logs are forked from
	obs      []detect.Observation
	verdicts []detect.Verdict
	emit     func(detect.Verdict)
	line     lineState
	counts   Counts
	one      [1]detect.Notice
	twice    twice
	held     held
	phase    filter.Phase
}

// Counts say what the engine has seen.
type Counts struct {
	Packets, Lines uint64
	Unresolved     uint64 // candidates that only gave a host name, without anybody to resolve it
	Twice          uint64 // candidates that another log had told of
	Stopped        uint64 // candidates passed over by Options.Stopped
	NoTime         uint64 // candidates without any time, passed over
}

// set is the filters that read one log, with the jails that they belong to.
type set struct {
	filters *filter.Set
	jails   []int
}

// New joins the parts.
func New(o Options) *Engine {
	e := &Engine{o: o, sets: make(map[string]*set), compiled: make(map[string]*set)}
	e.emit = func(v detect.Verdict) { e.verdicts = append(e.verdicts, v) }
	e.line.found = e.candidate
	return e
}

// Counts returns what was counted so far.
func (e *Engine) Counts() Counts { return e.counts }

// Packet takes one record of PF's log, read at the given time (zero in replay). now is the time by which bans are judged.
func (e *Engine) Packet(now, read time.Time, p *capture.Packet) {
	e.counts.Packets++
	e.release(now)
	e.obs = e.obs[:0]
	if c := e.o.Classifier; c != nil {
		if n, ok := c.Contact(p); ok {
			e.one[0] = n
			e.Notices(e.one[:])
		}
		e.obs = append(e.obs, detect.Observation{})
		if !c.Observe(p, read, &e.obs[0]) {
			e.obs = e.obs[:0]
		}
	}
	for _, w := range e.o.Watchers {
		w.Packet(p, e.obs)
	}
	if len(e.obs) > 0 && e.obs[0].Kind == detect.Knock {
		e.o.Warden.Knock(p.Time, p.Flow.Source)
	}
	e.observe(now)
}

// Lookahead is how many packets before its own a packet is best told to Ahead; 0 while nothing is gained by it.
func (e *Engine) Lookahead() int { return e.o.Detector.Lookahead() }

// Ahead tells of a packet that will come Lookahead packets later. It changes nothing but how long that one will take.
func (e *Engine) Ahead(p *capture.Packet) {
	if p.Action == capture.ActionBlock {
		e.o.Detector.Ahead(p.Flow.Source)
	}
}

// Blocked takes one record whose packet our own anchor would have blocked, had the bans been in force that were decided by now: it is a
// banned source still knocking, as the record of the anchor's rule would have said. It is for replay.
func (e *Engine) Blocked(now time.Time, p *capture.Packet) {
	e.counts.Packets++
	e.obs = append(e.obs[:0], detect.Observation{
		Time: p.Time, Read: p.Time, Source: p.Flow.Source, Jail: e.o.PacketJail, Kind: detect.Knock,
		Target: detect.Target{Address: p.Flow.Destination, Port: p.Flow.DestinationPort, Protocol: p.Protocol},
	})
	for _, w := range e.o.Watchers {
		w.Packet(p, e.obs)
	}
	e.observe(now)
}

// Observed takes the observations of one record that were screened elsewhere.
func (e *Engine) Observed(now time.Time, obs ...detect.Observation) {
	e.obs = append(e.obs[:0], obs...)
	e.observe(now)
}

// observe hands e.obs to the detector and its verdicts to the warden.
func (e *Engine) observe(now time.Time) {
	if len(e.obs) == 0 {
		return
	}
	e.o.Detector.Observe(e.obs, e.emit)
	for i := range e.verdicts {
		v := &e.verdicts[i]
		notices := e.o.Warden.Judge(now, *v)
		made := false
		for _, n := range notices {
			made = made || n.Kind == detect.Banned
		}
		for _, w := range e.o.Watchers {
			w.Verdict(v, made)
		}
		e.Notices(notices)
		e.verdicts[i] = detect.Verdict{}
	}
	e.verdicts = e.verdicts[:0]
}

// Notices feeds what became known back into the detector.
func (e *Engine) Notices(notices []detect.Notice) {
	for _, n := range notices {
		e.o.Detector.Notice(n)
	}
}

// Tick ends the bans whose time has come and lets the detector forget.
func (e *Engine) Tick(now time.Time) {
	e.release(now)
	e.o.Detector.Tick(now)
	e.Notices(e.o.Warden.Tick(now))
}

// Commit carries out what was decided; see warden.Commit.
func (e *Engine) Commit(ctx context.Context) error {
	if err := e.o.Warden.Commit(ctx); err != nil {
		return fmt.Errorf("carrying out decisions: %w", err)
	}
	return nil
}

// jailsOf finds the jails that read a log.
func (e *Engine) jailsOf(path string) []int {
	var found []int
	for i, j := range e.o.Jails {
		if j.Logs == nil {
			found = append(found, i)
			continue
		}
		for _, pattern := range j.Logs {
			if ok, err := filepath.Match(pattern, path); pattern == path || err == nil && ok {
				found = append(found, i)
				break
			}
		}
	}
	return found
}

// setOf gives the filters for a log. Logs read by the same jails share what was compiled; each has its own date formats and clock.
func (e *Engine) setOf(path string) *set {
	if s, ok := e.sets[path]; ok {
		return s
	}
	jails := e.jailsOf(path)
	var key strings.Builder
	for _, j := range jails {
		fmt.Fprintf(&key, "%d ", j)
	}
	common, ok := e.compiled[key.String()]
	if !ok {
		filters := make([]*filter.Filter, len(jails))
		for i, j := range jails {
			filters[i] = e.o.Jails[j].Filter
		}
		common = &set{filters: filter.NewSet(filters), jails: jails}
		e.compiled[key.String()] = common
	}
	s := &set{filters: common.filters.Fork(), jails: common.jails}
	s.filters.SetPhase(e.phase)
	e.sets[path] = s
	return s
}

// SetPhase says how the filters are to take the times of lines from now on; see filter.Phase.
func (e *Engine) SetPhase(p filter.Phase) {
	e.phase = p
	for _, s := range e.sets {
		s.filters.SetPhase(p)
	}
}

// Forget drops what is remembered of the logs that are gone: their date formats and clocks. A log that comes back begins anew.
func (e *Engine) Forget(gone func(path string) bool) {
	maps.DeleteFunc(e.sets, func(path string, _ *set) bool { return gone(path) })
}

// single is the prefix that holds just one address.
func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
