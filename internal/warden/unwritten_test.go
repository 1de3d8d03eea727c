package warden

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pfwarden/detect"
	"pfwarden/internal/ledger"
)

// eloquent is a verdict with about 32 KiB of evidence.
func eloquent(at time.Time, i int) detect.Verdict {
	v := proven(at, "192.0.2.7")
	v.Source = host(i)
	v.Evidence = nil
	for n := range 30 {
		v.Evidence = append(v.Evidence, detect.Evidence{Time: at, Jail: "sshd", Proven: true, Text: fmt.Sprint(n, strings.Repeat("x", 1020))})
	}
	return v
}

// TestUnwrittenIsBounded makes bans for hours on end while the disk is full. All of them are made, kept, and written in the end; what they tell
// of themselves takes no more memory than it may.
func TestUnwrittenIsBounded(t *testing.T) {
	const bans, room = 1000, 1 << 20
	h, store := newFaultyHarness(t, Config{MaxUnwritten: room})
	store.fail = ledger.ErrFull
	at := t0
	for i := range bans {
		at = at.Add(100 * time.Millisecond)
		h.Judge(at, eloquent(at, i))
		if err := h.Commit(t.Context()); err == nil {
			t.Fatal("the ledger was written")
		}
		if n := h.Unwritten(); n > room {
			t.Fatalf("%d bytes wait after %d bans, want %d at most", n, i+1, room)
		}
	}
	for _, e := range h.events { // logs, metrics and actions hear the whole story all the same
		if len(e.Ban.Story.Evidence) != 30 {
			t.Fatalf("%d pieces of evidence of %v are told", len(e.Ban.Story.Evidence), e.Ban.Prefix)
		}
	}
	if health := h.Health(); !errors.Is(health.Ledger, ledger.ErrFull) || health.Unwritten != bans || len(h.pf.list()) != bans || len(h.events) != bans {
		t.Errorf("health %+v, %d in PF, %d told", health, len(h.pf.list()), len(h.events))
	}
	shortened := int(h.Stats().Shortened)
	if whole := bans - shortened; whole < room/(64<<10) || whole > room/(30<<10) {
		t.Errorf("%d of %d bans keep their evidence", whole, bans)
	}
	store.fail = nil
	at = at.Add(time.Minute)
	h.Tick(at)
	h.commit()
	h.commit()
	list, err := h.store.History(t.Context(), ledger.Query{Limit: 2 * bans})
	if err != nil || len(list) != bans {
		t.Fatalf("%d bans in the ledger, %v", len(list), err)
	}
	for _, b := range list {
		if b.State != ledger.Active || b.Story.Failures != 5 || len(b.Reasons) != 1 {
			t.Errorf("ban %+v", b)
		}
		switch short := len(b.Story.Evidence) == 0; {
		case short && strings.Contains(b.Story.Lost, "the ledger could not be written"):
			shortened--
		case short || len(b.Story.Evidence) != 30:
			t.Errorf("%v has %d pieces of evidence, and says %q", b.Prefix, len(b.Story.Evidence), b.Story.Lost)
		}
	}
	if shortened != 0 {
		t.Errorf("%d more shortened than counted", -shortened)
	}
	if n := h.Unwritten(); n != 0 || h.Health().Ledger != nil {
		t.Errorf("%d bytes wait, health %+v", n, h.Health())
	}
}

// TestWeightIsTakenBack lengthens bans, ends them and drops them, with the ledger well and not: in the end nothing is counted that does not wait.
func TestWeightIsTakenBack(t *testing.T) {
	h, store := newFaultyHarness(t, Config{MaxBans: 20})
	at := t0
	for round := range 10 {
		store.fail = nil
		if round%5 != 0 {
			store.fail = ledger.ErrLocked
		}
		for i := range 20 {
			at = at.Add(time.Second)
			h.Judge(at, eloquent(at, i))
			h.Judge(at.Add(time.Minute), eloquent(at.Add(time.Minute), i)) // lengthens it
			at = at.Add(time.Minute)
		}
		h.Commit(t.Context())
		at = at.Add(8 * day)
		h.Tick(at)
		h.Commit(t.Context())
		total := 0
		for _, x := range h.dirty {
			if x.Story.Lost == "" {
				total += storyBytes(&x.Story)
			}
		}
		if total != h.Unwritten() {
			t.Fatalf("round %d: %d bytes are counted, %d wait", round, h.Unwritten(), total)
		}
	}
	if h.Stats().Lost == 0 {
		t.Error("none was dropped: the test is too gentle")
	}
}

// TestForgivenIsBounded: an administrator's script that unbans again and again while the disk is full fills no memory.
func TestForgivenIsBounded(t *testing.T) {
	h, store := newFaultyHarness(t, Config{})
	h.Judge(t0, proven(t0, "192.0.2.7"))
	h.commit()
	store.fail = ledger.ErrFull
	for i := range 1000 {
		if _, _, err := h.Unban(t0.Add(time.Duration(i)*time.Second), pfx("192.0.2.7"), "root"); err != nil {
			t.Fatal(err)
		}
		h.Commit(t.Context())
	}
	if n := len(h.staged.Forgiven); n != 1 {
		t.Errorf("%d wait to be written, want 1", n)
	}
	store.fail = nil
	h.Tick(t0.Add(time.Hour))
	h.commit()
	if list, err := h.store.History(t.Context(), ledger.Query{}); err != nil || len(list) != 1 || !list[0].Forgiven {
		t.Errorf("ledger %+v, %v", list, err)
	}
}
