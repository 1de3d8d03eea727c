package metrics

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestTopAgainstSorting compares the heap with the obvious way: sort everything, take the first n.
func TestTopAgainstSorting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hosts := rapid.SliceOfDistinct(rapid.Byte(), rapid.ID[byte]).Draw(t, "hosts")
		n := rapid.IntRange(0, 20).Draw(t, "n")
		var all []AddressCounters
		for _, h := range hosts {
			packets := rapid.Uint64Range(0, 5).Draw(t, "packets") // few values, so that there are equals
			all = append(all, AddressCounters{netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, h}), 32), Counts{OutBlock: Count{packets, 0}}})
		}
		got := addresses(top(all, n))

		slices.SortFunc(all, func(a, b AddressCounters) int {
			return cmp.Or(cmp.Compare(b.packets(), a.packets()), a.Prefix.Compare(b.Prefix))
		})
		want := addresses(all[:min(n, len(all))])
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	})
}

func addresses(of []AddressCounters) []string {
	list := []string{}
	for _, a := range of {
		list = append(list, a.Prefix.String())
	}
	slices.Sort(list)
	return list
}

func TestTopDropsDuplicates(t *testing.T) {
	p := netip.MustParsePrefix("192.0.2.1/32")
	all := []AddressCounters{{p, Counts{InBlock: Count{5, 0}}}, {p, Counts{InBlock: Count{9, 0}}}}
	if got := top(all, 5); len(got) != 1 {
		t.Errorf("%d entries of one address", len(got))
	}
}

func TestAddressLabel(t *testing.T) {
	for prefix, want := range map[string]string{
		"192.0.2.1/32":        "192.0.2.1",
		"192.0.2.0/24":        "192.0.2.0/24",
		"2001:db8::1/128":     "2001:db8::1",
		"2001:db8:0:1::/64":   "2001:db8:0:1::/64",
		"::ffff:192.0.2.1/96": "::ffff:192.0.2.1/96",
	} {
		if got := addressLabel(netip.MustParsePrefix(prefix)); got != want {
			t.Errorf("%s: %s, want %s", prefix, got, want)
		}
	}
}

func TestTotalsNeverGoDown(t *testing.T) {
	day := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	type reading struct {
		packets uint64
		cleared time.Time
		at      time.Duration
		want    uint64
	}
	for _, c := range []struct {
		name     string
		readings []reading
	}{
		{"growing", []reading{{10, day, 1, 10}, {15, day, 2, 15}}},
		{"reset to less", []reading{{10, day, 1, 10}, {3, day, 2, 13}, {4, day, 3, 14}}},
		{"reset and outgrown since", []reading{{10, day, 1, 10}, {12, day.Add(time.Hour), 2, 22}, {13, day.Add(time.Hour), 3, 23}}},
		{"date of reset unknown", []reading{{10, time.Time{}, 1, 10}, {12, time.Time{}, 2, 12}, {1, time.Time{}, 3, 13}}},
		{"date missing once", []reading{{10, day, 1, 10}, {12, time.Time{}, 2, 12}, {14, day, 3, 14}}},
		{"scrapes overtake each other", []reading{{10, day, 1, 10}, {20, day, 3, 20}, {15, day, 2, 20}, {21, day, 4, 21}}},
		{"two resets", []reading{{10, day, 1, 10}, {0, day, 2, 10}, {5, day, 3, 15}, {2, day, 4, 17}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m monotonic
			for i, r := range c.readings {
				got := m.update(Counts{InBlock: Count{r.packets, r.packets * 40}}, r.cleared, day.Add(r.at*time.Second))
				if want := (Count{r.want, r.want * 40}); got.InBlock != want {
					t.Errorf("reading %d: %v, want %v", i, got.InBlock, want)
				}
			}
		})
	}
}

func TestAddressesAreBounded(t *testing.T) {
	for _, c := range []struct {
		name                     string
		allowed, series, missing int
	}{
		{"none", 0, 0, 5},
		{"negative counts as none", -1, 0, 5},
		{"some", 2, 2, 3},
		{"more than there are", 100, 4, 1}, // PF holds one more than were listed
	} {
		t.Run(c.name, func(t *testing.T) {
			m := New(Options{Addresses: c.allowed})
			m.Attach(Sources{PF: func() (PFCounters, error) {
				table := TableCounters{Table: "suspects", Addresses: 5, Totals: Counts{InBlock: Count{100, 4000}}}
				for i := range 4 {
					a := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
					table.ByAddress = append(table.ByAddress, AddressCounters{netip.PrefixFrom(a, 32), Counts{InBlock: Count{uint64(i), 0}}})
				}
				return PFCounters{Tables: []TableCounters{table}}, nil
			}})
			text := scrape(t, m)
			if got := strings.Count(text, "\npfwarden_pf_address_packets_total{"); got != 4*c.series {
				t.Errorf("%d samples of addresses, want 4 × %d", got, c.series)
			}
			if c.series > 0 && !strings.Contains(text, `address="192.0.2.3"`) {
				t.Error("the address with most packets is not among them")
			}
			for _, want := range []string{
				`pfwarden_pf_table_packets_total{action="block",direction="in",table="suspects"} 100`,
				`pfwarden_pf_addresses_not_shown{table="suspects"} ` + string(rune('0'+c.missing)),
				`pfwarden_pf_table_addresses{table="suspects"} 5`,
			} {
				if !strings.Contains(text, "\n"+want+"\n") {
					t.Errorf("missing: %s", want)
				}
			}
		})
	}
}
