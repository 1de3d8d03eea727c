package screen

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
)

// Origins of the entries that never_defaults adds.
const (
	OriginOwn       = "own address"
	OriginConnected = "connected network"
	OriginGateway   = "default gateway"
	OriginResolver  = "resolver"
	OriginLoopback  = "loopback"
	OriginMulticast = "multicast"
	OriginShell     = "the shell that started us"
)

// System is what never_defaults asks of the machine. Nil functions are the machine's own.
type System struct {
	Interfaces func() ([]net.Addr, error)
	Gateways   func() ([]netip.Addr, error)
	ReadFile   func(path string) ([]byte, error)
	Getenv     func(name string) string
}

func (s System) withDefaults() System {
	if s.Interfaces == nil {
		s.Interfaces = net.InterfaceAddrs
	}
	if s.Gateways == nil {
		s.Gateways = defaultGateways
	}
	if s.ReadFile == nil {
		s.ReadFile = os.ReadFile
	}
	if s.Getenv == nil {
		s.Getenv = os.Getenv
	}
	return s
}

// Defaults finds what is never banned unless the administrator says otherwise, by origin. An origin that could not be found
// out is missing from the map and named in the error; one that is empty is known to be so.
func (s System) Defaults() (map[string][]netip.Prefix, error) {
	s = s.withDefaults()
	out := map[string][]netip.Prefix{
		OriginLoopback:  {netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		OriginMulticast: {netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("ff00::/8")},
		OriginShell:     s.shell(),
	}
	var errs []error
	own, connected, err := s.interfaces()
	if err != nil {
		errs = append(errs, fmt.Errorf("list interface addresses: %w", err))
	} else {
		out[OriginOwn], out[OriginConnected] = own, connected
	}
	gateways, err := s.Gateways()
	if err != nil {
		errs = append(errs, fmt.Errorf("find default gateways: %w", err))
	} else {
		out[OriginGateway] = singles(gateways)
	}
	data, err := s.ReadFile("/etc/resolv.conf")
	switch {
	case err == nil:
		out[OriginResolver] = singles(nameservers(string(data)))
	case errors.Is(err, fs.ErrNotExist):
		out[OriginResolver] = nil
	default:
		errs = append(errs, fmt.Errorf("find resolvers: %w", err))
	}
	return out, errors.Join(errs...)
}

func (s System) interfaces() (own, connected []netip.Prefix, err error) {
	addrs, err := s.Interfaces()
	if err != nil {
		return nil, nil, err
	}
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		if !ok {
			continue
		}
		ip = ip.Unmap()
		own = append(own, single(ip))
		if bits, size := n.Mask.Size(); size == ip.BitLen() && bits > 0 && bits < size {
			connected = append(connected, netip.PrefixFrom(ip, bits).Masked())
		}
	}
	return own, connected, nil
}

// shell finds whoever logged in by ssh to start us: banning him would lock the administrator out.
func (s System) shell() []netip.Prefix {
	for _, name := range []string{"SSH_CONNECTION", "SSH_CLIENT"} {
		peer, _, _ := strings.Cut(s.Getenv(name), " ")
		if a, err := netip.ParseAddr(peer); err == nil {
			return []netip.Prefix{single(a)}
		}
	}
	return nil
}

// nameservers reads resolv.conf(5).
func nameservers(text string) (out []netip.Addr) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		host := words[1]
		if h, _, err := net.SplitHostPort(host); err == nil { // OpenBSD: [192.0.2.1]:5353
			host = h
		}
		if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
			out = append(out, a)
		}
	}
	return out
}

func singles(addrs []netip.Addr) (out []netip.Prefix) {
	for _, a := range addrs {
		if a.IsValid() && !a.IsUnspecified() {
			out = append(out, single(a))
		}
	}
	return out
}
