package metrics

import (
	"container/heap"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// PFCounters is what PF itself counts for the tables of our anchor.
type PFCounters struct {
	Read         time.Time // when PF was asked
	EntriesLimit int       // PF's limit of addresses in all tables; 0 = unknown
	Tables       []TableCounters
}

// TableCounters are the counters of one table.
type TableCounters struct {
	Table     string
	Cleared   time.Time // when PF says that it last reset the table's counters; zero if unknown
	Addresses int       // in the table, also those that are not listed below
	Totals    Counts
	ByAddress []AddressCounters // any order; may hold all of them, the collector keeps those with most packets
}

// AddressCounters are the counters of one address (or prefix) of a table.
type AddressCounters struct {
	Prefix netip.Prefix
	Counts
}

// Counts are packets and bytes as pfctl(8) shows them: by direction, and by what the rule did with them. XPass (packets of
// a state, counted after the table was changed) belongs to Pass.
type Counts struct {
	InBlock, InPass, OutBlock, OutPass Count
}

// Count is one counter pair.
type Count struct {
	Packets, Bytes uint64
}

func (c Counts) packets() uint64 {
	return c.InBlock.Packets + c.InPass.Packets + c.OutBlock.Packets + c.OutPass.Packets
}

// each calls f with all four counters and their labels.
func (c Counts) each(f func(direction, action string, n Count)) {
	f("in", "block", c.InBlock)
	f("in", "pass", c.InPass)
	f("out", "block", c.OutBlock)
	f("out", "pass", c.OutPass)
}

// pfCollector shows PF's counters of the tables, and of the addresses with most packets.
type pfCollector struct {
	m         *Metrics
	addresses int
	families

	mu     sync.Mutex
	totals map[string]*monotonic // by table
}

func newPFCollector(m *Metrics, defs map[string]Definition, addresses int) *pfCollector {
	return &pfCollector{m: m, addresses: max(addresses, 0), totals: map[string]*monotonic{}, families: newFamilies(m.bounds, defs,
		"pfwarden_pf_up", "pfwarden_pf_read_timestamp_seconds", "pfwarden_pf_table_entries_limit", "pfwarden_pf_table_addresses",
		"pfwarden_pf_table_packets_total", "pfwarden_pf_table_bytes_total",
		"pfwarden_pf_address_packets_total", "pfwarden_pf_address_bytes_total", "pfwarden_pf_addresses_not_shown")}
}

// Describe implements prometheus.Collector.
func (c *pfCollector) Describe(ch chan<- *prometheus.Desc) { c.describe(ch) }

// Collect implements prometheus.Collector. Where PF cannot be asked, its counters are missing rather than wrong.
func (c *pfCollector) Collect(ch chan<- prometheus.Metric) {
	ask := c.m.attached().PF
	if ask == nil {
		return
	}
	pf, err := ask()
	c.send(ch, "pfwarden_pf_up", bit(err == nil))
	if err != nil {
		return
	}
	c.send(ch, "pfwarden_pf_read_timestamp_seconds", unixSeconds(pf.Read))
	if pf.EntriesLimit > 0 {
		c.send(ch, "pfwarden_pf_table_entries_limit", float64(pf.EntriesLimit))
	}
	shown := map[string]bool{}
	for _, t := range pf.Tables {
		table := c.bounds.value("table", t.Table)
		if shown[table] {
			continue // a second sample with the same labels would fail the whole scrape
		}
		shown[table] = true
		c.table(ch, table, t, pf.Read)
	}
}

func (c *pfCollector) table(ch chan<- prometheus.Metric, table string, t TableCounters, read time.Time) {
	c.grow(table, t, read).each(func(direction, action string, n Count) {
		c.send(ch, "pfwarden_pf_table_packets_total", float64(n.Packets), table, direction, action)
		c.send(ch, "pfwarden_pf_table_bytes_total", float64(n.Bytes), table, direction, action)
	})
	top := top(t.ByAddress, c.addresses)
	for _, a := range top {
		address := addressLabel(a.Prefix)
		a.each(func(direction, action string, n Count) {
			c.send(ch, "pfwarden_pf_address_packets_total", float64(n.Packets), address, table, direction, action)
			c.send(ch, "pfwarden_pf_address_bytes_total", float64(n.Bytes), address, table, direction, action)
		})
	}
	addresses := max(t.Addresses, len(t.ByAddress))
	c.send(ch, "pfwarden_pf_table_addresses", float64(addresses), table)
	c.send(ch, "pfwarden_pf_addresses_not_shown", float64(addresses-len(top)), table)
}

// grow gives the table's totals with what it counted before PF's last resets added.
func (c *pfCollector) grow(table string, t TableCounters, read time.Time) Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.totals[table] // bounded as the label is
	if m == nil {
		m = &monotonic{}
		c.totals[table] = m
	}
	return m.update(t.Totals, t.Cleared, read)
}

// addressLabel is a bare address, or a prefix with its length. It is printed from the parsed address, so it holds nothing else.
func addressLabel(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// monotonic turns counters that PF resets (table flushed, rules reloaded, -T zero) into ones that never go down.
type monotonic struct {
	base, last Counts
	cleared    time.Time
	read       time.Time
}

func (m *monotonic) update(now Counts, cleared, read time.Time) Counts {
	if read.Before(m.read) {
		now = m.last // two scrapes overtook each other: the older reading adds nothing
	} else {
		reset := now.less(m.last)
		if !cleared.IsZero() {
			// Counters that were reset and have outgrown their old values since are known by this date alone.
			reset = reset || !m.cleared.IsZero() && !cleared.Equal(m.cleared)
			m.cleared = cleared
		}
		if reset {
			m.base = m.base.plus(m.last)
		}
		m.last, m.read = now, read
	}
	return m.base.plus(now)
}

// less tells whether any counter of c is below that of d.
func (c Counts) less(d Counts) bool {
	return c.InBlock.less(d.InBlock) || c.InPass.less(d.InPass) || c.OutBlock.less(d.OutBlock) || c.OutPass.less(d.OutPass)
}

func (c Counts) plus(d Counts) Counts {
	return Counts{c.InBlock.plus(d.InBlock), c.InPass.plus(d.InPass), c.OutBlock.plus(d.OutBlock), c.OutPass.plus(d.OutPass)}
}

func (c Count) less(d Count) bool  { return c.Packets < d.Packets || c.Bytes < d.Bytes }
func (c Count) plus(d Count) Count { return Count{c.Packets + d.Packets, c.Bytes + d.Bytes} }

// top gives the n addresses with most packets; among equals the lower address. Its cost does not depend on sorting a table
// of a hundred thousand addresses: it keeps a heap of n.
func top(all []AddressCounters, n int) []AddressCounters {
	if n <= 0 {
		return nil
	}
	h := &fewestFirst{}
	seen := map[netip.Prefix]bool{}
	for _, a := range all {
		if h.Len() == n && !a.before((*h)[0]) {
			continue
		}
		if seen[a.Prefix] {
			continue // listed twice: a second sample with the same labels would fail the whole scrape
		}
		seen[a.Prefix] = true
		heap.Push(h, a)
		if h.Len() > n {
			delete(seen, heap.Pop(h).(AddressCounters).Prefix)
		}
	}
	return *h
}

// before tells whether a is shown rather than b.
func (a AddressCounters) before(b AddressCounters) bool {
	if x, y := a.packets(), b.packets(); x != y {
		return x > y
	}
	return a.Prefix.Compare(b.Prefix) < 0
}

// fewestFirst is a heap whose root is the first to go.
type fewestFirst []AddressCounters

func (h fewestFirst) Len() int           { return len(h) }
func (h fewestFirst) Less(i, j int) bool { return h[j].before(h[i]) }
func (h fewestFirst) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *fewestFirst) Push(x any)        { *h = append(*h, x.(AddressCounters)) }
func (h *fewestFirst) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
