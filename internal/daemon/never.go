package daemon

import (
	"context"
	"net"
	"net/netip"

	"pfwarden/internal/config"
)

// Origins of never-list entries, as people see them.
const (
	originConfig   = "configuration"
	originMachine  = "this machine"
	originNetworks = "connected networks"
)

// setNever fills the never-list from the configuration and, where it says so, from this machine.
func (d *Daemon) setNever(_ context.Context, c *config.Config) {
	prefixes, _ := c.NeverList()
	d.never.Set(originConfig, prefixes)
	var own []netip.Prefix
	if c.NeverDefaults {
		for _, a := range ownAddresses() {
			own = append(own, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	d.never.Set(originMachine, own)
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

// interfaces works out whose blocks are evidence.
func (d *Daemon) interfaces(c *config.Config) []string {
	var names []string
	for _, w := range c.Pflog.Watch {
		if w != "egress" {
			names = append(names, w)
		}
	}
	return names
}
