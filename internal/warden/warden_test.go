package warden

import (
	"context"
	"errors"
	"maps"
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

// house is a warden with its surroundings.
type house struct {
	*Warden
	t      *testing.T
	store  ledger.Store
	pf     *fakePF
	never  *NeverList
	cfg    Config
	events []Event
}

func newHouse(t *testing.T, cfg Config) *house {
	t.Helper()
	h := &house{t: t, store: &ledger.Memory{}, pf: &fakePF{}, never: &NeverList{}, cfg: cfg}
	h.cfg.OnEvent = func(e Event) { h.events = append(h.events, e) }
	h.restart(t0)
	return h
}

// restart begins anew from the ledger, as after kill -9: what was not committed is gone, PF stays as it is.
func (h *house) restart(now time.Time) {
	h.t.Helper()
	w, err := New(h.t.Context(), h.cfg, h.store, h.pf, h.never, now)
	if err != nil {
		h.t.Fatal(err)
	}
	h.Warden = w
}

func (h *house) commit() {
	h.t.Helper()
	if err := h.Commit(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) table(want ...string) {
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

func TestLadder(t *testing.T) {
	h := newHouse(t, Config{})
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

func TestTableByProof(t *testing.T) {
	own := map[string]Jail{"web": {Table: "webonly", KillStates: true}, "wide": {Prefix4: 24, Prefix6: 56}}
	with := func(jail string, v detect.Verdict) detect.Verdict { v.Jail = jail; return v }
	for _, c := range []struct {
		name    string
		verdict detect.Verdict
		table   string
		length  time.Duration
		source  string
		refused string
	}{
		{name: "proven", verdict: proven(t0, "192.0.2.7"), table: "banned", length: 10 * time.Minute, source: "192.0.2.7"},
		{name: "spoofable", verdict: spoofable(t0, "192.0.2.7"), table: "suspects", length: 10 * time.Minute, source: "192.0.2.7"},
		{name: "ipv6", verdict: proven(t0, "2001:db8:1:2::/64"), table: "banned", length: 10 * time.Minute, source: "2001:db8:1:2::/64"},
		{name: "mapped", verdict: proven(t0, "::ffff:192.0.2.7"), table: "banned", length: 10 * time.Minute, source: "192.0.2.7"},
		{name: "own table", verdict: with("web", proven(t0, "192.0.2.7")), table: "webonly", length: 10 * time.Minute, source: "192.0.2.7"},
		{name: "own table, spoofable", verdict: with("web", spoofable(t0, "192.0.2.7")), table: "suspects", length: 10 * time.Minute, source: "192.0.2.7"},
		{name: "proven prefix is inbound only", verdict: proven(t0, "192.0.2.0/24"), table: "suspects", length: 10 * time.Minute, source: "192.0.2.0/24"},
		{name: "spoofable prefix", verdict: spoofable(t0, "192.0.2.0/24"), refused: "wide"},
		{name: "widened", verdict: with("wide", proven(t0, "192.0.2.7")), table: "suspects", length: 10 * time.Minute, source: "192.0.2.0/24"},
		{name: "widened ipv6", verdict: with("wide", proven(t0, "2001:db8:1:2::/64")), table: "suspects", length: 10 * time.Minute, source: "2001:db8:1::/56"},
		{name: "widened but a friend lives there", verdict: with("wide", proven(t0, "203.0.113.7")), table: "banned", length: 10 * time.Minute, source: "203.0.113.7"},
		{name: "never", verdict: proven(t0, "203.0.113.200"), refused: "never"},
		{name: "never inside", verdict: proven(t0, "203.0.113.0/24"), refused: "never"},
		{name: "loopback", verdict: proven(t0, "127.0.0.1"), refused: "bogon"},
		{name: "everything", verdict: proven(t0, "0.0.0.0/0"), refused: "never"},
		{name: "link-local", verdict: proven(t0, "fe80::/64"), refused: "bogon"},
		{name: "no source", verdict: detect.Verdict{Time: t0, Jail: "sshd", Proven: true}, refused: "source"},
		{name: "gate", verdict: detect.Verdict{Time: t0, Source: pfx("192.0.2.7"), Jail: "portscan", Stopped: true}, refused: "gate"},
		{name: "private is ordinary", verdict: proven(t0, "10.1.2.3"), table: "banned", length: 10 * time.Minute, source: "10.1.2.3"},
		{name: "an hour old", verdict: proven(t0.Add(-time.Hour), "192.0.2.7"), refused: "stale"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t, Config{Jails: own})
			h.SetNever(t0, "config", []netip.Prefix{pfx("203.0.113.200")})
			notices := h.Judge(t0, c.verdict)
			if c.refused != "" {
				h.table()
				if len(notices) != 0 || len(h.events) != 1 || h.events[0].Why != c.refused || h.Stats().Refused[c.refused] != 1 {
					t.Fatalf("notices %+v, events %+v, want one refusal %q", notices, h.events, c.refused)
				}
				return
			}
			h.table(c.table + " " + c.source)
			b := h.Live()[0]
			if got := b.Until.Sub(b.Since); got != c.length || b.Table != c.table {
				t.Errorf("ban for %v in %s, want %v in %s", got, b.Table, c.length, c.table)
			}
			if len(notices) != 1 || notices[0].Source != pfx(c.source) {
				t.Errorf("notices %+v, want one for %s", notices, c.source)
			}
		})
	}
}

func TestKillStates(t *testing.T) {
	h := newHouse(t, Config{KillStates: true})
	h.Judge(t0, proven(t0, "192.0.2.7"))
	h.Judge(t0, spoofable(t0, "192.0.2.8"))
	want := []Entry{{"banned", pfx("192.0.2.7"), true}, {"suspects", pfx("192.0.2.8"), false}}
	got := h.Desired()
	slices.SortFunc(got, func(a, b Entry) int { return a.Prefix.Addr().Compare(b.Prefix.Addr()) })
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Error(d)
	}
}

func TestSuspectsMoveAndAreNeverProlonged(t *testing.T) {
	h := newHouse(t, Config{Default: Jail{Prolong: true}})
	h.Judge(t0, spoofable(t0, "192.0.2.7"))
	h.table("suspects 192.0.2.7")
	at := t0.Add(5 * time.Minute)
	h.Judge(at, spoofable(at, "192.0.2.7"))
	if b := h.Live()[0]; !b.Until.Equal(t0.Add(10*time.Minute)) || b.Longer != 0 {
		t.Errorf("a suspect was prolonged: %+v", b)
	}
	h.Judge(at, proven(at, "192.0.2.7"))
	h.table("banned 192.0.2.7")
	if len(h.Live()) != 1 {
		t.Errorf("doubled: %+v", h.Live())
	}
	// The addition goes first, so that the address is never out of both tables.
	if d := cmp.Diff([]string{"add suspects 192.0.2.7", "add banned 192.0.2.7", "delete suspects 192.0.2.7"}, h.pf.calls); d != "" {
		t.Error(d)
	}
	at = at.Add(time.Minute)
	h.Judge(at, spoofable(at, "192.0.2.7"))
	h.table("banned 192.0.2.7")

	h.Judge(t0, spoofable(t0, "192.0.2.9"))
	h.Hit(t0.Add(9*time.Minute), netip.MustParseAddr("192.0.2.9"), 60)
	if n := h.Tick(t0.Add(10 * time.Minute)); len(n) != 1 || n[0].Kind != detect.Unbanned {
		t.Errorf("a suspect that knocks to its end: %+v, want its end", n)
	}
}

func TestDailyCap(t *testing.T) {
	h := newHouse(t, Config{})
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

func TestProlong(t *testing.T) {
	h := newHouse(t, Config{Default: Jail{Prolong: true}})
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
	h := newHouse(t, Config{})
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

func TestExtendNeverShortens(t *testing.T) {
	h := newHouse(t, Config{})
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

func TestManual(t *testing.T) {
	h := newHouse(t, Config{})
	h.SetNever(t0, "config", []netip.Prefix{pfx("198.51.100.0/24")})
	for _, bad := range []string{"198.51.100.9", "127.0.0.1", "10.0.0.0/7", "0.0.0.0/0", "::/0", "198.51.0.0/16"} {
		if _, _, err := h.Ban(t0, pfx(bad), 0, "", "root"); !errors.Is(err, ErrRefused) {
			t.Errorf("ban %s: %v, want it refused", bad, err)
		}
	}
	if _, _, err := h.Ban(t0, pfx("192.0.2.7"), time.Hour, "rude", "root"); err != nil {
		t.Fatal(err)
	}
	h.Judge(t0, proven(t0, "2001:db8::/64"))
	h.Judge(t0, spoofable(t0, "192.0.2.8"))
	h.table("banned 192.0.2.7", "banned 2001:db8::/64", "suspects 192.0.2.8")
	ended, notices, err := h.Unban(t0, pfx("2001:db8::1"), "root")
	if err != nil || len(ended) != 1 || ended[0].EndWhy != "manual" || ended[0].EndedBy != "root" {
		t.Errorf("unban inside a /64: %+v, %v", ended, err)
	}
	if last := notices[len(notices)-1]; last.Kind != detect.Forgiven || last.Source != pfx("2001:db8::1") || last.Jail != "" {
		t.Errorf("notices %+v, want the suspicion cleared", notices)
	}
	if ended, notices, _ = h.Unban(t0, pfx("192.0.2.99"), "root"); len(ended) != 0 || len(notices) != 1 {
		t.Errorf("unban of one not banned: %+v %+v, want the suspicion cleared all the same", ended, notices)
	}
	h.table("banned 192.0.2.7", "suspects 192.0.2.8")
	if ended, _ := h.UnbanAll(t0, "root"); len(ended) != 2 {
		t.Errorf("unban --all: %+v", ended)
	}
	h.table()
	h.Judge(t0, proven(t0, "2001:db8::/64"))
	if b := h.Live()[0]; b.Step != 1 {
		t.Errorf("an administrator's unban must wipe the slate: step %d", b.Step)
	}
}

func TestNever(t *testing.T) {
	h := newHouse(t, Config{})
	h.Judge(t0, proven(t0, "192.0.2.7"))
	h.Judge(t0, proven(t0, "192.0.2.130"))
	h.table("banned 192.0.2.130", "banned 192.0.2.7")
	n, err := h.AddNever(t0, pfx("192.0.2.0/25"), "root", "office")
	if err != nil || len(n) != 1 || n[0].Kind != detect.Forgiven {
		t.Errorf("notices %+v, %v", n, err)
	}
	h.table("banned 192.0.2.130")
	h.never = &NeverList{}
	h.restart(t0)
	if n := h.Judge(t0, proven(t0, "192.0.2.7")); len(n) != 0 {
		t.Errorf("the entry was lost by the restart: %+v", n)
	}
	if err := h.RemoveNever(t0, pfx("192.0.2.0/24")); err == nil {
		t.Error("removing an entry that is not there must be an error")
	}
	h.SetNever(t0, "config", []netip.Prefix{pfx("198.51.100.1")})
	if err := h.RemoveNever(t0, pfx("198.51.100.1")); err == nil || !strings.Contains(err.Error(), "config") {
		t.Errorf("removing a configured entry: %v, want to be told where it is", err)
	}
	if err := h.RemoveNever(t0, pfx("192.0.2.0/25")); err != nil {
		t.Error(err)
	}
	h.Judge(t0, proven(t0, "192.0.2.7"))
	h.table("banned 192.0.2.130", "banned 192.0.2.7")
	h.SetNever(t0, "name friend.example.org", []netip.Prefix{pfx("192.0.2.130")})
	h.table("banned 192.0.2.7")
	h.SetNever(t0, "name friend.example.org", nil)
	if h.Never().Contains(netip.MustParseAddr("192.0.2.130")) {
		t.Error("an origin's old entries must go")
	}
}

func TestPause(t *testing.T) {
	h := newHouse(t, Config{})
	h.Judge(t0, proven(t0, "192.0.2.7"))
	h.table("banned 192.0.2.7")
	h.Pause(t0, false, "root")
	if n := h.Judge(t0, proven(t0, "192.0.2.8")); len(n) != 0 {
		t.Errorf("banned while paused: %+v", n)
	}
	h.table("banned 192.0.2.7")
	h.Pause(t0, true, "root")
	h.table()
	h.restart(t0)
	if d := h.Desired(); len(d) != 0 || !h.Health().Paused.Paused {
		t.Errorf("a restart must stay paused and flushed: %+v", d)
	}
	h.Resume(t0, "root")
	h.table("banned 192.0.2.7")
}

func TestObserve(t *testing.T) {
	h := newHouse(t, Config{Observe: true})
	if n := h.Judge(t0, proven(t0, "192.0.2.7")); len(n) != 1 {
		t.Errorf("notices %+v", n)
	}
	h.table()
	if len(h.pf.calls) != 0 || len(h.Desired()) != 0 || len(h.Live()) != 1 || h.events[0].Kind != EventBan {
		t.Errorf("observe: calls %v desired %v live %v", h.pf.calls, h.Desired(), h.Live())
	}
	h.cfg.Observe = false
	h.restart(t0)
	if len(h.Desired()) != 0 || len(h.Live()) != 0 {
		t.Error("what was only observed must not be carried out later")
	}
	h.table()
}

func TestBoundOnBans(t *testing.T) {
	h := newHouse(t, Config{MaxBans: 3})
	for _, a := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"} {
		h.Judge(t0, proven(t0, a))
	}
	h.table("banned 192.0.2.1", "banned 192.0.2.2", "banned 192.0.2.3")
	if h.Stats().Refused["full"] != 1 || !h.Health().Full {
		t.Errorf("stats %+v", h.Stats())
	}
	if _, _, err := h.Ban(t0, pfx("192.0.2.5"), 0, "", "root"); !errors.Is(err, ErrRefused) {
		t.Error(err)
	}
}

func TestFail2banJails(t *testing.T) {
	growth, err := NewGrowth(GrowthOptions{BanTime: 600, Increment: true})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := NewGrowth(GrowthOptions{BanTime: -1})
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, Config{Jails: map[string]Jail{
		"web": {Table: "fail2ban", Fail2ban: growth, KillStates: true}, "mail": {Table: "fail2ban", Fail2ban: growth}, "users": {Fail2ban: plain},
	}})
	verdict := func(at time.Time, jail string) detect.Verdict {
		v := spoofable(at, "192.0.2.7")
		v.Jail = jail
		return v
	}
	h.Judge(t0, verdict(t0, "web"))
	h.Judge(t0, verdict(t0.Add(-time.Minute), "mail"))
	h.table("fail2ban 192.0.2.7")
	if len(h.Live()) != 2 {
		t.Fatalf("each fail2ban jail bans by itself: %+v", h.Live())
	}
	h.Tick(t0.Add(9 * time.Minute)) // mail's ends, web's stays
	h.table("fail2ban 192.0.2.7")
	h.Tick(t0.Add(10 * time.Minute))
	h.table()
	at := t0.Add(11 * time.Minute)
	n := h.Judge(at, verdict(at, "web"))
	if len(n) != 1 || n[0].Count != 2 || !n[0].Until.Equal(at.Add(20*time.Minute)) {
		t.Errorf("second ban: %+v, want twice the time", n)
	}
	h.commit()
	h.restart(at)
	at = at.Add(20 * time.Minute)
	h.Tick(at)
	n = h.Judge(at, verdict(at, "web"))
	if len(n) != 1 || n[0].Count != 3 || !n[0].Until.Equal(at.Add(40*time.Minute)) {
		t.Errorf("third ban after a restart: %+v, want four times the time", n)
	}
	v := detect.Verdict{Time: at, ID: "eve@example.org", Jail: "users"}
	if n := h.Judge(at, v); len(n) != 1 || n[0].ID != v.ID || !n[0].Until.IsZero() {
		t.Errorf("identifier that is no address: %+v", n)
	}
	h.table("fail2ban 192.0.2.7")
	if ended, _ := h.UnbanJail(at, "users", netip.Prefix{}, v.ID, "root"); len(ended) != 1 {
		t.Errorf("unban of an identifier: %+v", ended)
	}
}

func TestJitterRepeats(t *testing.T) {
	ends := func(seed uint64) map[netip.Prefix]time.Time {
		h := newHouse(t, Config{Seed: seed, Default: Jail{Jitter: time.Minute}})
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
