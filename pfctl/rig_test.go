package pfctl_test

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"pfwarden/pfctl"
	"pfwarden/pfctl/pftest"
)

// leapClock is a clock whose waits are over at once: its time leaps by what was waited for.
type leapClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *leapClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *leapClock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	ch := make(chan time.Time, 1)
	ch <- c.now
	return ch
}

// spy is a runner that writes down what was run and can be told to do something else.
type spy struct {
	pf     *pftest.PF
	before func(pfctl.Command) error
	after  func()

	mu   sync.Mutex
	runs []string
}

func (s *spy) Run(ctx context.Context, c pfctl.Command) (pfctl.Result, error) {
	s.mu.Lock()
	s.runs = append(s.runs, strings.Join(c.Args, " "))
	s.mu.Unlock()
	if s.before != nil {
		if err := s.before(c); err != nil {
			return pfctl.Result{}, err
		}
	}
	res, err := s.pf.Run(ctx, c)
	if s.after != nil {
		s.after()
	}
	return res, err
}

func (s *spy) count(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.runs {
		if strings.Contains(r, part) {
			n++
		}
	}
	return n
}

type rig struct {
	t   *testing.T
	pf  *pftest.PF
	spy *spy
	d   *pfctl.Driver

	clock *leapClock
}

func newRig(t *testing.T, profile string, cfg pfctl.Config) *rig {
	t.Helper()
	pf := gateway(t, profile)
	cfg.Anchor = "pfwarden"
	r := &rig{t: t, pf: pf, spy: &spy{pf: pf}, clock: &leapClock{now: time.Unix(1_700_000_000, 0)}}
	var err error
	r.d, err = pfctl.New(cfg, r.spy, slog.New(slog.DiscardHandler), r.clock)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) start(list ...pfctl.Entry) {
	r.t.Helper()
	if err := r.d.Start(r.t.Context(), list); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) mend() {
	r.t.Helper()
	if err := r.d.ReconcileNow(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) want(table, list string) {
	r.t.Helper()
	got, ok := r.pf.Addresses("pfwarden", table)
	if !ok || strings.Join(got, " ") != list {
		r.t.Errorf("table %s: %v (there: %v), want %q", table, got, ok, list)
	}
}

func (r *rig) admin(command string) {
	r.t.Helper()
	res, err := r.pf.Run(r.t.Context(), pfctl.Command{Args: strings.Fields(command)})
	if err != nil || res.Exit != 0 {
		r.t.Fatalf("%s: %v %s", command, err, res.Stderr)
	}
}

func (r *rig) health(name string) pfctl.HealthItem {
	for _, h := range r.d.Health() {
		if h.Name == name {
			return h
		}
	}
	return pfctl.HealthItem{}
}

func many(n int) []pfctl.Entry {
	out := make([]pfctl.Entry, n)
	for i := range out {
		out[i] = pfctl.Entry{Table: pfctl.Banned, Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{100, byte(64 + i>>16), byte(i >> 8), byte(i)}), 32)}
	}
	return out
}

func (r *rig) packet(src string) (pass, drop int) {
	return r.pf.Packet(pftest.Packet{Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr("203.0.113.1"), Proto: 6, SPort: 999, DPort: 22, Length: 60, Flags: 2})
}
