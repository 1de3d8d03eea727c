package report

import (
	"cmp"
	"slices"
)

// tally counts by key within a bound: when it is full, everything not above the median goes, and is counted as shed. The big ones,
// which a report is about, stay exact unless they began late.
type tally[K comparable] struct {
	counts map[K]*uint64
	limit  int
	shed   uint64 // weight that was dropped

	recent K // most records resemble the one before
	at     *uint64
}

func newTally[K comparable](limit int) *tally[K] {
	return &tally[K]{counts: make(map[K]*uint64), limit: limit}
}

// add counts n more of k, and tells whether k was not followed before.
func (t *tally[K]) add(k K, n uint64) (fresh bool) {
	if t.at != nil && t.recent == k {
		*t.at += n
		return false
	}
	at := t.counts[k]
	if at == nil {
		if len(t.counts) >= t.limit {
			t.halve()
		}
		at = new(uint64)
		t.counts[k] = at
		fresh = true
	}
	*at += n
	t.recent, t.at = k, at
	return fresh
}

func (t *tally[K]) halve() {
	all := make([]uint64, 0, len(t.counts))
	for _, n := range t.counts {
		all = append(all, *n)
	}
	slices.Sort(all)
	median := all[len(all)/2]
	for k, n := range t.counts {
		if *n <= median {
			t.shed += *n
			delete(t.counts, k)
		}
	}
}

// Row is one line of a ranking.
type Row struct {
	Name  string `json:"name"`
	Count uint64 `json:"count"`
}

// top gives the n largest, equal ones by name.
func (t *tally[K]) top(n int, name func(K) string) []Row {
	rows := make([]Row, 0, len(t.counts))
	for k, c := range t.counts {
		rows = append(rows, Row{name(k), *c})
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name))
	})
	return rows[:min(n, len(rows))]
}
