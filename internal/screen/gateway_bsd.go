//go:build openbsd || freebsd || netbsd || dragonfly || darwin

package screen

import (
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/net/route"
)

// defaultGateways reads the kernel's routing table by sysctl(3), see route(4).
func defaultGateways() ([]netip.Addr, error) {
	rib, err := route.FetchRIB(syscall.AF_UNSPEC, route.RIBTypeRoute, 0)
	if err != nil {
		return nil, fmt.Errorf("read the routing table: %w", err)
	}
	messages, err := route.ParseRIB(route.RIBTypeRoute, rib)
	if err != nil {
		return nil, fmt.Errorf("parse the routing table: %w", err)
	}
	var out []netip.Addr
	for _, m := range messages {
		r, ok := m.(*route.RouteMessage)
		if !ok || r.Flags&syscall.RTF_GATEWAY == 0 || len(r.Addrs) <= syscall.RTAX_GATEWAY {
			continue
		}
		to, ok := address(r.Addrs[syscall.RTAX_DST])
		if !ok || !to.IsUnspecified() {
			continue
		}
		if len(r.Addrs) > syscall.RTAX_NETMASK { // a route to 0.0.0.0/8 is none; a mask of no length is sometimes left out
			if mask, ok := address(r.Addrs[syscall.RTAX_NETMASK]); ok && !mask.IsUnspecified() {
				continue
			}
		}
		if gateway, ok := address(r.Addrs[syscall.RTAX_GATEWAY]); ok && !gateway.IsUnspecified() {
			out = append(out, gateway)
		}
	}
	return out, nil
}

func address(a route.Addr) (netip.Addr, bool) {
	switch a := a.(type) {
	case *route.Inet4Addr:
		return netip.AddrFrom4(a.IP), true
	case *route.Inet6Addr:
		ip := a.IP
		if ip[0] == 0xfe && ip[1]&0xc0 == 0x80 {
			ip[2], ip[3] = 0, 0 // KAME keeps the interface's number there
		}
		return netip.AddrFrom16(ip), true
	}
	return netip.Addr{}, false
}
