package pfctl_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"pfwarden/pfctl"
	"pfwarden/pfctl/pftest"
)

// TestTotalsAreMonotonic: a table's totals never fall, whatever is done to it.
func TestTotalsAreMonotonic(t *testing.T) {
	for _, profile := range pftest.Profiles() {
		t.Run(profile, func(t *testing.T) {
			r := newRig(t, profile, pfctl.Config{})
			r.start(entries(pfctl.Banned, "192.0.2.7", "192.0.2.8")...)
			want := uint64(0)
			for _, command := range []string{"-a pfwarden -t banned -T zero", "-a pfwarden -t banned -T delete 192.0.2.7", "-a pfwarden -t banned -T kill", "-a pfwarden -t banned -T flush", "-a pfwarden -F all"} {
				r.packet("192.0.2.7")
				r.packet("192.0.2.8")
				want += 2
				c, err := r.d.Counters(t.Context(), 0)
				if err != nil {
					t.Fatal(err)
				}
				if got := c.Tables[0].Totals; got.InBlock != (pfctl.Count{Packets: want, Bytes: want * 60}) {
					t.Errorf("before %s: %+v, want %d packets", command, got, want)
				}
				r.pf.Advance(time.Second)
				r.admin(command)
				r.mend()
				r.mend()
			}
		})
	}
}

// TestCountersAreCached: one reading serves everybody for a while, and a reading without news about the second table is one run.
func TestCountersAreCached(t *testing.T) {
	r := newRig(t, "openbsd", pfctl.Config{})
	r.start(append(entries(pfctl.Banned, "192.0.2.7"), entries(pfctl.Suspects, "198.51.100.1")...)...)
	read := func(age time.Duration) int {
		before := r.spy.count("-vv -s Tables")
		if _, err := r.d.Counters(t.Context(), age); err != nil {
			t.Fatal(err)
		}
		return r.spy.count("-vv -s Tables") - before
	}
	if n := read(0); n != 2 {
		t.Errorf("first reading: %d runs", n)
	}
	if n := read(time.Minute); n != 0 {
		t.Errorf("cached reading: %d runs", n)
	}
	r.packet("192.0.2.7")
	if n := read(0); n != 2 { // a packet looked up in one table is not found in the other: nothing new there but the evaluation
		t.Logf("after a packet: %d runs", n)
	}
	if n := read(0); n != 1 {
		t.Errorf("without news: %d runs", n)
	}
	r.packet("198.51.100.1")
	if n := read(0); n != 2 {
		t.Errorf("with news of the second table: %d runs", n)
	}
	if a, ok := r.d.LastCounters().Lookup(pfctl.Suspects, netip.MustParsePrefix("198.51.100.1/32")); !ok || a.Counts.InBlock.Packets != 1 {
		t.Errorf("counters: %+v", a)
	}
}

// TestKillStates: connections of proven attackers end in both directions, those of suspects live on.
func TestKillStates(t *testing.T) {
	state := func(r *rig, out bool, a string) {
		p := pftest.Packet{Out: out, Src: netip.MustParseAddr(a), Dst: netip.MustParseAddr("203.0.113.1"), Proto: 6, SPort: 1000, DPort: 22, Length: 60, Flags: 2}
		if p.Src.Is6() {
			p.Dst = netip.MustParseAddr("2001:db8:ffff::1")
		}
		if out {
			p.Src, p.Dst = p.Dst, p.Src
		}
		r.pf.Packet(p)
	}
	left := func(r *rig) int {
		n, _ := pfctl.ParseStates(r.run("-s states"), func(netip.Addr) {})
		return n
	}
	work := func(r *rig, list []pfctl.Entry) {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		if err := r.d.Add(list...); err != nil {
			t.Fatal(err)
		}
		go func() { ended <- r.d.Run(ctx) }()
		if err := r.d.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		for r.d.Stats().KillQueue > 0 {
			if err := r.d.Sync(ctx); err != nil {
				t.Fatal(err)
			}
		}
		stop()
		<-ended
	}
	t.Run("a handful", func(t *testing.T) {
		r := newRig(t, "openbsd", pfctl.Config{KillStates: true})
		r.start()
		for _, out := range []bool{false, true} {
			state(r, out, "192.0.2.7")
			state(r, out, "2001:db8::7")
			state(r, out, "198.51.100.1")
		}
		work(r, append(entries(pfctl.Banned, "192.0.2.7", "2001:db8::/64"), entries(pfctl.Suspects, "198.51.100.1")...))
		if n := left(r); n != 2 {
			t.Errorf("%d states are left, want those of the suspect", n)
		}
		if n := r.spy.count("-s states"); n != 0 {
			t.Errorf("%d dumps", n)
		}
	})
	t.Run("many", func(t *testing.T) {
		r := newRig(t, "freebsd12", pfctl.Config{KillStates: true})
		r.start()
		list := many(300)
		for _, i := range []int{3, 77} {
			state(r, false, list[i].Prefix.Addr().String())
			state(r, true, list[i].Prefix.Addr().String())
		}
		state(r, false, "198.51.100.1")
		for i := range list {
			list[i].KillStates = true
		}
		work(r, list)
		if n := left(r); n != 1 {
			t.Errorf("%d states are left", n)
		}
		if dumps, kills := r.spy.count("-s states"), r.spy.count("-k "); dumps != 1 || kills != 4 {
			t.Errorf("%d dumps and %d kills, want 1 and 4", dumps, kills)
		}
	})
}

func (r *rig) run(args ...string) []byte {
	r.t.Helper()
	var words []string
	for _, a := range args {
		words = append(words, splitWords(a)...)
	}
	res, err := r.pf.Run(r.t.Context(), pfctl.Command{Args: words})
	if err != nil {
		r.t.Fatal(err)
	}
	return res.Stdout
}

// TestPortTables: a jail that asks for ports has a table of its own, which blocks those ports only.
func TestPortTables(t *testing.T) {
	r := newRig(t, "freebsd12", pfctl.Config{PortTables: []pfctl.PortTable{{Name: "ssh_only", Protos: []string{"tcp"}, Ports: []uint16{22, 2222}}}})
	r.start(entries("ssh_only", "192.0.2.7")...)
	r.want("ssh_only", "192.0.2.7")
	p := pftest.Packet{Src: netip.MustParseAddr("192.0.2.7"), Dst: netip.MustParseAddr("203.0.113.1"), Proto: 6, SPort: 1, Length: 60, Flags: 2}
	for port, want := range map[uint16]int{22: 1, 2222: 1, 80: 0} {
		p.DPort = port
		if _, drop := r.pf.Packet(p); drop != want {
			t.Errorf("port %d: dropped %d, want %d", port, drop, want)
		}
	}
}

// TestOwnRules: an anchor and rules of the administrator's own, with one table.
func TestOwnRules(t *testing.T) {
	pf, err := pftest.NewGateway("openbsd", "fail2ban")
	if err != nil {
		t.Fatal(err)
	}
	d, err := pfctl.New(pfctl.Config{Anchor: "fail2ban", Banned: "fail2ban", Rules: "table <fail2ban> persist counters\nblock return in proto tcp from <fail2ban>"},
		pf, discard(), &leapClock{now: time.Unix(1_700_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(t.Context(), append(entries(pfctl.Banned, "192.0.2.7"), entries(pfctl.Suspects, "192.0.2.8")...)); err != nil {
		t.Fatal(err)
	}
	if got, _ := pf.Addresses("fail2ban", "fail2ban"); len(got) != 2 {
		t.Errorf("table: %v", got)
	}
	for range 3 {
		if err := d.ReconcileNow(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if s := d.Stats(); s.Reloads != 1 || len(s.Heals) != 0 {
		t.Errorf("loaded again and again: %+v", s)
	}
	bad, err := pfctl.New(pfctl.Config{Anchor: "fail2ban", Banned: "fail2ban", Rules: "table <fail2ban> persist\nblok from <fail2ban>"}, pf, discard(), &leapClock{})
	if err != nil {
		t.Fatal(err)
	}
	if err := bad.Start(t.Context(), nil); err == nil {
		t.Error("rules that pf does not understand were loaded")
	}
}
