package warden

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/detect"
	"pfwarden/internal/ledger"
)

var t0 = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// fakePF holds tables as PF would, and refuses on demand.
type fakePF struct {
	entries map[Entry]bool
	calls   []string
	fail    error
	during  func() // called once, while PF is being told
}

func (f *fakePF) interrupt() {
	if during := f.during; during != nil {
		f.during = nil
		during()
	}
}

func (f *fakePF) Add(_ context.Context, entries ...Entry) error {
	f.interrupt()
	for _, e := range entries {
		f.calls = append(f.calls, "add "+e.Table+" "+short(e.Prefix))
	}
	if f.fail != nil {
		return f.fail
	}
	if f.entries == nil {
		f.entries = make(map[Entry]bool)
	}
	for _, e := range entries {
		f.entries[Entry{Table: e.Table, Prefix: e.Prefix}] = true
	}
	return nil
}

func (f *fakePF) Delete(_ context.Context, entries ...Entry) error {
	f.interrupt()
	for _, e := range entries {
		f.calls = append(f.calls, "delete "+e.Table+" "+short(e.Prefix))
	}
	if f.fail != nil {
		return f.fail
	}
	for _, e := range entries {
		delete(f.entries, Entry{Table: e.Table, Prefix: e.Prefix})
	}
	return nil
}

func (f *fakePF) list() []string {
	var all []string
	for e := range f.entries {
		all = append(all, e.Table+" "+short(e.Prefix))
	}
	slices.Sort(all)
	return all
}

// harness is a warden with its surroundings.
type harness struct {
	*Warden
	t      *testing.T
	store  ledger.Store
	pf     *fakePF
	never  *NeverList
	cfg    Config
	events []Event
}

func newHarness(t *testing.T, cfg Config) *harness {
	t.Helper()
	h := &harness{t: t, store: &ledger.Memory{}, pf: &fakePF{}, never: &NeverList{}, cfg: cfg}
	h.cfg.OnEvent = func(e Event) { h.events = append(h.events, e) }
	h.restart(t0)
	return h
}

// restart begins anew from the ledger, as after kill -9: what was not committed is gone, PF stays as it is.
func (h *harness) restart(now time.Time) {
	h.t.Helper()
	w, err := New(h.t.Context(), h.cfg, h.store, h.pf, h.never, now)
	if err != nil {
		h.t.Fatal(err)
	}
	h.Warden = w
}

func (h *harness) commit() {
	h.t.Helper()
	if err := h.Commit(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) table(want ...string) {
	h.t.Helper()
	h.commit()
	if d := cmp.Diff(want, h.pf.list()); d != "" {
		h.t.Errorf("PF's tables (-want +got):\n%s", d)
	}
}

func proven(at time.Time, source string) detect.Verdict {
	return detect.Verdict{
		Time: at, Source: pfx(source), Jail: "sshd", Score: 1, Proven: true, Failures: 5,
		Shares: []detect.Share{{Jail: "sshd", Fraction: 1, Proven: true}}, Reasons: []string{"5 failed log-ins in 2 m"},
		Evidence: []detect.Evidence{{Time: at, Jail: "sshd", Proven: true, Text: "Failed password for root", User: "root"}},
	}
}

func spoofable(at time.Time, source string) detect.Verdict {
	return detect.Verdict{Time: at, Source: pfx(source), Jail: "portscan", Score: 1.1, Shares: []detect.Share{{Jail: "portscan", Fraction: 1.1}}, Reasons: []string{"7 new doors in 3 h"}}
}

func pfx(s string) netip.Prefix {
	if strings.Contains(s, "/") {
		return netip.MustParsePrefix(s)
	}
	a := netip.MustParseAddr(s)
	return netip.PrefixFrom(a, a.BitLen())
}
