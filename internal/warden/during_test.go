package warden

import (
	"errors"
	"testing"
	"time"

	"pfwarden/internal/ledger"
)

// TestEndedWhilePFIsTold: a ban that ends while PF is being told to hold it stands in PF until it is deleted, and a crash before that
// leaves it among those to be deleted, not to strangers.
func TestEndedWhilePFIsTold(t *testing.T) {
	h := newHarness(t, Config{})
	h.Judge(t0, proven(t0, "192.0.2.7"))
	h.pf.during = func() {
		if ended, _, err := h.Unban(t0.Add(time.Second), pfx("192.0.2.7"), "root"); err != nil || len(ended) != 1 {
			t.Errorf("unban: %v, %v", ended, err)
		}
	}
	h.commit()
	h.pf.fail = errors.New("killed before pfctl ran")
	if err := h.Commit(t.Context()); err == nil {
		t.Fatal("PF was told in spite of it")
	}
	h.pf.fail = nil
	h.restart(t0.Add(2 * time.Second))
	if l := h.Leaving(); len(l) != 1 || l[0].Prefix != pfx("192.0.2.7") {
		t.Errorf("to be deleted from PF after the crash: %v, want 192.0.2.7", l)
	}
	h.table()
}

// TestBannedWhilePFIsTold: a ban that begins while PF is being told to let its address go is not noted as carried out before it is.
func TestBannedWhilePFIsTold(t *testing.T) {
	h := newHarness(t, Config{})
	h.Judge(t0, proven(t0, "192.0.2.7"))
	h.table("banned 192.0.2.7")
	at := t0.Add(time.Second)
	if _, _, err := h.Unban(at, pfx("192.0.2.7"), "root"); err != nil {
		t.Fatal(err)
	}
	h.pf.during = func() { h.Judge(at, proven(at, "192.0.2.7")) }
	h.commit()
	h.pf.fail = errors.New("killed before pfctl ran")
	if err := h.Commit(t.Context()); err == nil {
		t.Fatal("PF was told in spite of it")
	}
	start, err := h.store.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range start.Unsettled {
		if b.State == ledger.Active {
			t.Errorf("ban %d is noted as carried out, and PF does not hold it", b.ID)
		}
	}
	h.pf.fail = nil
	h.table("banned 192.0.2.7")
}
