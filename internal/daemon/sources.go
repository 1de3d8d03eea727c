package daemon

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/logtail"
	"pfwarden/capture/pflog"
	"pfwarden/capture/pflog/follow"
	"pfwarden/internal/engine"
)

// sources are the running readers.
type sources struct {
	stop     context.CancelFunc
	running  *sync.WaitGroup
	tail     *logtail.Tailer
	live     *pflog.Live
	follower *follow.Follower
	since    time.Time // from when on the interface gives the packets
	up       bool      // the interface is open
}

// overlap is how long after the interface was opened pflogd(8) may still write older packets to its file: it flushes once a minute.
const overlap = 2 * time.Minute

// startSources opens everything that the configuration names and lets it run until stopSources.
func (d *Daemon) startSources(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	s := sources{stop: stop, running: &sync.WaitGroup{}}
	c := d.config
	if paths := logPaths(d.plan.Jails); len(paths) > 0 {
		s.tail = d.newTailer(paths)
	}
	if c.Portscan.Enabled {
		d.openPflog(ctx, &s)
	}
	d.mu.Lock()
	d.sources = s
	d.mu.Unlock()
	if s.tail != nil {
		s.running.Go(func() { d.ended("logs", s.tail.Run(ctx, d.lineSink(ctx))) })
	}
	if s.live != nil {
		s.running.Go(func() { d.ended("pflog", s.live.Run(ctx, d.packetSink(ctx, nil, time.Time{}))) })
	}
	if s.follower != nil {
		s.running.Go(func() { d.followFile(ctx, s) })
	}
}

// startLimit bounds the wait for the first look at all files; ten thousand logs take a fraction of it.
const startLimit = 10 * time.Second

// awaitStart waits until every file that there is has been found, so that what is written to it from now on is read.
func (d *Daemon) awaitStart(ctx context.Context) {
	d.mu.Lock()
	s := d.sources
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	looked := func() bool {
		return (s.tail == nil || s.tail.Looked()) && (s.follower == nil || s.follower.Looked())
	}
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !looked() {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (d *Daemon) newTailer(paths []string) *logtail.Tailer {
	var positions []capture.Position
	for _, p := range d.positions {
		positions = append(positions, p)
	}
	tail, err := logtail.New(logtail.Options{
		Paths: paths, Positions: positions, Whole: d.fail2ban.FromStart, Open: d.o.Open, Files: d.o.Apart.files(),
		Log: d.log.With("part", "logs"), Now: d.o.Now,
	})
	if err != nil {
		d.log.Error("the logs cannot be followed", "error", err)
		d.fault("logs", err.Error())
		return nil
	}
	return tail
}

// openPflog opens the interface, and the file: to fill the gap before the interface was opened, or, without interface, for good.
func (d *Daemon) openPflog(ctx context.Context, s *sources) {
	c := d.config.Pflog
	if c.Interface != "" {
		live, err := pflog.NewLive(ctx, pflog.LiveOptions{
			Interface: c.Interface, Snaplen: c.Snaplen, Open: d.o.Apart.opener(),
			OnReject: func(cause pflog.Cause) { d.metrics.Rejected.With("pflog", cause.String()).Inc() },
			OnAlarm:  d.captureAlarm,
		})
		if err == nil {
			s.live, s.since, s.up = live, d.o.Now(), true
		} else {
			d.log.Warn("the pflog interface cannot be opened; its file is followed instead", "error", err)
			if c.File == "" {
				d.fault("pflog", err.Error())
			}
		}
	}
	if c.File == "" || s.live != nil && d.pflogAt == (capture.Position{}) {
		return
	}
	var err error
	s.follower, err = follow.New(follow.Options{
		Path: c.File, Position: d.pflogAt, FromEnd: true, Open: d.o.Open, Files: d.o.Apart.files(), Log: d.log.With("part", "pflog"), Now: d.o.Now,
		Decode: pflog.Options{OnReject: func(r pflog.Rejected) { d.metrics.Rejected.With("pflog", r.Cause.String()).Inc() }},
	})
	if err != nil {
		d.log.Error("the pflog file cannot be followed", "error", err)
		d.fault("pflog", err.Error())
	}
}

// followFile follows the pflog file: for good, or beside a live interface only for what was written before that was opened, so that no packet
// is counted twice.
func (d *Daemon) followFile(ctx context.Context, s sources) {
	if s.live != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, overlap)
		defer cancel()
	}
	d.ended("pflog file", s.follower.Run(ctx, d.packetSink(ctx, s.follower, s.since)))
}

func (d *Daemon) ended(what string, err error) {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	d.log.Error("reading ended", "source", what, "error", err)
	d.fault(what, err.Error())
}

func (d *Daemon) captureAlarm(err error) {
	d.mu.Lock()
	d.sources.up = err == nil
	d.mu.Unlock()
	if err == nil {
		d.log.Info("the pflog interface is open again", "interface", d.settings().Pflog.Interface)
		d.fault("capture", "")
		return
	}
	d.log.Error("the pflog interface is gone; it is tried again", "interface", d.settings().Pflog.Interface, "error", err)
	d.fault("capture", err.Error())
}

// packetSink queues packets; of a file beside a live interface only those of the time between the last snapshot and before.
func (d *Daemon) packetSink(ctx context.Context, file *follow.Follower, before time.Time) func(*capture.Packet) error {
	return func(p *capture.Packet) error {
		item := packet{Packet: *p, read: d.o.Now()}
		if file != nil {
			item.next = file.Next()
			if !before.IsZero() && !d.inGap(p.Time, before) {
				return nil
			}
		}
		select {
		case d.packets <- item:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// inGap tells whether a packet of that time is one that the interface, which was opened at before, has not given.
func (d *Daemon) inGap(at, before time.Time) bool { return at.Before(before) && at.After(d.gapFrom) }

func (d *Daemon) lineSink(ctx context.Context) func([]capture.Line) error {
	return func(lines []capture.Line) error {
		d.watcher.queued(len(lines))
		select {
		case d.lines <- lines:
			return nil
		case <-ctx.Done():
			d.watcher.dealt(len(lines))
			return ctx.Err()
		}
	}
}

// stopSources ends all readers and waits for them, taking what they still hand over.
func (d *Daemon) stopSources() {
	d.mu.Lock()
	s := d.sources
	d.mu.Unlock()
	if s.stop == nil {
		return
	}
	s.stop()
	s.running.Wait()
}

func (d *Daemon) startsOfLogs() []capture.Position {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sources.tail == nil {
		return nil
	}
	return d.sources.tail.Starts()
}

func (d *Daemon) logStats() []logtail.Stats {
	d.mu.Lock()
	tail := d.sources.tail
	d.mu.Unlock()
	if tail == nil {
		return nil
	}
	return tail.Stats()
}

// forgetLogs drops what is remembered of logs that a glob found once and that are gone. Before the first look at all of them nobody knows which
// these are.
func (d *Daemon) forgetLogs() {
	d.mu.Lock()
	tail := d.sources.tail
	d.mu.Unlock()
	if tail == nil || !tail.Looked() {
		return
	}
	known := map[string]bool{logtail.Stdin: true}
	for _, s := range tail.Stats() {
		known[s.Path] = true
	}
	for _, p := range tail.Positions() {
		known[p.Path] = true
	}
	gone := func(path string) bool { return !known[path] }
	maps.DeleteFunc(d.positions, func(path string, _ capture.Position) bool { return gone(path) })
	d.engine.Forget(gone)
}

// pflogPosition is where reading the pflog file goes on after a restart: after the last record dealt with; beside a live interface at the end
// that the file has now, since what the file still lacks is told from what was dealt with by its time.
func (d *Daemon) pflogPosition(ctx context.Context) capture.Position {
	d.mu.Lock()
	s := d.sources
	d.mu.Unlock()
	path := d.config.Pflog.File
	switch {
	case s.live == nil && s.follower != nil && d.pflogAt == (capture.Position{}):
		return s.follower.Position()
	case s.live == nil || path == "":
		return d.pflogAt
	}
	pass, err := follow.New(follow.Options{Path: path, Position: d.pflogAt, FromEnd: true, Once: true, Open: d.o.Open, Files: d.o.Apart.files(), Now: d.o.Now})
	if err == nil {
		err = pass.Run(limited(ctx, 5*time.Second), func(*capture.Packet) error { return nil })
	}
	if err != nil {
		d.log.Debug("finding the end of the pflog file", "error", err)
		return d.pflogAt
	}
	d.pflogAt = pass.Position()
	return d.pflogAt
}

// logPaths lists the paths and globs of all jails, each once.
func logPaths(jails []engine.Jail) []string {
	var paths []string
	seen := make(map[string]bool)
	for _, j := range jails {
		for _, p := range j.Logs {
			if !seen[p] {
				seen[p] = true
				paths = append(paths, p)
			}
		}
	}
	return paths
}
