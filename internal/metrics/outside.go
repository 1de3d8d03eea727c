package metrics

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// ScreenStats count what was asked of the world outside before failures counted.
type ScreenStats struct {
	Names    map[string]uint64 // by outcome: looked_up, cached, failed, invalid, dropped
	Commands map[string]uint64 // ignore commands: run, cached, ignored, failed, timeout, dropped
	Ignored  uint64            // by ignore lists
	Waiting  int
}

// outsideCollector shows what the screening stage did.
type outsideCollector struct {
	m *Metrics
	families
}

func newOutsideCollector(m *Metrics, defs map[string]Definition) *outsideCollector {
	return &outsideCollector{m, newFamilies(m.bounds, defs,
		"pfwarden_names_total", "pfwarden_ignore_commands_total", "pfwarden_ignored_total", "pfwarden_screen_queue_length")}
}

// Describe implements prometheus.Collector.
func (c *outsideCollector) Describe(ch chan<- *prometheus.Desc) { c.describe(ch) }

// Collect implements prometheus.Collector.
func (c *outsideCollector) Collect(ch chan<- prometheus.Metric) {
	s := c.m.attached()
	if s.Screen != nil {
		n := s.Screen()
		c.counted(ch, "pfwarden_names_total", n.Names)
		c.counted(ch, "pfwarden_ignore_commands_total", n.Commands)
		c.send(ch, "pfwarden_ignored_total", float64(n.Ignored))
		c.send(ch, "pfwarden_screen_queue_length", float64(n.Waiting))
	}
}

// counted shows counters by outcome; the outcomes are words of the program.
func (c *outsideCollector) counted(ch chan<- prometheus.Metric, name string, by map[string]uint64) {
	for _, outcome := range slices.Sorted(maps.Keys(by)) {
		c.send(ch, name, float64(by[outcome]), outcome)
	}
}
