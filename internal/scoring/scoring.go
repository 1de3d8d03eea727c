// Package scoring judges the detector: it simulates labelled traffic, replays it through the same engine that run uses, and counts per class who
// was found and who was harmed; with the rules of other tools beside it.
package scoring

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pfwarden/internal/config"
	"pfwarden/internal/engine"
	"pfwarden/internal/replay"
	"pfwarden/internal/report"
	"pfwarden/internal/simulate"
	"pfwarden/internal/warden"
)

// Options say what to judge, and with what settings.
type Options struct {
	Simulate simulate.Options
	Config   *config.Config // nil = the defaults of OpenBSD
	Folder   string         // for the traffic's files, which are removed again
	Dialect  string         // "" = openbsd
	Peers    bool

	OnProgress func(read int64) // as replay.Options has it
}

// Ban is one ban that was made.
type Ban struct {
	Prefix netip.Prefix
	Table  string
	Proven bool
	Length time.Duration
}

// Result is how it went.
type Result struct {
	Scores  []report.Score
	Peers   map[string][]report.Score
	Bans    []Ban
	Totals  simulate.Totals
	Replay  replay.Totals
	Labels  []report.Label
	Elapsed time.Duration // of the replay
}

// Run simulates and replays.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Config == nil {
		o.Config = config.Default("openbsd")
	}
	names := [...]string{filepath.Join(o.Folder, "out.pflog"), filepath.Join(o.Folder, "authlog"), filepath.Join(o.Folder, "error_log")}
	var r Result
	var err error
	if r.Labels, r.Totals, err = write(ctx, o, names); err != nil {
		return nil, err
	}
	defer func() {
		for _, name := range names {
			_ = os.Remove(name) // in the caller's folder of passing things
		}
	}()
	collector := report.New(report.Options{Labels: r.Labels})
	watchers := []engine.Watcher{collector}
	others := newPeers()
	if o.Peers {
		watchers = append(watchers, others)
	}
	var inputs []replay.Input
	for _, name := range names {
		inputs = append(inputs, replay.Input{Name: name})
	}
	began := time.Now()
	totals, err := replay.Run(ctx, replay.Options{
		Config: o.Config, Inputs: inputs, Location: time.UTC, Watch: []string{simulate.Interface}, Seed: o.Simulate.Seed + 1, Watchers: watchers, OnProgress: o.OnProgress,
		OnEvent: func(e warden.Event) {
			collector.Event(e)
			if e.Kind == warden.EventBan {
				r.Bans = append(r.Bans, Ban{e.Ban.Prefix, e.Ban.Table, e.Ban.Proven, e.Ban.Until.Sub(e.Ban.Since)})
			}
		},
	})
	if err != nil {
		return nil, err
	}
	r.Elapsed = time.Since(began)
	for _, fault := range totals.Faults {
		return nil, fmt.Errorf("replaying the simulation: %w", fault)
	}
	r.Replay = *totals
	end := collector.Report()
	r.Scores = end.Scores
	if o.Peers {
		r.Peers = make(map[string][]report.Score)
		for _, x := range others {
			r.Peers[x.name] = score(r.Labels, x.banned)
		}
	}
	return &r, nil
}

func write(ctx context.Context, o Options, names [3]string) (labels []report.Label, totals simulate.Totals, err error) {
	var out simulate.Output
	if out.Format, err = simulate.ParseDialect(o.Dialect); err != nil {
		return nil, totals, err
	}
	var buffers []*bufio.Writer
	for i, to := range []*io.Writer{&out.Pflog, &out.AuthLog, &out.ErrorLog} {
		f, err := os.Create(names[i])
		if err != nil {
			return nil, totals, err
		}
		defer f.Close()
		b := bufio.NewWriterSize(f, 1<<18)
		buffers, *to = append(buffers, b), b
	}
	if labels, totals, err = simulate.Run(ctx, o.Simulate, out); err != nil {
		return nil, totals, err
	}
	for _, b := range buffers {
		if err := b.Flush(); err != nil {
			return nil, totals, err
		}
	}
	return labels, totals, nil
}

// score counts by class who was banned, wanted classes first.
func score(labels []report.Label, banned map[netip.Addr]bool) []report.Score {
	byClass := make(map[string]*report.Score)
	var order []string
	for _, l := range labels {
		s := byClass[l.Class]
		if s == nil {
			s = &report.Score{Event: "score", Class: l.Class, Want: l.Want}
			byClass[l.Class] = s
			order = append(order, l.Class)
		}
		s.Sources++
		if banned[source(l.Address)] {
			s.Banned++
		}
	}
	slices.SortStableFunc(order, func(a, b string) int {
		switch {
		case byClass[a].Want == byClass[b].Want:
			return 0
		case byClass[a].Want:
			return -1
		}
		return 1
	})
	var all []report.Score
	for _, name := range order {
		s := byClass[name]
		s.Recall = float64(s.Banned) / float64(s.Sources)
		all = append(all, *s)
	}
	return all
}

// source is the key of a sender whose IPv6 addresses change within a /64.
func source(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	p, _ := a.Prefix(64) // of any IPv6 address
	return p.Addr()
}

// Recall is the share of all wanted sources that were banned.
func Recall(scores []report.Score) float64 {
	wanted, banned := 0, 0
	for _, s := range scores {
		if s.Want {
			wanted, banned = wanted+s.Sources, banned+s.Banned
		}
	}
	return float64(banned) / float64(wanted)
}

// Precision is the share of banned labelled sources that were wanted.
func Precision(scores []report.Score) float64 {
	wanted, banned := 0, 0
	for _, s := range scores {
		banned += s.Banned
		if s.Want {
			wanted += s.Banned
		}
	}
	return float64(wanted) / float64(max(banned, 1))
}

// Harm sums the sources that were banned though they must not be, of all classes or of some.
func Harm(scores []report.Score, except ...string) int {
	n := 0
	for _, s := range scores {
		if !s.Want && !slices.Contains(except, s.Class) {
			n += s.Banned
		}
	}
	return n
}
