package pfctl

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

// Counters is what PF has counted, as one reading saw it.
type Counters struct {
	Taken  time.Time // when it was read, by the driver's clock
	Tables []TableCounters
	Err    error // of the last reading; what stands here may then be older than asked for
}

// TableCounters are a table's totals and its entries.
type TableCounters struct {
	Table  Table
	Name   string // in PF
	Totals Counts // never decrease while this process runs, whatever is unbanned, zeroed or reloaded
	// NoMatch and Match count packets that a rule looked up in the table; they show whether packets reach our rules at all.
	NoMatch, Match uint64
	Cleared        time.Time    // when PF began to count for the table
	Addresses      []AddrCounts // as PF shows them, foreign ones too; negated ones are left out
	Foreign        int          // entries that are not ours
}

// Lookup returns the counters of a prefix in a table.
func (c Counters) Lookup(t Table, p netip.Prefix) (AddrCounts, bool) {
	for _, x := range c.Tables {
		if x.Table != t {
			continue
		}
		for _, a := range x.Addresses {
			if a.Prefix == p {
				return a, true
			}
		}
	}
	return AddrCounts{}, false
}

// counterCache holds the last reading. Only one reading runs at a time; who comes meanwhile gets its result.
type counterCache struct {
	mu    sync.Mutex // held while reading
	state sync.Mutex // of what is below
	last  Counters
	sums  map[string]*totals // by table name in PF
}

// totals makes a table's counters monotonic: base is what was counted before the last reset.
type totals struct {
	base, last     Counts
	baseNo, lastNo uint64
	baseYes        uint64
	lastYes        uint64
	cleared        time.Time
	detail         Counts // the totals at which the addresses were read last
	seen           bool
	read           bool
}

// note takes a reading and returns the sums.
func (t *totals) note(info TableInfo) {
	reset := t.seen && !info.Cleared.Equal(t.cleared)
	lf := t.last.fields()
	for i, f := range info.Counts.fields() {
		reset = reset || f.Packets < lf[i].Packets || f.Bytes < lf[i].Bytes
	}
	reset = reset || info.NoMatch < t.lastNo || info.Match < t.lastYes
	if reset {
		t.base.Add(t.last)
		t.baseNo += t.lastNo
		t.baseYes += t.lastYes
		t.read = false
	}
	t.last, t.lastNo, t.lastYes, t.cleared, t.seen = info.Counts, info.NoMatch, info.Match, info.Cleared, true
}

// Counters returns counters that are at most maxAge old, reading them if need be: one run for the tables' totals and those of one
// table's addresses, and one more for each further table that has counted something since its addresses were read. It waits for
// at most one reading, and bans do not wait for it longer than for one run.
func (d *Driver) Counters(ctx context.Context, maxAge time.Duration) (Counters, error) {
	if c, ok := d.cached(maxAge); ok {
		return c, c.Err
	}
	d.counter.mu.Lock()
	defer d.counter.mu.Unlock()
	if c, ok := d.cached(maxAge); ok { // somebody has read it while we waited
		return c, c.Err
	}
	c := d.readCounters(ctx)
	d.counter.state.Lock()
	d.counter.last = c
	d.counter.state.Unlock()
	return c, c.Err
}

// LastCounters returns the last reading without asking PF.
func (d *Driver) LastCounters() Counters {
	d.counter.state.Lock()
	defer d.counter.state.Unlock()
	return d.counter.last
}

func (d *Driver) cached(maxAge time.Duration) (Counters, bool) {
	c := d.LastCounters()
	return c, !c.Taken.IsZero() && d.clock.Now().Sub(c.Taken) <= maxAge && maxAge > 0
}

// readCounters makes a reading. Parts that cannot be read are taken from the last one.
func (d *Driver) readCounters(ctx context.Context) Counters {
	old := d.LastCounters()
	c := Counters{Taken: d.clock.Now()}
	if d.counter.sums == nil {
		d.counter.sums = map[string]*totals{}
	}
	infos := map[string]TableInfo{}
	first := true
	for _, t := range d.tables {
		tc := TableCounters{Table: t.part, Name: t.name}
		for _, o := range old.Tables {
			if o.Name == t.name {
				tc = o
			}
		}
		sum := d.counter.sums[t.name]
		if sum == nil {
			sum = &totals{}
			d.counter.sums[t.name] = sum
		}
		d.mu.Lock()
		empty := len(t.in)+len(t.foreign) == 0
		blind := t.blind
		tc.Foreign = len(t.foreign)
		d.mu.Unlock()
		info, known := infos[t.name]
		moved := !known || info.Counts != sum.detail || !sum.read || len(tc.Addresses) != d.size(t)
		if first || (moved && !empty && !blind) {
			list, got, err := d.readTable(ctx, t)
			if err != nil && !errors.Is(err, ErrTableMissing) {
				c.Err = errors.Join(c.Err, err)
			}
			if got != nil && first {
				infos = got
				for name, i := range infos {
					if s := d.counter.sums[name]; s != nil {
						s.note(i)
					} else {
						s = &totals{}
						s.note(i)
						d.counter.sums[name] = s
					}
				}
				first = false
			}
			switch {
			case err == nil:
				tc.Addresses = list
				sum.detail, sum.read = infos[t.name].Counts, true
			case errors.Is(err, ErrTableMissing):
				tc.Addresses = nil
			}
		} else if empty {
			tc.Addresses = nil
		}
		tc.Totals, tc.NoMatch, tc.Match, tc.Cleared = sum.base, sum.baseNo+sum.lastNo, sum.baseYes+sum.lastYes, sum.cleared
		tc.Totals.Add(sum.last)
		c.Tables = append(c.Tables, tc)
	}
	for i := range c.Tables { // what was read after the first table's turn
		if s := d.counter.sums[c.Tables[i].Name]; s != nil {
			c.Tables[i].Totals = s.base
			c.Tables[i].Totals.Add(s.last)
			c.Tables[i].NoMatch, c.Tables[i].Match, c.Tables[i].Cleared = s.baseNo+s.lastNo, s.baseYes+s.lastYes, s.cleared
		}
	}
	return c
}

func (d *Driver) size(t *tableState) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(t.in) + len(t.foreign)
}

// readTable reads the totals of all tables of the anchor and the entries of one, in one run: pfctl does -s before -T.
func (d *Driver) readTable(ctx context.Context, t *tableState) ([]AddrCounts, map[string]TableInfo, error) {
	d.mu.Lock()
	d.stats.CounterRuns++
	d.mu.Unlock()
	res, err := d.exec(ctx, "read the counters of table <"+t.name+">", d.tableArgs(t, "-vv", "-s", "Tables", "-T", "show"), nil)
	head, tail := splitReading(res.Stdout)
	infos, skipped := ParseTables(head)
	list, skipped2 := ParseShow(tail)
	kept := list[:0]
	for _, a := range list {
		if !a.Negated {
			kept = append(kept, a)
		}
	}
	d.mu.Lock()
	d.stats.Skipped += uint64(skipped + skipped2)
	d.mu.Unlock()
	if len(infos) == 0 && err != nil {
		return nil, nil, err
	}
	out := map[string]TableInfo{}
	for _, i := range infos {
		out[i.Name] = i
	}
	return kept, out, err
}

// splitReading parts the tables' lines from those of the entries: the first line that begins with three columns of an entry.
func splitReading(out []byte) (tables, entries []byte) {
	for i := 0; i < len(out); {
		end := i
		for end < len(out) && out[end] != '\n' {
			end++
		}
		if _, _, ok := entryLine(string(out[i:end])); ok {
			return out[:i], out[i:]
		}
		i = end + 1
	}
	return out, nil
}
