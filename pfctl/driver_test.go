package pfctl_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pfwarden/pfctl"
	"pfwarden/pfctl/pftest"
)

// TestGroupCommit: the first ban goes out at once, and all that arrive while pfctl runs go out together.
func TestGroupCommit(t *testing.T) {
	r := newRig(t, "openbsd", pfctl.Config{})
	r.start()
	running, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r.spy.before = func(c pfctl.Command) error {
		if slices.Contains(c.Args, "add") {
			once.Do(func() { close(running); <-release })
		}
		return nil
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.d.Run(ctx) }()
	list := many(2000)
	if err := r.d.Add(list[0]); err != nil {
		t.Fatal(err)
	}
	<-running
	for _, e := range list[1:] {
		if err := r.d.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	if err := r.d.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	stop()
	<-ended
	if n := r.spy.count("-T add"); n != 2 {
		t.Errorf("%d runs of add, want 2", n)
	}
	if got, _ := r.pf.Addresses("pfwarden", "banned"); len(got) != 2000 {
		t.Errorf("%d addresses", len(got))
	}
}

func TestBusyIsTriedAgain(t *testing.T) {
	r := newRig(t, "freebsd12", pfctl.Config{})
	r.pf.Inject(pftest.FaultBusy, 3)
	r.start(entries(pfctl.Banned, "192.0.2.7")...)
	r.want("banned", "192.0.2.7")
	if n := r.spy.count("-a pfwarden -f -"); n != 4 {
		t.Errorf("%d loads, want 4", n)
	}
}

// TestHeals: whatever others do to our tables is mended at the next look, with counters.
func TestHeals(t *testing.T) {
	for _, profile := range pftest.Profiles() {
		for _, c := range []struct{ command, heal string }{
			{"-a pfwarden -F Tables", "table"}, {"-a pfwarden -t banned -T kill", "table"}, {"-a pfwarden -t banned -T flush", "missing"},
			{"-a pfwarden -t banned -T delete 192.0.2.7", "missing"}, {"-a pfwarden -F rules", ""},
		} {
			t.Run(profile+" "+c.command, func(t *testing.T) {
				r := newRig(t, profile, pfctl.Config{})
				r.start(entries(pfctl.Banned, "192.0.2.7", "192.0.2.8")...)
				r.admin(c.command)
				r.pf.Advance(time.Minute) // FreeBSD frees rules late
				r.mend()
				r.want("banned", "192.0.2.7 192.0.2.8")
				if c.heal != "" && r.d.Stats().Heals[c.heal] == 0 {
					t.Errorf("heals are %v", r.d.Stats().Heals)
				}
				if pass, drop := r.packet("192.0.2.7"); pass != 0 || drop != 1 {
					t.Errorf("passed %d, dropped %d", pass, drop)
				}
				got, err := r.d.Counters(t.Context(), 0)
				if a, _ := got.Lookup(pfctl.Banned, netip.MustParsePrefix("192.0.2.7/32")); err != nil || a.Counts.InBlock.Packets != 1 {
					t.Errorf("counters: %v, %+v", err, got)
				}
			})
		}
	}
}

// TestTableGoneUnderneath: a delete that finds no table has it back at once.
func TestTableGoneUnderneath(t *testing.T) {
	r := newRig(t, "openbsd", pfctl.Config{})
	r.start(entries(pfctl.Banned, "192.0.2.7", "192.0.2.8")...)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	r.pf.Inject(pftest.FaultTableKill, 1)
	if err := r.d.Delete(entries(pfctl.Banned, "192.0.2.7")...); err != nil {
		t.Fatal(err)
	}
	go r.d.Run(ctx)
	for { // until the heal is counted and done: the error of the run that found the table gone stands in between
		err := r.d.Sync(ctx)
		if ctx.Err() != nil {
			t.Fatalf("never mended: %v; %+v", err, r.d.Stats())
		}
		if s := r.d.Stats(); err == nil && s.Heals["table"] > 0 && s.Pending == 0 {
			break
		}
	}
	stop()
	if err := r.d.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.want("banned", "192.0.2.8")
}

func TestForeignEntries(t *testing.T) {
	prepare := func(cfg pfctl.Config) *rig {
		r := newRig(t, "openbsd", cfg)
		r.start(entries(pfctl.Banned, "192.0.2.7")...)
		r.admin("-a pfwarden -t banned -T add 198.51.100.1 !192.0.2.9")
		if err := r.d.Add(entries(pfctl.Banned, "192.0.2.9")...); err != nil {
			t.Fatal(err)
		}
		r.mend()
		r.mend()
		return r
	}
	t.Run("kept", func(t *testing.T) {
		r := prepare(pfctl.Config{})
		r.want("banned", "192.0.2.7 !192.0.2.9 198.51.100.1")
		if n := r.d.Stats().Foreign[pfctl.Banned]; n != 1 {
			t.Errorf("%d foreign entries", n)
		}
		if h := r.health("negated"); h.OK || !strings.Contains(h.Fix, "-T delete '!192.0.2.9/32'") {
			t.Errorf("health: %+v", h)
		}
	})
	t.Run("removed", func(t *testing.T) {
		r := prepare(pfctl.Config{RemoveForeign: true})
		r.want("banned", "192.0.2.7 192.0.2.9")
	})
	t.Run("once ours", func(t *testing.T) {
		r := prepare(pfctl.Config{Known: oursAre(func(p netip.Prefix) bool { return p.String() == "198.51.100.1/32" })})
		r.want("banned", "192.0.2.7 !192.0.2.9")
	})
}

// TestStartBesideForeign: at the start nothing foreign is lost, and what stays keeps its counters.
func TestStartBesideForeign(t *testing.T) {
	r := newRig(t, "freebsd12", pfctl.Config{})
	r.start(entries(pfctl.Banned, "192.0.2.7", "192.0.2.8")...)
	r.packet("192.0.2.7")
	second := func(list ...string) *rig {
		s := *r
		s.spy = &spy{pf: r.pf}
		var err error
		s.d, err = pfctl.New(pfctl.Config{Anchor: "pfwarden", Known: oursAre(func(p netip.Prefix) bool { return p.String() != "198.51.100.1/32" })},
			s.spy, slog.New(slog.DiscardHandler), &leapClock{now: time.Unix(1_700_000_000, 0)})
		if err != nil {
			t.Fatal(err)
		}
		s.start(entries(pfctl.Banned, list...)...)
		return &s
	}
	s := second("192.0.2.7", "192.0.2.9")
	s.want("banned", "192.0.2.7 192.0.2.9")
	if s.spy.count("-T replace") != 1 || s.spy.count("-T add")+s.spy.count("-T delete") != 0 {
		t.Errorf("runs: %v", s.spy.runs)
	}
	r.admin("-a pfwarden -t banned -T add 198.51.100.1")
	s = second("192.0.2.7", "192.0.2.10")
	s.want("banned", "192.0.2.7 192.0.2.10 198.51.100.1")
	if s.spy.count("-T replace") != 0 {
		t.Errorf("runs: %v", s.spy.runs)
	}
	c, err := s.d.Counters(t.Context(), 0)
	if a, _ := c.Lookup(pfctl.Banned, netip.MustParsePrefix("192.0.2.7/32")); err != nil || a.Counts.InBlock.Packets != 1 {
		t.Errorf("counters are gone: %v %+v", err, c)
	}
}

// TestLastStep: an address that comes on the never-list between Add and the run does not reach PF, and goes if it is there.
func TestLastStep(t *testing.T) {
	never := map[string]bool{}
	r := newRig(t, "openbsd", pfctl.Config{Refuse: func(p netip.Prefix) string {
		if never[p.Addr().String()] {
			return "never-listed"
		}
		return ""
	}})
	r.start(entries(pfctl.Banned, "192.0.2.7", "192.0.2.8")...)
	if err := r.d.Add(entries(pfctl.Banned, "192.0.2.9")...); err != nil {
		t.Fatal(err)
	}
	never["192.0.2.9"], never["192.0.2.8"] = true, true
	r.mend()
	r.want("banned", "192.0.2.7")
	if err := r.d.Add(entries(pfctl.Banned, "192.0.2.9")...); !errors.Is(err, pfctl.ErrRefused) {
		t.Errorf("taken: %v", err)
	}
}

func TestAddressesRefused(t *testing.T) {
	r := newRig(t, "openbsd", pfctl.Config{})
	for _, s := range []string{"0.0.0.0/0", "::/0", "127.0.0.1/32", "::1/128", "126.0.0.0/7", "224.0.0.5/32", "ff02::1/128", "255.255.255.255/32", "0.0.0.0/32", "::/128", "::ffff:0:0/90"} {
		if err := r.d.Add(pfctl.Entry{Table: pfctl.Banned, Prefix: netip.MustParsePrefix(s)}); !errors.Is(err, pfctl.ErrRefused) {
			t.Errorf("%s: %v", s, err)
		}
	}
	if err := r.d.Add(pfctl.Entry{Table: "other", Prefix: netip.MustParsePrefix("192.0.2.1/32")}); err == nil {
		t.Error("a table that is not ours was taken")
	}
	r.start(entries(pfctl.Banned, "::ffff:192.0.2.55", "192.0.2.77/28", "2001:DB8::1/64")...)
	r.want("banned", "192.0.2.55 192.0.2.64/28 2001:db8::/64")
}

// TestRequestCap: PF takes fewer addresses in one request than we thought.
func TestRequestCap(t *testing.T) {
	for _, profile := range []string{"freebsd12", "freebsd15"} {
		t.Run(profile, func(t *testing.T) {
			r := newRig(t, profile, pfctl.Config{})
			r.pf.SetRequestMax(1000)
			list := many(3000)
			r.start(list[:2500]...)
			if h := r.health("tables"); h.OK || !strings.Contains(h.Fix, "request_maxcount") {
				r.mend() // the table could be read while it was empty
				if h := r.health("tables"); h.OK || !strings.Contains(h.Fix, "request_maxcount") {
					t.Errorf("health: %+v", h)
				}
			}
			if err := r.d.Add(list[2500:]...); err != nil {
				t.Fatal(err)
			}
			if err := r.d.Delete(list[0]); err != nil {
				t.Fatal(err)
			}
			r.mend()
			if got, _ := r.pf.Addresses("pfwarden", "banned"); len(got) != 2999 {
				t.Errorf("%d addresses", len(got))
			}
		})
	}
}

// TestLimit: what PF has no room for is not pressed upon it, and goes in when there is room.
func TestLimit(t *testing.T) {
	for _, profile := range []string{"openbsd", "freebsd12"} {
		t.Run(profile, func(t *testing.T) {
			r := newRig(t, profile, pfctl.Config{})
			r.pf.SetLimit(1000)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := r.d.Start(ctx, many(2000)); !errors.Is(err, pfctl.ErrLimit) {
				t.Fatalf("start: %v", err)
			}
			if got, _ := r.pf.Addresses("pfwarden", "banned"); len(got) != 950 {
				t.Errorf("%d addresses", len(got))
			}
			if h := r.health("limit"); h.OK || !strings.Contains(h.Fix, "set limit table-entries") {
				t.Errorf("health: %+v", h)
			}
			if err := r.d.Delete(many(500)...); err != nil {
				t.Fatal(err)
			}
			if err := r.d.ReconcileNow(ctx); err != nil && !errors.Is(err, pfctl.ErrLimit) {
				t.Fatal(err)
			}
			r.pf.SetLimit(100000)
			r.mend()
			if got, _ := r.pf.Addresses("pfwarden", "banned"); len(got) != 1500 {
				t.Errorf("%d addresses", len(got))
			}
			if h := r.health("limit"); !h.OK {
				t.Errorf("health: %+v", h)
			}
		})
	}
}

// TestUnreadableTable: FreeBSD does not let us read more than 65535 entries; bans go in and out all the same.
func TestUnreadableTable(t *testing.T) {
	r := newRig(t, "freebsd12", pfctl.Config{})
	list := many(70000)
	r.start(list...)
	again, err := pfctl.New(pfctl.Config{Anchor: "pfwarden"}, r.spy, slog.New(slog.DiscardHandler), &leapClock{now: time.Unix(1_700_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	r.d = again
	if err := r.d.Delete(list[:100]...); err != nil { // they ended while we were away
		t.Fatal(err)
	}
	r.start(list[100:]...)
	if got, _ := r.pf.Addresses("pfwarden", "banned"); len(got) != 69900 {
		t.Errorf("%d addresses", len(got))
	}
}

// TestStuck: while a pfctl is stuck there is no second one for a while, and health says so.
func TestStuck(t *testing.T) {
	r := newRig(t, "openbsd", pfctl.Config{})
	r.start()
	r.spy.before = func(c pfctl.Command) error {
		if slices.Contains(c.Args, "add") {
			return fmt.Errorf("an earlier run has not ended: %w", pfctl.ErrStuck)
		}
		return nil
	}
	if err := r.d.Add(entries(pfctl.Banned, "192.0.2.7")...); err != nil {
		t.Fatal(err)
	}
	if err := r.d.ReconcileNow(t.Context()); !errors.Is(err, pfctl.ErrStuck) {
		t.Fatalf("not stuck: %v", err)
	}
	if h := r.health("stuck"); h.OK {
		t.Errorf("health: %+v", h)
	}
	r.spy.before = nil
	r.mend()
	r.want("banned", "192.0.2.7")
	if h := r.health("stuck"); !h.OK {
		t.Errorf("health: %+v", h)
	}
}

// TestHalfDone: a run that was killed half-way leaves nobody out.
func TestHalfDone(t *testing.T) {
	for _, n := range []int{1, 2} { // done by half, not done
		r := newRig(t, "freebsd15", pfctl.Config{})
		r.start()
		r.pf.Inject(pftest.FaultKilled, n)
		if err := r.d.Add(many(1000)...); err != nil {
			t.Fatal(err)
		}
		for r.d.ReconcileNow(t.Context()) != nil {
		}
		if got, _ := r.pf.Addresses("pfwarden", "banned"); len(got) != 1000 {
			t.Errorf("%d addresses", len(got))
		}
	}
}

// oursAre makes a Config.Known.
func oursAre(ours func(netip.Prefix) bool) func(context.Context, pfctl.Table, []netip.Prefix) ([]netip.Prefix, error) {
	return func(_ context.Context, _ pfctl.Table, list []netip.Prefix) (out []netip.Prefix, err error) {
		for _, p := range list {
			if ours(p) {
				out = append(out, p)
			}
		}
		return out, nil
	}
}
