package screen

import (
	"net/netip"
	"syscall"
)

// netlinkGateways asks the kernel for the default routes (rtnetlink(7)), which works where there is no /proc.
func netlinkGateways() ([]netip.Addr, error) {
	data, err := syscall.NetlinkRIB(syscall.RTM_GETROUTE, syscall.AF_UNSPEC)
	if err != nil {
		return nil, err
	}
	messages, err := syscall.ParseNetlinkMessage(data)
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for i := range messages {
		m := &messages[i]
		// struct rtmsg: family, length of the destination, length of the source, …; no length means the default route
		if m.Header.Type != syscall.RTM_NEWROUTE || len(m.Data) < syscall.SizeofRtMsg || m.Data[1] != 0 {
			continue
		}
		attributes, err := syscall.ParseNetlinkRouteAttr(m)
		if err != nil {
			return nil, err
		}
		for _, a := range attributes {
			if a.Attr.Type != syscall.RTA_GATEWAY {
				continue
			}
			if addr, ok := netip.AddrFromSlice(a.Value); ok && !addr.IsUnspecified() {
				out = append(out, addr)
			}
		}
	}
	return out, nil
}
