package daemon

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pfwarden/internal/config"
	"pfwarden/internal/fail2ban"
	"pfwarden/internal/screen"
)

// newScreen makes the stage between filters and detector, and the never-list that it keeps fresh.
func (d *Daemon) newScreen(c *config.Config, f *fail2ban.Running) (*screen.Screen, *screen.List, error) {
	list, err := screen.NewList(c.Never, d.o.Resolver, d.neverChanged)
	if err != nil {
		return nil, nil, fmt.Errorf("never-list: %w", err)
	}
	jails, lists := screenJails(f)
	o := screen.Options{
		Jails: jails, Refresh: append([]*screen.List{list}, lists...), NameOf: reverseName, Resolver: d.o.Resolver, Now: d.o.Now,
		Log: d.log.With("part", "screen"),
	}
	if c.NeverDefaults {
		o.Defaults = list
	}
	if files := d.o.Apart.files(); files != nil {
		for _, l := range o.Refresh {
			l.Through(files.Open, files.Stat)
		}
	}
	if r := d.o.Apart.remote(); r != nil {
		o.Run = r.Ask
	}
	return screen.New(o), list, nil
}

// neverChanged takes over what a part of the never-list has come to. It may be called from any goroutine but, once the daemon runs, the engine's.
func (d *Daemon) neverChanged(origin string, prefixes []netip.Prefix) {
	if !d.running.Load() {
		d.never.Set(origin, prefixes)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := d.through(ctx, d.nevers, func(now time.Time) { d.engine.Notices(d.bans.SetNever(now, origin, prefixes)) }); err != nil {
		d.log.Warn("the never-list could not be brought up to date; it is tried again", "origin", origin, "error", err)
	}
}

// replaceNever puts a freshly read never-list in the place of the old one. It is called on the engine's goroutine.
func (d *Daemon) replaceNever(list, old *screen.List) {
	now := d.now()
	fresh := list.Origins()
	for origin, prefixes := range fresh {
		d.engine.Notices(d.bans.SetNever(now, origin, prefixes))
	}
	for origin := range old.Origins() {
		if _, still := fresh[origin]; !still {
			d.engine.Notices(d.bans.SetNever(now, origin, nil))
		}
	}
}

// ownAddresses lists the addresses of this machine's interfaces.
func ownAddresses() []netip.Addr {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var own []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr().Unmap().WithZone(""))
		}
	}
	return own
}

// interfaces works out on which interfaces blocks are evidence: names stay, "egress" stands for those that hold a default gateway's network,
// and any other group for the interfaces of that driver ("em" for em0 and em1). Nothing found means all, and a health item says so.
func (d *Daemon) interfaces(c *config.Config) []string {
	all, err := net.Interfaces()
	if err != nil {
		d.fault("watch", fmt.Sprintf("the interfaces cannot be listed (%v): blocks on all of them are taken for evidence", err))
		return nil
	}
	var names, missing []string
	for _, want := range c.Pflog.Watch {
		found := false
		for _, i := range all {
			if i.Name == want || strings.TrimRight(i.Name, "0123456789") == want || want == "egress" && holdsGateway(i, d.gateways()) {
				found = true
				if !slices.Contains(names, i.Name) {
					names = append(names, i.Name)
				}
			}
		}
		if !found {
			missing = append(missing, want)
			if want != "egress" {
				names = append(names, want) // it may be made later
			}
		}
	}
	d.fault("watch", "")
	if len(names) == 0 {
		d.fault("watch", fmt.Sprintf("no interface is %s: blocks on all interfaces are taken for evidence; name yours in pflog.watch", strings.Join(missing, " or ")))
	}
	return names
}

func (d *Daemon) gateways() []netip.Addr {
	found, err := screen.System{}.Defaults()
	if err != nil {
		d.log.Debug("looking for the default gateways", "error", err)
	}
	var gateways []netip.Addr
	for _, p := range found[screen.OriginGateway] {
		gateways = append(gateways, p.Addr())
	}
	return gateways
}

func holdsGateway(i net.Interface, gateways []netip.Addr) bool {
	addrs, err := i.Addrs()
	if err != nil || i.Flags&net.FlagLoopback != 0 {
		return false
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		for _, g := range gateways {
			if p.Contains(g) {
				return true
			}
		}
	}
	return false
}
