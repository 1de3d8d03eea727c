package pfctl_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pfwarden/pfctl"
)

// TestKnownIsAskedOnce: what stands in a table beside our entries is asked for all at once, while bans go on, and once only; where there was no answer,
// all of it is kept and asked for again.
func TestKnownIsAskedOnce(t *testing.T) {
	var asked []string
	var fault error
	var r *rig
	r = newRig(t, "openbsd", pfctl.Config{Known: func(_ context.Context, part pfctl.Table, list []netip.Prefix) ([]netip.Prefix, error) {
		if part != pfctl.Banned {
			t.Errorf("asked for table %v", part)
		}
		var names, ours = []string(nil), []netip.Prefix(nil)
		for _, p := range list {
			names = append(names, p.Addr().String())
			if p.String() == "198.51.100.1/32" {
				ours = append(ours, p)
			}
		}
		slices.Sort(names)
		asked = append(asked, strings.Join(names, " "))
		if err := r.d.Add(entries(pfctl.Banned, "192.0.2.8")...); err != nil { // it would never return if the driver waited for us
			t.Error(err)
		}
		return ours, fault
	}})
	r.start(entries(pfctl.Banned, "192.0.2.7")...)
	r.admin("-a pfwarden -t banned -T add 198.51.100.1 198.51.100.2 198.51.100.3")
	fault = errors.New("the ledger is locked")
	r.mend()
	r.want("banned", "192.0.2.7 192.0.2.8 198.51.100.1 198.51.100.2 198.51.100.3")
	fault = nil
	r.mend()
	r.want("banned", "192.0.2.7 192.0.2.8 198.51.100.2 198.51.100.3")
	r.mend()
	r.admin("-a pfwarden -t banned -T add 198.51.100.4")
	r.mend()
	r.mend()
	all := "198.51.100.1 198.51.100.2 198.51.100.3"
	if want := []string{all, all, "198.51.100.4"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	if n := r.d.Stats().Foreign[pfctl.Banned]; n != 3 {
		t.Errorf("%d foreign entries, want 3", n)
	}
}
