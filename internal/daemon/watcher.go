package daemon

import (
	"sync"
	"sync/atomic"
	"time"

	"pfwarden/capture"
	"pfwarden/detect"
	"pfwarden/detect/probe"
	"pfwarden/internal/metrics"

	"github.com/prometheus/client_golang/prometheus"
)

// watcher counts what passes through the engine. Its methods are called by the engine's goroutine, those about the queue by all.
type watcher struct {
	m          *metrics.Metrics
	now        func() time.Time
	classifier *probe.Classifier
	observe    bool // bans are only observed

	packets, lines        prometheus.Counter
	lastPacket, lastLine  prometheus.Gauge
	observed              map[seen]prometheus.Counter
	waiting               atomic.Int64 // lines between the readers and the engine
	packetTime, lineTime  atomic.Int64 // Unix nanoseconds of the newest record
	packetCount, lineNumb atomic.Uint64

	mu   sync.Mutex
	logs map[string]time.Time // of the newest line, by path
}

// seen is what a counter of observations is for.
type seen struct {
	jail string
	kind detect.Kind
}

func newWatcher(m *metrics.Metrics) *watcher {
	return &watcher{
		m: m, packets: m.Records.With("pflog"), lines: m.Records.With("log"),
		lastPacket: m.LastRecord.With("pflog"), lastLine: m.LastRecord.With("log"),
		observed: make(map[seen]prometheus.Counter),
	}
}

func (w *watcher) queued(lines int) { w.waiting.Add(int64(lines)) }
func (w *watcher) dealt(lines int)  { w.waiting.Add(-int64(lines)) }

// Packet counts a packet.
func (w *watcher) Packet(p *capture.Packet, obs []detect.Observation) {
	w.packets.Inc()
	w.packetCount.Add(1)
	w.lastPacket.Set(float64(p.Time.UnixMilli()) / 1e3)
	w.packetTime.Store(p.Time.UnixNano())
	w.observations(obs)
}

// Line counts a line.
func (w *watcher) Line(l *capture.Line, at time.Time, obs []detect.Observation) {
	w.logTime(l, at)
	w.lines.Inc()
	w.lineNumb.Add(1)
	if !at.IsZero() {
		w.lastLine.Set(float64(at.UnixMilli()) / 1e3)
		w.lineTime.Store(at.UnixNano())
	}
	w.observations(obs)
}

// logTime notes when the newest line of a log was written, or, where it says nothing, read.
func (w *watcher) logTime(l *capture.Line, at time.Time) {
	if at.IsZero() {
		at = l.Read
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.logs == nil {
		w.logs = make(map[string]time.Time)
	}
	w.logs[l.Origin] = at
}

// lastOf gives the time of a log's newest line; nil if there was none.
func (w *watcher) lastOf(path string) *time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return timeOrNull(w.logs[path])
}

func (w *watcher) observations(obs []detect.Observation) {
	for i := range obs {
		key := seen{obs[i].Jail, obs[i].Kind}
		c, ok := w.observed[key]
		if !ok {
			c = w.m.Observations.With(key.jail, key.kind.String())
			w.observed[key] = c
		}
		c.Inc()
	}
}

// Verdict counts a verdict and the gates that were asked.
func (w *watcher) Verdict(v *detect.Verdict, made bool) {
	proof := "spoofable"
	if v.Proven {
		proof = "proven"
	}
	outcome := "refused"
	switch {
	case v.Stopped:
		outcome = "stopped"
	case made && w.observe:
		outcome = "observed"
	case made:
		outcome = "banned"
	}
	w.m.Verdicts.With(v.Jail, proof, outcome).Inc()
	for _, g := range v.Gates {
		stopped := "false"
		if g.Stopped {
			stopped = "true"
		}
		w.m.Gates.With(g.Gate, stopped).Inc()
	}
}
