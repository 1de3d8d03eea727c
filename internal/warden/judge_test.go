package warden

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/detect"
)

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
			h := newHarness(t, Config{Jails: own})
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
	h := newHarness(t, Config{KillStates: true})
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
	h := newHarness(t, Config{Default: Jail{Prolong: true}})
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

func TestObserve(t *testing.T) {
	h := newHarness(t, Config{Observe: true})
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
	h := newHarness(t, Config{MaxBans: 3})
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
	h := newHarness(t, Config{Jails: map[string]Jail{
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
