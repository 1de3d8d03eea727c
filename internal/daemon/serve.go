package daemon

import (
	"context"
	"fmt"
	"os"
	"sync"

	"pfwarden/internal/control"
	"pfwarden/internal/metrics"
)

// serve opens the control socket and the metrics listener, and answers once ready is closed; the function returned closes both and waits for
// them.
func (d *Daemon) serve(ctx context.Context, ready <-chan struct{}) (stop func(), err error) {
	for item, text := range d.o.Apart.faults() {
		d.fault(item, text)
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	if path := d.config.Control.Socket; path != "" {
		listener, err := d.o.Apart.listenControl(path, d.config.Control.Group)
		if err != nil {
			stop()
			return nil, err
		}
		server := control.NewServer(&service{d}, d.log.With("part", "control"), control.Limits{OnlyRoot: d.o.Apart != nil})
		running.Go(func() {
			defer listener.Close()
			if await(ctx, ready) != nil {
				return
			}
			if err := server.Serve(ctx, listener); err != nil {
				d.log.Error("the control socket is closed", "error", err)
				d.fault("control", err.Error())
			}
		})
	}
	if address := d.config.Metrics.Listen; address != "" {
		listener, err := d.o.Apart.listenMetrics(ctx, address)
		if err != nil {
			stop()
			return nil, fmt.Errorf("metrics: %w", err)
		}
		web, err := d.o.Apart.web(d.config.Metrics.WebConfig)
		if err != nil {
			_ = listener.Close()
			stop()
			return nil, err
		}
		d.web = web
		d.attach()
		handler := d.metrics.Handler(d.o.Version, web, d.log.With("part", "metrics"))
		running.Go(func() {
			defer listener.Close()
			if await(ctx, ready) != nil {
				return
			}
			if err := metrics.Serve(ctx, listener, handler, web, d.log.With("part", "metrics")); err != nil {
				d.log.Error("metrics are not served any more", "error", err)
				d.fault("metrics", err.Error())
			}
		})
	}
	d.metrics.ConfigAccepted.Set(1)
	d.metrics.ConfigTime.Set(float64(d.o.Now().Unix()))
	return stop, nil
}

// await waits until ready is closed, or gives ctx's error.
func await(ctx context.Context, ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// attach says what the metrics ask for at each scrape.
func (d *Daemon) attach() {
	d.metrics.Attach(metrics.Sources{
		Capture:  d.captureMetrics,
		Logs:     d.logMetrics,
		Detector: d.detectorMetrics,
		Bans:     d.banMetrics,
		Pfctl:    d.driver.Stats,
		Forgotten: func() map[string]uint64 {
			s := d.bans.Stats()
			return map[string]uint64{"evidence": s.Shortened, "end": s.Lost, "step": s.Forgot}
		},
		Actions: func() metrics.ActionStats {
			s := d.hooks.Stats()
			return metrics.ActionStats{Done: s.Done, Failed: s.Failed, Waiting: s.Waiting, Dropped: s.Dropped}
		},
		Ledger: d.ledgerSize,
		State: func() metrics.State {
			d.mu.Lock()
			defer d.mu.Unlock()
			s := d.state
			h := d.bans.Health()
			s.Paused, s.Observe = h.Paused.Paused, h.Observe
			return s
		},
		Health: func() []metrics.HealthItem {
			var out []metrics.HealthItem
			for _, h := range d.health() {
				out = append(out, metrics.HealthItem{Name: h.Name, OK: h.OK, Text: h.Text, Remedy: h.Remedy})
			}
			return out
		},
		Screen: func() metrics.ScreenStats {
			d.mu.Lock()
			s := d.screen
			d.mu.Unlock()
			n := s.Stats()
			return metrics.ScreenStats{Names: n.Names, Commands: n.Commands, Ignored: n.Ignored, Waiting: n.Waiting}
		},
		PF: d.pfCounters,
	})
}

func (d *Daemon) captureMetrics() []metrics.CaptureStats {
	d.mu.Lock()
	s := d.sources
	d.mu.Unlock()
	if s.live == nil {
		return nil
	}
	n := s.live.Statistics()
	return []metrics.CaptureStats{{Interface: d.settings().Pflog.Interface, Up: s.up, Received: n.Received, KernelDropped: n.Dropped, Reopened: s.live.Alarms()}}
}

func (d *Daemon) logMetrics() []metrics.LogStats {
	var out []metrics.LogStats
	waiting := d.watcher.waiting.Load()
	for i, s := range d.logStats() {
		m := metrics.LogStats{
			File: s.Path, Readable: s.Present && s.Open, Lines: s.Lines, Cut: s.Cut, LagBytes: s.Behind, Renamed: s.Rotations,
			Truncated: s.Truncations,
		}
		if i == 0 {
			m.LagLines = waiting // of all logs: they wait in one queue
		}
		out = append(out, m)
	}
	return out
}

func (d *Daemon) detectorMetrics() metrics.DetectorStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.stats
	return metrics.DetectorStats{
		Slots: s.Slots, Used: s.SlotsUsed, HalfSuspected: d.suspected, DoorkeeperFill: s.DoorkeeperFill, DoorkeeperHeld: s.Drops["doorkeeper"],
		Evictions: s.Evictions + s.SourcesEvicted, Spilled: s.Spilled, SpillLost: s.SpillLost, Late: s.TooLate,
	}
}

func (d *Daemon) banMetrics() []metrics.ActiveBans {
	type key struct{ jail, table string }
	n := make(map[key]int)
	for _, b := range d.bans.Live() {
		n[key{jailName(b.Jail), b.Table}]++
	}
	var out []metrics.ActiveBans
	for k, v := range n {
		out = append(out, metrics.ActiveBans{Jail: k.jail, Table: k.table, Count: v})
	}
	return out
}

func (d *Daemon) ledgerSize() int64 {
	if d.db == nil {
		return 0
	}
	var n int64
	for _, suffix := range []string{"", "-wal", "-journal"} {
		if info, err := os.Stat(d.settings().Store.File + suffix); err == nil {
			n += info.Size()
		}
	}
	return n
}
