package warden

import (
	"maps"
	"net/netip"
	"testing"
	"time"

	"pfwarden/detect"
)

func TestLadder(t *testing.T) {
	h := newHarness(t, Config{})
	at := t0
	for i, want := range []time.Duration{10 * time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 7 * 24 * time.Hour} {
		notices := h.Judge(at, proven(at, "192.0.2.7"))
		if len(notices) != 1 || notices[0].Kind != detect.Banned || notices[0].Count != i+1 || !notices[0].Until.Equal(at.Add(want)) {
			t.Fatalf("ban %d: notices %+v, want one ban until %v", i+1, notices, at.Add(want))
		}
		h.table("banned 192.0.2.7")
		at = at.Add(want)
		if n := h.Tick(at.Add(-time.Microsecond)); n != nil {
			t.Fatalf("ban %d ended early: %+v", i+1, n)
		}
		n := h.Tick(at)
		if len(n) != 1 || n[0].Kind != detect.Unbanned || !n[0].Time.Equal(at) {
			t.Fatalf("ban %d: end %+v, want at %v", i+1, n, at)
		}
		h.table()
		if i == 2 { // a restart forgets nothing
			h.restart(at)
		}
	}
	at = at.Add(DefaultMemory - time.Second)
	if step, _, _ := h.Steps(at, pfx("192.0.2.7")); step != 4 {
		t.Errorf("step just before it is forgotten: %d, want 4", step)
	}
	at = at.Add(time.Second)
	h.Judge(at, proven(at, "192.0.2.7"))
	if b := h.Live()[0]; b.Step != 1 || !b.Until.Equal(at.Add(10*time.Minute)) {
		t.Errorf("after the memory's end: step %d until %v, want step 1", b.Step, b.Until)
	}
}

func TestDailyCap(t *testing.T) {
	h := newHarness(t, Config{})
	at, bans := t0, 0
	for at.Before(t0.Add(24 * time.Hour)) {
		h.Judge(at, spoofable(at, "192.0.2.7"))
		if len(h.Live()) == 1 {
			bans++
		}
		h.commit()
		h.restart(at)
		at = at.Add(20 * time.Minute)
	}
	if bans != DefaultSuspectsPerDay {
		t.Errorf("%d suspect bans in a day, want %d", bans, DefaultSuspectsPerDay)
	}
	h.Judge(at, spoofable(at, "192.0.2.7"))
	if len(h.Live()) != 1 {
		t.Error("the next day it may be a suspect again")
	}
	if n := h.Judge(at, proven(at, "192.0.2.7")); len(n) != 1 || !n[0].Until.Equal(at.Add(10*time.Minute)) {
		t.Errorf("suspect bans must not climb the ladder: %+v", n)
	}
}

func TestExtendNeverShortens(t *testing.T) {
	h := newHarness(t, Config{})
	h.Judge(t0, proven(t0, "192.0.2.7"))
	at := t0.Add(4 * time.Minute)
	h.Judge(at, proven(at, "192.0.2.7"))
	if b := h.Live()[0]; !b.Until.Equal(at.Add(10*time.Minute)) || b.Step != 1 || b.Count != 1 {
		t.Errorf("a later verdict: %+v, want the end moved by its time and no new step", b)
	}
	h.Judge(at, proven(at.Add(-2*time.Minute), "192.0.2.7"))
	if b := h.Live()[0]; !b.Until.Equal(at.Add(10 * time.Minute)) {
		t.Errorf("shortened by an older verdict: %+v", b)
	}
	b, _, err := h.Ban(at, pfx("192.0.2.7"), time.Minute, "", "root")
	if err != nil || !b.Until.Equal(at.Add(10*time.Minute)) {
		t.Errorf("shortened by hand: %+v, %v", b, err)
	}
	b, _, err = h.Ban(at, pfx("192.0.2.7"), -1, "enough", "root")
	if err != nil || !b.Permanent() {
		t.Errorf("for ever: %+v, %v", b, err)
	}
	if n := h.Tick(at.Add(1000 * time.Hour)); n != nil {
		t.Errorf("a permanent ban ended: %+v", n)
	}
	h.restart(at)
	h.Judge(at, proven(at, "192.0.2.7"))
	if len(h.Live()) > 1 {
		t.Error("doubled")
	}
}

func TestJitterRepeats(t *testing.T) {
	ends := func(seed uint64) map[netip.Prefix]time.Time {
		h := newHarness(t, Config{Seed: seed, Default: Jail{Jitter: time.Minute}})
		all := make(map[netip.Prefix]time.Time)
		for _, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
			h.Judge(t0, proven(t0, a))
		}
		for _, b := range h.Live() {
			if d := b.Until.Sub(t0); d < 10*time.Minute || d > 11*time.Minute {
				t.Errorf("ban of %v, want 10 to 11 minutes", d)
			}
			all[b.Prefix] = b.Until
		}
		return all
	}
	if !maps.Equal(ends(1), ends(1)) {
		t.Error("the same seed must give the same ends")
	}
	if maps.Equal(ends(1), ends(2)) {
		t.Error("another seed must give others")
	}
}
