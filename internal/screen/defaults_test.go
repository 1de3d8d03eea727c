package screen

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var comparePrefixes = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, t := range texts {
		out = append(out, netip.MustParsePrefix(t))
	}
	return out
}

func TestDefaults(t *testing.T) {
	sys := System{
		Interfaces: func() ([]net.Addr, error) {
			return []net.Addr{
				&net.IPNet{IP: net.IPv4(192, 0, 2, 130), Mask: net.CIDRMask(25, 32)},
				&net.IPNet{IP: net.ParseIP("2001:db8::1"), Mask: net.CIDRMask(64, 128)},
				&net.IPNet{IP: net.IPv4(10, 0, 0, 1), Mask: net.CIDRMask(32, 32)}, // point to point
				&net.IPNet{IP: net.IPv4(203, 0, 113, 1), Mask: net.CIDRMask(0, 32)},
			}, nil
		},
		Gateways: func() ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.129"), netip.MustParseAddr("fe80::1%em0")}, nil
		},
		ReadFile: func(string) ([]byte, error) {
			return []byte("# by dhcpleased\nnameserver 198.51.100.53\nnameserver [2001:db8::53]:5353\nnameserver bogus\nlookup file bind\n"), nil
		},
		Getenv: func(name string) string {
			return map[string]string{"SSH_CONNECTION": "203.0.113.9 50000 192.0.2.130 22", "SSH_CLIENT": "203.0.113.8 1 2"}[name]
		},
	}
	got, err := sys.Defaults()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]netip.Prefix{
		OriginOwn:       prefixes("192.0.2.130/32", "2001:db8::1/128", "10.0.0.1/32", "203.0.113.1/32"),
		OriginConnected: prefixes("192.0.2.128/25", "2001:db8::/64"),
		OriginGateway:   prefixes("192.0.2.129/32", "fe80::1/128"),
		OriginResolver:  prefixes("198.51.100.53/32", "2001:db8::53/128"),
		OriginLoopback:  prefixes("127.0.0.0/8", "::1/128"),
		OriginMulticast: prefixes("224.0.0.0/4", "ff00::/8"),
		OriginShell:     prefixes("203.0.113.9/32"),
	}
	if diff := cmp.Diff(want, got, comparePrefixes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDefaultsInPart(t *testing.T) {
	sys := System{
		Interfaces: func() ([]net.Addr, error) { return nil, errors.New("no interfaces") },
		Gateways:   func() ([]netip.Addr, error) { return nil, nil },
		ReadFile:   func(string) ([]byte, error) { return nil, fs.ErrNotExist },
		Getenv:     func(string) string { return "" },
	}
	got, err := sys.Defaults()
	if err == nil {
		t.Error("no error")
	}
	want := map[string][]netip.Prefix{
		OriginGateway: nil, OriginResolver: nil, OriginShell: nil,
		OriginLoopback: prefixes("127.0.0.0/8", "::1/128"), OriginMulticast: prefixes("224.0.0.0/4", "ff00::/8"),
	}
	if diff := cmp.Diff(want, got, comparePrefixes, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("what could not be found out must keep what was known (-want +got):\n%s", diff)
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add("192.0.2.1, 2001:db8::/32 # office\n[::1] x;y\n")
	f.Add("home.example, 192.0.2.1 office.example.")
	f.Add("192.0.2.0/255.255.255.0\r\n::ffff:192.0.2.1/120")
	f.Fuzz(func(t *testing.T, text string) {
		found, names, _ := parseFile("f", []byte(text))
		for _, n := range names {
			if !validName(n) {
				t.Errorf("%q gave the name %q", text, n)
			}
		}
		set := NewSet(found...)
		for _, p := range found {
			if p != p.Masked() || p.Addr().Is4In6() || p.Addr().Zone() != "" || !set.Contains(p.Addr()) || !set.Overlaps(p) {
				t.Errorf("%q gave %v", text, p)
			}
		}
	})
}
