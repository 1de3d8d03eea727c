package screen

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGatewaysOfLinux(t *testing.T) {
	native := binary.NativeEndian.Uint32([]byte{192, 0, 2, 129})
	four := "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		fmt.Sprintf("eth0\t00000000\t%08X\t0003\t0\t0\t0\t00000000\t0\t0\t0\n", native) +
		"eth0\t000200C0\t00000000\t0001\t0\t0\t0\t80FFFFFF\t0\t0\t0\n" + "short\n"
	six := "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n" +
		"20010db8000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0\n"
	var got []string
	for _, a := range append(gateways4(four), gateways6(six)...) {
		got = append(got, a.String())
	}
	if diff := cmp.Diff([]string{"192.0.2.129", "fe80::1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := defaultGateways(); err != nil {
		t.Errorf("of this machine: %v", err)
	}
	if s := NewSet(netip.MustParsePrefix("0.0.0.0/0")); !s.Contains(netip.MustParseAddr("192.0.2.1")) || s.Contains(netip.MustParseAddr("::1")) {
		t.Error("the set mixes families")
	}
}
