package screen

import (
	"os"
	"slices"
	"testing"
)

// TestNetlinkGateways compares the two ways of asking the kernel.
func TestNetlinkGateways(t *testing.T) {
	if _, err := os.Stat("/proc/net/route"); err != nil {
		t.Skip(err)
	}
	want, err := defaultGateways()
	if err != nil {
		t.Skip(err)
	}
	got, err := netlinkGateways()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range want {
		if !slices.Contains(got, a.WithZone("")) {
			t.Errorf("netlink %v, /proc %v", got, want)
		}
	}
	if len(want) == 0 {
		t.Skip("no default route here")
	}
}
