package screen

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"strings"
)

// defaultGateways reads the kernel's routing tables. See proc_net(5) for the first; the second has, in hexadecimal: destination,
// its prefix length, source, its length, next hop, metric, references, use, flags, interface.
func defaultGateways() ([]netip.Addr, error) {
	four, err4 := os.ReadFile("/proc/net/route")
	if errors.Is(err4, fs.ErrNotExist) { // within a chroot
		return netlinkGateways()
	}
	six, err6 := os.ReadFile("/proc/net/ipv6_route")
	if errors.Is(err6, fs.ErrNotExist) {
		err6 = nil // a kernel without IPv6
	}
	return append(gateways4(string(four)), gateways6(string(six))...), errors.Join(err4, err6)
}

func gateways4(table string) (out []netip.Addr) {
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		b, err := hex.DecodeString(f[2])
		if err != nil || len(b) != 4 {
			continue
		}
		var a [4]byte // printed as a number of the machine's byte order
		binary.NativeEndian.PutUint32(a[:], binary.BigEndian.Uint32(b))
		if addr := netip.AddrFrom4(a); !addr.IsUnspecified() {
			out = append(out, addr)
		}
	}
	return out
}

func gateways6(table string) (out []netip.Addr) {
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 10 || strings.Trim(f[0], "0") != "" || f[1] != "00" {
			continue
		}
		b, err := hex.DecodeString(f[4])
		if err != nil {
			continue
		}
		if addr, ok := netip.AddrFromSlice(b); ok && addr.Is6() && !addr.IsUnspecified() {
			out = append(out, addr)
		}
	}
	return out
}
