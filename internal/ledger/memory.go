package ledger

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Memory is a Store without a file, for replay, demonstration and tests. The zero value is ready to use.
type Memory struct {
	mu       sync.Mutex
	bans     map[int64]Ban
	never    map[netip.Prefix]Never
	pause    Pause
	last     int64
	snapshot *Snapshot
}

var _ Store = (*Memory)(nil)

// Start implements Store.
func (m *Memory) Start(context.Context) (Start, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := Start{Pause: m.pause, LastID: m.last}
	for _, b := range m.byID() {
		if b.State != Ended {
			b.Story = Story{}
			s.Unsettled = append(s.Unsettled, b)
		}
	}
	for _, n := range m.never {
		s.Never = append(s.Never, n)
	}
	slices.SortFunc(s.Never, func(a, b Never) int { return a.Prefix.Compare(b.Prefix) })
	return s, nil
}

// Walk implements Store.
func (m *Memory) Walk(_ context.Context, from time.Time, f func(Past) error) error {
	return m.walk(func(b *Ban) bool { return !b.Since.Before(from) }, f)
}

// WalkEnded implements Store.
func (m *Memory) WalkEnded(_ context.Context, from time.Time, f func(Past) error) error {
	return m.walk(func(b *Ban) bool { return b.State == Ended && !b.Since.Before(from) }, f)
}

// WalkChanged implements Store.
func (m *Memory) WalkChanged(_ context.Context, after time.Time, f func(Past) error) error {
	return m.walk(func(b *Ban) bool { return b.Since.After(after) || !b.State.Live() && b.Ended.After(after) }, f)
}

func (m *Memory) walk(selects func(*Ban) bool, f func(Past) error) error {
	m.mu.Lock()
	bans := m.byID()
	m.mu.Unlock()
	slices.SortStableFunc(bans, func(a, b Ban) int { return a.Since.Compare(b.Since) })
	for i := range bans {
		if !selects(&bans[i]) {
			continue
		}
		if err := f(bans[i].Past()); err != nil {
			return err
		}
	}
	return nil
}

// History implements Store.
func (m *Memory) History(_ context.Context, q Query) ([]Ban, error) {
	m.mu.Lock()
	bans := m.byID()
	m.mu.Unlock()
	bans = slices.DeleteFunc(bans, func(b Ban) bool { return !q.selects(&b) })
	slices.SortStableFunc(bans, func(a, b Ban) int {
		if q.OldestFirst {
			return a.Since.Compare(b.Since)
		}
		if c := b.Since.Compare(a.Since); c != 0 {
			return c
		}
		return int(b.ID - a.ID)
	})
	if n := q.limit(); len(bans) > n {
		bans = bans[:n]
	}
	if q.WithoutStory {
		for i := range bans {
			bans[i].Story = Story{}
		}
	}
	return bans, nil
}

// Record implements Store.
func (m *Memory) Record(_ context.Context, b Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bans == nil {
		m.bans, m.never = make(map[int64]Ban), make(map[netip.Prefix]Never)
	}
	for _, ban := range b.Bans {
		if ban.Story.Empty() {
			ban.Story = m.bans[ban.ID].Story
		}
		ban.Forgiven = m.bans[ban.ID].Forgiven
		m.bans[ban.ID] = ban
		m.last = max(m.last, ban.ID)
	}
	for _, t := range b.Transitions {
		if ban, ok := m.bans[t.ID]; ok {
			ban.State = t.State
			m.bans[t.ID] = ban
		}
	}
	for _, c := range b.Counters {
		if ban, ok := m.bans[c.ID]; ok {
			ban.Packets, ban.Bytes, ban.LastHit, ban.BasePackets, ban.BaseBytes = c.Packets, c.Bytes, c.LastHit, c.BasePackets, c.BaseBytes
			m.bans[c.ID] = ban
		}
	}
	for _, f := range b.Forgiven {
		for id, ban := range m.bans {
			if !ban.State.Live() && !ban.Since.After(f.At) && (!f.Prefix.IsValid() || ban.Prefix.IsValid() && ban.Prefix.Overlaps(f.Prefix)) {
				ban.Forgiven = true
				m.bans[id] = ban
			}
		}
	}
	if b.NeverOnly != nil {
		before := m.never
		m.never = make(map[netip.Prefix]Never, len(b.NeverOnly))
		for _, n := range b.NeverOnly {
			if old, ok := before[n.Prefix]; ok {
				n = old
			}
			m.never[n.Prefix] = n
		}
	}
	for _, p := range b.NeverRemove {
		delete(m.never, p)
	}
	for _, n := range b.NeverAdd {
		m.never[n.Prefix] = n
	}
	if b.Pause != nil {
		m.pause = *b.Pause
	}
	return nil
}

// SaveSnapshot implements Store.
func (m *Memory) SaveSnapshot(_ context.Context, s Snapshot) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Detector, s.Positions, s.Waiting = slices.Clone(s.Detector), slices.Clone(s.Positions), slices.Clone(s.Waiting)
	m.snapshot = &s
	return nil
}

// LoadSnapshot implements Store.
func (m *Memory) LoadSnapshot(context.Context) (Snapshot, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.snapshot == nil {
		return Snapshot{}, false, nil
	}
	return *m.snapshot, true, nil
}

// OldestEnd implements Store.
func (m *Memory) OldestEnd(context.Context) (at time.Time, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.bans {
		if b.State == Ended && (!ok || b.Ended.Before(at)) {
			at, ok = b.Ended, true
		}
	}
	return at, ok, nil
}

// Purge implements Store.
func (m *Memory) Purge(_ context.Context, before time.Time) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.bans)
	maps.DeleteFunc(m.bans, func(_ int64, b Ban) bool { return b.State == Ended && b.Ended.Before(before) })
	return n - len(m.bans), nil
}

// Close implements Store.
func (m *Memory) Close() error { return nil }

func (m *Memory) byID() []Ban {
	return slices.SortedFunc(maps.Values(m.bans), func(a, b Ban) int { return int(a.ID - b.ID) })
}

func (q *Query) selects(b *Ban) bool {
	switch {
	case q.Prefix.IsValid() && !(b.Prefix.IsValid() && b.Prefix.Overlaps(q.Prefix)):
		return false
	case q.ID != 0 && b.ID != q.ID,
		q.Ident != "" && b.Ident != q.Ident,
		q.Table != "" && b.Table != q.Table,
		q.Jail != "" && b.Jail != q.Jail,
		q.By != "" && b.By != q.By,
		q.LiveOnly && !b.State.Live(),
		!q.From.IsZero() && b.Since.Before(q.From),
		!q.To.IsZero() && !b.Since.Before(q.To):
		return false
	}
	return true
}

func (q *Query) limit() int {
	if q.Limit <= 0 {
		return defaultLimit
	}
	return q.Limit
}
