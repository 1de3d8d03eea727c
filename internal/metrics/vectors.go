package metrics

import (
	"fmt"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Counters is a counter for each combination of bounded label values.
type Counters struct {
	vec    *prometheus.CounterVec
	bounds *bounds
	labels []string
}

// With gives the counter of these label values, in the order of the definition. Keep the answer where it is used per record.
// A wrong number of values is a programming error and panics.
func (c *Counters) With(values ...string) prometheus.Counter {
	return c.vec.WithLabelValues(c.bounds.all(c.labels, values)...)
}

// Gauges is a gauge for each combination of bounded label values.
type Gauges struct {
	vec    *prometheus.GaugeVec
	bounds *bounds
	labels []string
}

// With gives the gauge of these label values, as Counters.With does.
func (g *Gauges) With(values ...string) prometheus.Gauge {
	return g.vec.WithLabelValues(g.bounds.all(g.labels, values)...)
}

// Histograms is a histogram for each combination of bounded label values.
type Histograms struct {
	vec    *prometheus.HistogramVec
	bounds *bounds
	labels []string
}

// With gives the histogram of these label values, as Counters.With does.
func (h *Histograms) With(values ...string) prometheus.Histogram {
	return h.vec.WithLabelValues(h.bounds.all(h.labels, values)...).(prometheus.Histogram)
}

// builder makes vectors from their definitions and registers them.
type builder struct {
	registry *prometheus.Registry
	byName   map[string]Definition
	bounds   *bounds
}

func newBuilder(r *prometheus.Registry) *builder {
	b := &builder{registry: r, byName: map[string]Definition{}, bounds: &bounds{seen: map[string]map[string]struct{}{}}}
	for _, d := range Definitions() {
		b.byName[d.Name] = d
	}
	b.bounds.overflow = b.counters("pfwarden_label_overflow_total").vec
	return b
}

func (b *builder) counters(name string) *Counters {
	d := b.byName[name]
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.Name, Help: d.Help}, d.Labels)
	b.registry.MustRegister(v)
	return &Counters{v, b.bounds, d.Labels}
}

func (b *builder) gauges(name string) *Gauges {
	d := b.byName[name]
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: d.Name, Help: d.Help}, d.Labels)
	b.registry.MustRegister(v)
	return &Gauges{v, b.bounds, d.Labels}
}

func (b *builder) histograms(name string) *Histograms {
	d := b.byName[name]
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: d.Name, Help: d.Help, Buckets: latencyBuckets()}, d.Labels)
	b.registry.MustRegister(v)
	return &Histograms{v, b.bounds, d.Labels}
}

// latencyBuckets run from half a millisecond, below one fork of pfctl, to a stuck pfctl's time limit. In seconds.
func latencyBuckets() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
}

const (
	overflowValue  = "other"
	maxValueLength = 128 // bytes
)

// limit is how many values a label may have. Jails and files come from the configuration, which may name many; all others are
// words of the program.
func limit(label string) int {
	switch label {
	case "jail":
		return 512
	case "file":
		return 128
	default:
		return 64
	}
}

// bounds remembers the values that each label has had, and turns those beyond its limit into "other".
type bounds struct {
	mu       sync.Mutex
	seen     map[string]map[string]struct{}
	overflow *prometheus.CounterVec
}

func (b *bounds) all(labels, values []string) []string {
	if len(labels) != len(values) {
		panic(fmt.Sprintf("metrics: labels %v got values %q", labels, values))
	}
	bounded := make([]string, len(values))
	for i, v := range values {
		bounded[i] = b.value(labels[i], v)
	}
	return bounded
}

// value bounds one value: its length, its bytes (labels are UTF-8), and how many different ones the label has.
func (b *bounds) value(label, value string) string {
	value = strings.ToValidUTF8(value, "\uFFFD")
	if len(value) > maxValueLength {
		value = strings.ToValidUTF8(value[:maxValueLength-len("…")], "") + "…"
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := b.seen[label]
	if seen == nil {
		seen = map[string]struct{}{}
		b.seen[label] = seen
	}
	if _, known := seen[value]; known {
		return value
	}
	if len(seen) >= limit(label) {
		b.overflow.WithLabelValues(label).Inc()
		return overflowValue
	}
	seen[value] = struct{}{}
	return value
}
