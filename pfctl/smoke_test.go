package pfctl_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"pfwarden/pfctl"
	"pfwarden/pfctl/pftest"
)

func gateway(t *testing.T, profile string) *pftest.PF {
	t.Helper()
	pf, err := pftest.NewGateway(profile, "pfwarden")
	if err != nil {
		t.Fatal(err)
	}
	return pf
}

func entries(table pfctl.Table, list ...string) []pfctl.Entry {
	var out []pfctl.Entry
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a := netip.MustParseAddr(s)
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, pfctl.Entry{Table: table, Prefix: p, KillStates: table == pfctl.Banned})
	}
	return out
}

// TestDriverBasics goes through a driver's life on every system.
func TestDriverBasics(t *testing.T) {
	for _, profile := range pftest.Profiles() {
		t.Run(profile, func(t *testing.T) {
			pf := gateway(t, profile)
			d, err := pfctl.New(pfctl.Config{Anchor: "pfwarden", KillStates: true}, pf, slog.New(slog.DiscardHandler), pfctl.SystemClock{})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := d.Start(ctx, entries(pfctl.Banned, "192.0.2.7", "2001:db8::/64")); err != nil {
				t.Fatal(err)
			}
			run, stop := context.WithCancel(ctx)
			ended := make(chan error)
			go func() { ended <- d.Run(run) }()
			if err := d.Add(entries(pfctl.Suspects, "198.51.100.1")...); err != nil {
				t.Fatal(err)
			}
			if err := d.Delete(entries(pfctl.Banned, "192.0.2.7")...); err != nil {
				t.Fatal(err)
			}
			if err := d.Sync(ctx); err != nil {
				t.Fatal(err)
			}
			got, _ := pf.Addresses("pfwarden", "banned")
			if fmt.Sprint(got) != "[2001:db8::/64]" {
				t.Errorf("banned is %v", got)
			}
			if got, _ = pf.Addresses("pfwarden", "suspects"); fmt.Sprint(got) != "[198.51.100.1]" {
				t.Errorf("suspects is %v", got)
			}
			pass, drop := pf.Packet(pftest.Packet{Src: netip.MustParseAddr("2001:db8::9"), Dst: netip.MustParseAddr("2001:db8:1::1"), Proto: 6, SPort: 4000, DPort: 22, Length: 60, Flags: 2, Count: 3})
			if pass != 0 || drop != 3 {
				t.Errorf("passed %d, dropped %d", pass, drop)
			}
			c, err := d.Counters(ctx, 0)
			if err != nil {
				t.Fatal(err)
			}
			a, ok := c.Lookup(pfctl.Banned, netip.MustParsePrefix("2001:db8::/64"))
			if !ok || a.Counts.InBlock != (pfctl.Count{Packets: 3, Bytes: 180}) {
				t.Errorf("counters are %+v", c)
			}
			for _, h := range d.Health() {
				if !h.OK {
					t.Errorf("not healthy: %+v", h)
				}
			}
			v, err := d.View(ctx)
			if err != nil || !v.Filtering {
				t.Errorf("view: %v, %s", err, v.Verdict)
			}
			t.Logf("%s\n%v", v.Verdict, d.Stats())
			stop()
			<-ended
		})
	}
}
