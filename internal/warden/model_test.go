package warden

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pfwarden/internal/ledger"
)

// modelBan is a ban as the model sees it: no heap, no index, no staging.
type modelBan struct {
	table  string
	proven bool
	until  time.Time // zero = for ever
	step   int
	manual bool
}

// model is the slow and obvious twin of a Warden: one ban a source, maps only.
type model struct {
	now      time.Time
	live     map[netip.Prefix]modelBan
	steps    map[netip.Prefix]modelStep
	suspects map[netip.Prefix][]time.Time
	never    []netip.Prefix
	paused   bool
	flushed  bool
	limit    int
}

type modelStep struct {
	step   int
	forget time.Time // zero while banned
}

func newModel(limit int) *model {
	return &model{now: t0, live: map[netip.Prefix]modelBan{}, steps: map[netip.Prefix]modelStep{}, suspects: map[netip.Prefix][]time.Time{}, limit: limit}
}

func (m *model) tick(now time.Time) {
	m.now = now
	for p, b := range m.live {
		if !b.until.IsZero() && !b.until.After(now) {
			m.end(p, b.until)
		}
	}
}

func (m *model) end(p netip.Prefix, at time.Time) {
	b := m.live[p]
	delete(m.live, p)
	if b.step > 0 {
		m.steps[p] = modelStep{b.step, at.Add(DefaultMemory)}
	}
}

func (m *model) forbidden(p netip.Prefix) bool {
	return slices.ContainsFunc(m.never, func(n netip.Prefix) bool { return n.Overlaps(p) })
}

func (m *model) judge(p netip.Prefix, proven bool) {
	if m.paused || m.forbidden(p) {
		return
	}
	b, banned := m.live[p]
	if !proven {
		if banned {
			return
		}
		recent := 0
		for _, t := range m.suspects[p] {
			if t.After(m.now.Add(-day)) {
				recent++
			}
		}
		if recent >= DefaultSuspectsPerDay || len(m.live) >= m.limit {
			return
		}
		m.suspects[p] = append(m.suspects[p], m.now)
		m.live[p] = modelBan{table: "suspects", until: m.now.Add(DefaultSuspect)}
		return
	}
	if banned && b.proven {
		step := b.step
		if step == 0 { // by hand: a verdict lengthens it by the step that would be due
			step = m.due(p)
		}
		if until := m.now.Add(DefaultLadder()[step-1]); !b.until.IsZero() && until.After(b.until) {
			b.until = until
			m.live[p] = b
		}
		return
	}
	if !banned && len(m.live) >= m.limit {
		return
	}
	step := m.due(p)
	m.live[p] = modelBan{table: "banned", proven: true, until: m.now.Add(DefaultLadder()[step-1]), step: step}
}

func (m *model) due(p netip.Prefix) int {
	if s, ok := m.steps[p]; ok && s.forget.After(m.now) {
		return min(s.step+1, 4)
	}
	return 1
}

func (m *model) ban(p netip.Prefix, d time.Duration) {
	if m.paused || m.forbidden(p) {
		return
	}
	b, banned := m.live[p]
	until := m.now.Add(d)
	switch {
	case banned && b.proven:
		if !b.until.IsZero() && until.After(b.until) {
			b.until = until
			m.live[p] = b
		}
	case !banned && len(m.live) >= m.limit:
	default:
		m.live[p] = modelBan{table: "banned", proven: true, until: until, manual: true}
	}
}

func (m *model) forgive(p netip.Prefix) {
	for q := range m.live {
		if q.Overlaps(p) {
			delete(m.live, q)
			delete(m.steps, q)
			delete(m.suspects, q)
		}
	}
}

func (m *model) desired() []string {
	list := []string{}
	if m.flushed {
		return list
	}
	for p, b := range m.live {
		list = append(list, b.table+" "+p.String())
	}
	slices.Sort(list)
	return list
}

// Whatever happens, with crashes between any two steps, the warden wants in PF what the model wants, and PF gets there.
func TestAgainstModel(t *testing.T) {
	var sources []netip.Prefix
	for i := range 6 {
		sources = append(sources, netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32))
	}
	sources = append(sources, pfx("2001:db8:0:1::/64"), pfx("2001:db8:0:2::/64"))
	rapid.Check(t, func(rt *rapid.T) {
		h := &harness{t: t, store: &ledger.Memory{}, pf: &fakePF{}, never: &NeverList{}, cfg: Config{MaxBans: 5}}
		h.restart(t0)
		m := newModel(5)
		now := t0
		source := rapid.SampledFrom(sources)
		committed := true
		// A crash loses what was not committed, as it should: so the model is asked only about what was.
		commit := func() {
			if err := h.Commit(t.Context()); err != nil {
				rt.Fatal(err)
			}
			committed = true
		}
		step := func(f func()) func(*rapid.T) {
			return func(*rapid.T) { committed = false; f() }
		}
		var rtt *rapid.T
		with := func(f func(p netip.Prefix)) func(*rapid.T) {
			return func(x *rapid.T) { rtt = x; committed = false; f(source.Draw(x, "source")) }
		}
		rt.Repeat(map[string]func(*rapid.T){
			"time passes": func(x *rapid.T) {
				committed = false
				d := rapid.SampledFrom([]time.Duration{time.Microsecond, time.Minute, 9 * time.Minute, 10 * time.Minute, time.Hour, 25 * time.Hour, 8 * day, 31 * day}).Draw(x, "time")
				now = now.Add(d)
				h.Tick(now)
				m.tick(now)
			},
			"proven": with(func(p netip.Prefix) { v := proven(now, "192.0.2.1"); v.Source = p; h.Judge(now, v); m.judge(p, true) }),
			"spoofable": with(func(p netip.Prefix) {
				v := spoofable(now, "192.0.2.1")
				v.Source = p
				h.Judge(now, v)
				m.judge(p, false)
			}),
			"ban by hand": with(func(p netip.Prefix) {
				d := rapid.SampledFrom([]time.Duration{time.Minute, 2 * time.Hour}).Draw(rtt, "for")
				h.Ban(now, p, d, "", "root")
				m.ban(p, d)
			}),
			"unban": with(func(p netip.Prefix) {
				h.Unban(now, p, "root")
				delete(m.steps, p)
				delete(m.suspects, p)
				m.forgive(p)
			}),
			"never": with(func(p netip.Prefix) {
				h.AddNever(now, p, "root", "")
				m.never = append(m.never, p)
				m.forgive(p)
			}),
			"no more never": with(func(p netip.Prefix) {
				h.RemoveNever(now, p)
				m.never = slices.DeleteFunc(m.never, func(n netip.Prefix) bool { return n == p })
			}),
			"pause":           step(func() { h.Pause(now, false, "root"); m.paused = true }),
			"pause and flush": step(func() { h.Pause(now, true, "root"); m.paused, m.flushed = true, true }),
			"resume":          step(func() { h.Resume(now, "root"); m.paused, m.flushed = false, false }),
			"commit":          func(*rapid.T) { commit() },
			"crash": func(*rapid.T) {
				if !committed {
					commit()
				}
				h.never = &NeverList{}
				h.restart(now)
			},
			"": func(*rapid.T) {
				got := []string{}
				for _, e := range h.Desired() {
					got = append(got, e.Table+" "+e.Prefix.String())
				}
				slices.Sort(got)
				if want := m.desired(); !slices.Equal(got, want) {
					rt.Fatalf("desired %v, want %v", got, want)
				}
				for _, b := range h.Live() {
					want := m.live[b.Prefix]
					if !b.Until.Equal(want.until) || b.Step != want.step || b.Table != want.table {
						rt.Fatalf("ban %+v, want %+v", b, want)
					}
				}
				if !committed {
					return
				}
				inPF := []string{}
				for e := range h.pf.entries {
					inPF = append(inPF, e.Table+" "+e.Prefix.String())
					if m.forbidden(e.Prefix) {
						rt.Fatalf("never-listed %v is in PF", e.Prefix)
					}
				}
				slices.Sort(inPF)
				if want := m.desired(); !slices.Equal(inPF, want) {
					rt.Fatalf("PF holds %v, want %v", inPF, want)
				}
			},
		})
	})
}

// A crash in the middle of a commit, at every point there is: before the ledger, between ledger and PF, after PF. PF ends up with
// what the ledger says, and nothing of ours looks foreign.
func TestCrashInsideCommit(t *testing.T) {
	for point := range 4 {
		t.Run(fmt.Sprint(point), func(t *testing.T) {
			h := newHarness(t, Config{})
			for i := range 10 {
				h.Judge(t0, proven(t0, fmt.Sprintf("192.0.2.%d", i)))
			}
			h.commit()
			h.Unban(t0, pfx("192.0.2.3"), "root")
			h.Judge(t0, proven(t0, "192.0.2.77"))

			w := h.Warden
			w.mu.Lock()
			k := w.take()
			w.mu.Unlock()
			if point > 0 {
				if err := w.write(t.Context(), &k); err != nil {
					t.Fatal(err)
				}
			}
			if point > 1 { // PF got the addition only
				h.pf.Add(t.Context(), Entry{Table: "banned", Prefix: pfx("192.0.2.77")})
			}
			if point > 2 {
				h.pf.Delete(t.Context(), Entry{Table: "banned", Prefix: pfx("192.0.2.3")})
			}
			h.restart(t0)
			known := make(map[Entry]bool)
			for _, e := range slices.Concat(h.Desired(), h.Leaving()) {
				e.KillStates = false
				known[e] = true
			}
			for e := range h.pf.entries {
				if !known[e] {
					t.Errorf("%v looks foreign", e)
				}
			}
			h.pf.Add(t.Context(), h.Desired()...) // as the driver does at start
			h.commit()
			want := []string{}
			for _, b := range h.Live() {
				want = append(want, b.Table+" "+short(b.Prefix))
			}
			slices.SortFunc(want, cmp.Compare)
			if got := h.pf.list(); !slices.Equal(got, want) {
				t.Errorf("PF %v, want %v", got, want)
			}
			if has := slices.Contains(want, "banned 192.0.2.77"); has != (point > 0) {
				t.Errorf("at point %d the new ban is in force: %v", point, has)
			}
			if len(slices.Collect(maps.Keys(h.live))) != len(want) {
				t.Error("doubled")
			}
		})
	}
}
