package metrics

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pfwarden/pfctl"
)

// Sources are the functions asked at each scrape. A nil one leaves its metrics out.
type Sources struct {
	Capture  func() []CaptureStats
	Logs     func() []LogStats
	Detector func() DetectorStats
	Bans     func() []ActiveBans
	// Forgotten counts what of bans was dropped for want of room: "evidence", "end", "step".
	Forgotten func() map[string]uint64
	Pfctl     func() pfctl.Stats
	Actions   func() ActionStats
	Ledger    func() int64 // size of its files, bytes
	State     func() State
	Health    func() []HealthItem
	Screen    func() ScreenStats
	PF        func() (PFCounters, error) // cached by the driver: one run of pfctl a scrape at most
}

// ActionStats count what became of the commands of fail2ban's actions.
type ActionStats struct {
	Done, Failed map[string]uint64 // by operation: ban, unban, start …
	Waiting      int
	Dropped      uint64
}

// CaptureStats counts what one live interface gave. Counts only grow, also over a reopening of the interface.
type CaptureStats struct {
	Interface        string
	Up               bool
	Received         uint64 // accepted by the kernel's filter (pcap_stats ps_recv)
	KernelDropped    uint64 // no room in the capture buffer (ps_drop)
	InterfaceDropped uint64 // by the interface itself (ps_ifdrop)
	QueueDropped     uint64 // read, but the engine's queue was full
	Reopened         uint64
}

// LogStats counts what one log file gave. Counts only grow, also over a rotation.
type LogStats struct {
	File                                  string // path as configured, or found by its glob
	Readable                              bool
	Lines, Cut                            uint64
	LagBytes                              int64 // written, not read yet
	LagLines                              int64 // read, not judged yet
	Renamed, Truncated, Deleted, Replaced uint64
}

// DetectorStats is the detector's own bookkeeping.
type DetectorStats struct {
	Slots, Used    int
	HalfSuspected  int     // sources with a suspicion of at least 0.5
	DoorkeeperFill float64 // 0 to 1
	DoorkeeperHeld uint64
	Evictions      uint64
	Spilled        int
	SpillLost      uint64
	Late           uint64
}

// ActiveBans is the number of bans in force of one jail in one table.
type ActiveBans struct {
	Jail, Table string
	Count       int
}

// State is what the process as a whole is doing.
type State struct {
	Paused, Observe bool
	LastSnapshot    time.Time // zero = never
}

// HealthItem is one thing that should be so, and whether it is.
type HealthItem struct {
	Name   string `json:"item"` // short and from a fixed set, since it is a label: "pf_enabled", "anchor_called" …
	OK     bool   `json:"ok"`
	Text   string `json:"text,omitempty"`   // what was found
	Remedy string `json:"remedy,omitempty"` // what the administrator should do, such as the line to add to pf.conf
}

// families holds the descriptions of metrics that are made at scrape time.
type families struct {
	bounds *bounds
	byName map[string]family
}

type family struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	labels []string
}

func newFamilies(b *bounds, defs map[string]Definition, names ...string) families {
	f := families{b, map[string]family{}}
	for _, name := range names {
		d := defs[name]
		kind := prometheus.GaugeValue
		if d.Type == Counter {
			kind = prometheus.CounterValue
		}
		f.byName[name] = family{prometheus.NewDesc(d.Name, d.Help, d.Labels, nil), kind, d.Labels}
	}
	return f
}

func (f families) describe(ch chan<- *prometheus.Desc) {
	for _, fam := range f.byName {
		ch <- fam.desc
	}
}

// send gives one sample whose label values are bounded already.
func (f families) send(ch chan<- prometheus.Metric, name string, value float64, labels ...string) {
	fam := f.byName[name]
	ch <- prometheus.MustNewConstMetric(fam.desc, fam.kind, value, labels...)
}

// sourcesCollector shows everything of Sources but PF's counters.
type sourcesCollector struct {
	m *Metrics
	families
}

func newSourcesCollector(m *Metrics, defs map[string]Definition) *sourcesCollector {
	return &sourcesCollector{m, newFamilies(m.bounds, defs,
		"pfwarden_capture_up", "pfwarden_capture_received_total", "pfwarden_capture_dropped_total", "pfwarden_capture_reopened_total",
		"pfwarden_log_readable", "pfwarden_log_lines_total", "pfwarden_log_lines_cut_total", "pfwarden_log_lag_bytes",
		"pfwarden_log_lag_lines", "pfwarden_log_changes_total",
		"pfwarden_detector_slots", "pfwarden_detector_slots_used", "pfwarden_detector_sources_half_suspected",
		"pfwarden_detector_evictions_total", "pfwarden_detector_spilled", "pfwarden_detector_spill_lost_total", "pfwarden_detector_doorkeeper_fill_ratio", "pfwarden_detector_doorkeeper_held_total",
		"pfwarden_detector_late_total",
		"pfwarden_pfctl_runs_total", "pfwarden_pfctl_errors_total", "pfwarden_pfctl_queue_length", "pfwarden_pfctl_state_queue_length",
		"pfwarden_pfctl_state_queue_dropped_total", "pfwarden_pfctl_lines_skipped_total", "pfwarden_pf_resyncs_total",
		"pfwarden_pf_addresses_refused_total", "pfwarden_pf_foreign_addresses",
		"pfwarden_action_runs_total", "pfwarden_action_failures_total", "pfwarden_action_queue_length", "pfwarden_action_dropped_total",
		"pfwarden_active_bans", "pfwarden_bans_forgotten_total", "pfwarden_ledger_size_bytes",
		"pfwarden_last_snapshot_timestamp_seconds", "pfwarden_paused", "pfwarden_observe", "pfwarden_health")}
}

// Describe implements prometheus.Collector.
func (c *sourcesCollector) Describe(ch chan<- *prometheus.Desc) { c.describe(ch) }

// Collect implements prometheus.Collector.
func (c *sourcesCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.m.attached()
	if s.Capture != nil {
		c.capture(ch, s.Capture())
	}
	if s.Logs != nil {
		c.logs(ch, s.Logs())
	}
	if s.Detector != nil {
		c.detector(ch, s.Detector())
	}
	if s.Bans != nil {
		c.bans(ch, s.Bans())
	}
	if s.Forgotten != nil {
		byLabel(c, ch, "pfwarden_bans_forgotten_total", "what", s.Forgotten())
	}
	if s.Pfctl != nil {
		c.pfctl(ch, s.Pfctl())
	}
	if s.Actions != nil {
		a := s.Actions()
		byLabel(c, ch, "pfwarden_action_runs_total", "operation", a.Done)
		byLabel(c, ch, "pfwarden_action_failures_total", "operation", a.Failed)
		c.send(ch, "pfwarden_action_queue_length", float64(a.Waiting))
		c.send(ch, "pfwarden_action_dropped_total", float64(a.Dropped))
	}
	if s.Ledger != nil {
		c.send(ch, "pfwarden_ledger_size_bytes", float64(s.Ledger()))
	}
	if s.State != nil {
		st := s.State()
		c.send(ch, "pfwarden_last_snapshot_timestamp_seconds", unixSeconds(st.LastSnapshot))
		c.send(ch, "pfwarden_paused", bit(st.Paused))
		c.send(ch, "pfwarden_observe", bit(st.Observe))
	}
	if s.Health != nil {
		c.health(ch, s.Health())
	}
}

func (c *sourcesCollector) capture(ch chan<- prometheus.Metric, stats []CaptureStats) {
	merged := merge(stats, func(s CaptureStats) string { return c.bounds.value("interface", s.Interface) }, func(a *CaptureStats, b CaptureStats) {
		a.Up = a.Up && b.Up
		a.Received += b.Received
		a.KernelDropped += b.KernelDropped
		a.InterfaceDropped += b.InterfaceDropped
		a.QueueDropped += b.QueueDropped
		a.Reopened += b.Reopened
	})
	for name, s := range merged {
		c.send(ch, "pfwarden_capture_up", bit(s.Up), name)
		c.send(ch, "pfwarden_capture_received_total", float64(s.Received), name)
		c.send(ch, "pfwarden_capture_dropped_total", float64(s.KernelDropped), name, "kernel")
		c.send(ch, "pfwarden_capture_dropped_total", float64(s.InterfaceDropped), name, "interface")
		c.send(ch, "pfwarden_capture_dropped_total", float64(s.QueueDropped), name, "queue")
		c.send(ch, "pfwarden_capture_reopened_total", float64(s.Reopened), name)
	}
}

func (c *sourcesCollector) logs(ch chan<- prometheus.Metric, stats []LogStats) {
	// Sorted, so that it does not depend on chance which files have names and which are "other".
	stats = slices.SortedFunc(slices.Values(stats), func(a, b LogStats) int { return cmp.Compare(a.File, b.File) })
	merged := merge(stats, func(s LogStats) string { return c.bounds.value("file", s.File) }, func(a *LogStats, b LogStats) {
		a.Readable = a.Readable && b.Readable
		a.Lines += b.Lines
		a.Cut += b.Cut
		a.LagBytes += b.LagBytes
		a.LagLines += b.LagLines
		a.Renamed += b.Renamed
		a.Truncated += b.Truncated
		a.Deleted += b.Deleted
		a.Replaced += b.Replaced
	})
	for name, s := range merged {
		c.send(ch, "pfwarden_log_readable", bit(s.Readable), name)
		c.send(ch, "pfwarden_log_lines_total", float64(s.Lines), name)
		c.send(ch, "pfwarden_log_lines_cut_total", float64(s.Cut), name)
		c.send(ch, "pfwarden_log_lag_bytes", float64(s.LagBytes), name)
		c.send(ch, "pfwarden_log_lag_lines", float64(s.LagLines), name)
		c.send(ch, "pfwarden_log_changes_total", float64(s.Renamed), name, "renamed")
		c.send(ch, "pfwarden_log_changes_total", float64(s.Truncated), name, "truncated")
		c.send(ch, "pfwarden_log_changes_total", float64(s.Deleted), name, "deleted")
		c.send(ch, "pfwarden_log_changes_total", float64(s.Replaced), name, "replaced")
	}
}

func (c *sourcesCollector) detector(ch chan<- prometheus.Metric, s DetectorStats) {
	c.send(ch, "pfwarden_detector_slots", float64(s.Slots))
	c.send(ch, "pfwarden_detector_slots_used", float64(s.Used))
	c.send(ch, "pfwarden_detector_sources_half_suspected", float64(s.HalfSuspected))
	c.send(ch, "pfwarden_detector_evictions_total", float64(s.Evictions))
	c.send(ch, "pfwarden_detector_spilled", float64(s.Spilled))
	c.send(ch, "pfwarden_detector_spill_lost_total", float64(s.SpillLost))
	c.send(ch, "pfwarden_detector_doorkeeper_fill_ratio", s.DoorkeeperFill)
	c.send(ch, "pfwarden_detector_doorkeeper_held_total", float64(s.DoorkeeperHeld))
	c.send(ch, "pfwarden_detector_late_total", float64(s.Late))
}

func (c *sourcesCollector) pfctl(ch chan<- prometheus.Metric, s pfctl.Stats) {
	byLabel(c, ch, "pfwarden_pfctl_runs_total", "operation", s.Runs)
	byLabel(c, ch, "pfwarden_pfctl_errors_total", "cause", s.Errors)
	byLabel(c, ch, "pfwarden_pf_resyncs_total", "cause", s.Heals)
	byLabel(c, ch, "pfwarden_pf_foreign_addresses", "table", s.Foreign)
	c.send(ch, "pfwarden_pfctl_queue_length", float64(s.Pending))
	c.send(ch, "pfwarden_pfctl_state_queue_length", float64(s.KillQueue))
	c.send(ch, "pfwarden_pfctl_state_queue_dropped_total", float64(s.KillDropped))
	c.send(ch, "pfwarden_pfctl_lines_skipped_total", float64(s.Skipped))
	c.send(ch, "pfwarden_pf_addresses_refused_total", float64(s.Refused))
}

// byLabel shows a map of counts as one family with one label.
func byLabel[K ~string, V int | uint64](c *sourcesCollector, ch chan<- prometheus.Metric, name, label string, counts map[K]V) {
	bounded := map[string]V{}
	for _, value := range slices.Sorted(maps.Keys(counts)) {
		bounded[c.bounds.value(label, string(value))] += counts[value]
	}
	for value, n := range bounded {
		c.send(ch, name, float64(n), value)
	}
}

func (c *sourcesCollector) bans(ch chan<- prometheus.Metric, bans []ActiveBans) {
	type key struct{ jail, table string }
	merged := merge(bans, func(b ActiveBans) key {
		return key{c.bounds.value("jail", b.Jail), c.bounds.value("table", b.Table)}
	}, func(a *ActiveBans, b ActiveBans) { a.Count += b.Count })
	for k, b := range merged {
		c.send(ch, "pfwarden_active_bans", float64(b.Count), k.jail, k.table)
	}
}

func (c *sourcesCollector) health(ch chan<- prometheus.Metric, items []HealthItem) {
	merged := merge(items, func(i HealthItem) string { return c.bounds.value("item", i.Name) }, func(a *HealthItem, b HealthItem) { a.OK = a.OK && b.OK })
	for name, item := range merged {
		c.send(ch, "pfwarden_health", bit(item.OK), name)
	}
}

// merge joins the values that have the same key, since two samples with the same labels would fail the whole scrape.
func merge[K comparable, V any](values []V, key func(V) K, join func(*V, V)) map[K]V {
	merged := make(map[K]V, len(values))
	for _, v := range values {
		k := key(v)
		if have, ok := merged[k]; ok {
			join(&have, v)
			v = have
		}
		merged[k] = v
	}
	return merged
}

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixNano()) / 1e9
}
