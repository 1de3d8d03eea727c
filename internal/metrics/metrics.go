// Package metrics shows what pfwarden does as Prometheus metrics, and serves them over HTTP beside a health page.
//
// The engine counts what it knows first (records, verdicts, bans …) in the fields of Metrics. What another package counts itself
// (capture, logs, detector, PF …) is read at each scrape through Sources, so that those packages need not know Prometheus.
//
// Every label has a bounded set of values: beyond its limit a new value is shown as "other", and that is counted. Nothing is ever
// registered with client_golang's global registry.
package metrics

import (
	"runtime"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Options says what to show.
type Options struct {
	Version   string // of pfwarden, for pfwarden_build_info
	Capture   string // how packets are captured: "libpcap", "bpf" or "none"
	Addresses int    // per-address series at most, the addresses with most packets first; 0 = none
	Runtime   bool   // also show the Go runtime's and the process's own metrics
}

// Metrics holds the counters that the engine keeps, and collects the rest. All of it may be used by several goroutines at once.
type Metrics struct {
	Records        *Counters // source ("pflog", "log")
	Rejected       *Counters // source, cause
	LastRecord     *Gauges   // source; Unix seconds
	Observations   *Counters // jail, kind
	Verdicts       *Counters // jail, proof ("proven", "spoofable"), outcome ("banned", "stopped", "observed", "paused" …)
	Gates          *Counters // gate, stopped ("true", "false")
	Bans           *Counters // jail, table
	Prolonged      *Counters // jail
	Extended       *Counters // jail
	Refused        *Counters // why
	Unbans         *Counters // table, why
	BanLatency     prometheus.Histogram
	PfctlDuration  *Histograms // operation; seconds. TimedRunner fills it
	LedgerErrors   *Counters   // operation
	ClockSteps     *Counters   // direction ("forward", "back")
	ConfigAccepted prometheus.Gauge
	ConfigTime     prometheus.Gauge

	registry *prometheus.Registry
	bounds   *bounds
	sources  atomic.Pointer[Sources]
}

// New makes the metrics. Until Attach is called, what is asked for at scrape time is left out.
func New(o Options) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	b := newBuilder(m.registry)
	m.bounds = b.bounds

	m.Records = b.counters("pfwarden_records_total")
	m.Rejected = b.counters("pfwarden_records_rejected_total")
	m.LastRecord = b.gauges("pfwarden_last_record_timestamp_seconds")
	m.Observations = b.counters("pfwarden_observations_total")
	m.Verdicts = b.counters("pfwarden_verdicts_total")
	m.Gates = b.counters("pfwarden_gates_total")
	m.Bans = b.counters("pfwarden_bans_total")
	m.Prolonged = b.counters("pfwarden_bans_prolonged_total")
	m.Extended = b.counters("pfwarden_bans_extended_total")
	m.Refused = b.counters("pfwarden_bans_refused_total")
	m.Unbans = b.counters("pfwarden_unbans_total")
	m.BanLatency = b.histograms("pfwarden_ban_latency_seconds").With()
	m.PfctlDuration = b.histograms("pfwarden_pfctl_duration_seconds")
	m.ClockSteps = b.counters("pfwarden_clock_steps_total")
	m.LedgerErrors = b.counters("pfwarden_ledger_errors_total")
	m.ConfigAccepted = b.gauges("pfwarden_config_last_reload_successful").With()
	m.ConfigTime = b.gauges("pfwarden_config_last_reload_success_timestamp_seconds").With()
	b.gauges("pfwarden_build_info").With(o.Version, runtime.Version(), runtime.GOOS, o.Capture).Set(1)

	m.registry.MustRegister(newSourcesCollector(m, b.byName), newOutsideCollector(m, b.byName), newPFCollector(m, b.byName, o.Addresses))
	if o.Runtime {
		m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	return m
}

// Attach names the functions that are asked at each scrape. They are called by several goroutines at once and must not block.
func (m *Metrics) Attach(s Sources) { m.sources.Store(&s) }

func (m *Metrics) attached() Sources {
	if s := m.sources.Load(); s != nil {
		return *s
	}
	return Sources{}
}
