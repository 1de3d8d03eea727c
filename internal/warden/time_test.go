package warden

import (
	"testing"
	"time"

	"pfwarden/internal/ledger"
)

func TestProlong(t *testing.T) {
	h := newHarness(t, Config{Default: Jail{Prolong: true}})
	h.Judge(t0, proven(t0, "192.0.2.7"))
	h.Judge(t0, proven(t0, "192.0.2.8"))
	entry := func(packets uint64) []Count {
		return []Count{{"banned", pfx("192.0.2.7"), packets, packets * 60}, {"suspects", pfx("192.0.2.8"), 99, 99}, {"banned", pfx("198.51.100.1"), 5, 5}}
	}
	h.Counters(t0.Add(time.Minute), entry(3))
	h.Counters(t0.Add(9*time.Minute), entry(7))
	h.commit()
	n := h.Tick(t0.Add(10 * time.Minute))
	if len(n) != 2 {
		t.Fatalf("notices %+v", n)
	}
	for _, x := range n { // the detector's clock goes by them: it must not run ahead to the new end
		if !x.Time.Equal(t0.Add(10 * time.Minute)) {
			t.Errorf("at the end of ten minutes, a notice %v of %v", x.Kind, x.Time)
		}
	}
	h.table("banned 192.0.2.7")
	b := h.Live()[0]
	if !b.Until.Equal(t0.Add(20*time.Minute)) || b.Packets != 7 || b.Bytes != 420 || b.Longer != 1 || b.Step != 1 {
		t.Errorf("prolonged ban %+v", b)
	}
	h.Tick(t0.Add(20 * time.Minute)) // no hit since
	h.table()
	past, err := h.store.History(t.Context(), ledger.Query{Prefix: pfx("192.0.2.7")})
	if err != nil || len(past) != 1 || past[0].Packets != 7 || !past[0].LastHit.Equal(t0.Add(9*time.Minute)) || past[0].EndWhy != "expired" {
		t.Errorf("ledger after the end: %+v, %v", past, err)
	}
}

func TestCountersGoOnWherePFBeginsAnew(t *testing.T) {
	h := newHarness(t, Config{})
	h.Judge(t0, proven(t0, "192.0.2.7"))
	read := func(packets uint64) uint64 {
		h.Counters(t0.Add(time.Minute), []Count{{"banned", pfx("192.0.2.7"), packets, packets}})
		h.commit()
		return h.Live()[0].Packets
	}
	for _, c := range []struct{ pf, want uint64 }{{5, 5}, {9, 9}, {2, 11}, {4, 13}, {0, 13}, {3, 16}} {
		if got := read(c.pf); got != c.want {
			t.Errorf("PF says %d: %d in all, want %d", c.pf, got, c.want)
		}
	}
	h.restart(t0.Add(2 * time.Minute)) // the entry stays in PF and counts on from 3
	for _, c := range []struct{ pf, want uint64 }{{4, 17}, {1, 18}} {
		if got := read(c.pf); got != c.want {
			t.Errorf("after a restart PF says %d: %d in all, want %d", c.pf, got, c.want)
		}
	}
}
