package livetest

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/testkit"
	"pfwarden/pfctl/pftest"
)

// TestView compares all that tells PF's counters with PF itself, at once after packets were stopped: pf, bans, explain and metrics, as
// two processes where we are root. Before the ban the host has connections in both directions; after it they are gone.
func TestView(t *testing.T) {
	t.Parallel()
	programs := buildUnlessShort(t)
	for _, profile := range pftest.Profiles() {
		shapes := []string{"--user=nobody"}
		if os.Getuid() != 0 {
			shapes = []string{"--single-process"}
		} else if profile == "openbsd" {
			shapes = append(shapes, "--single-process")
		}
		for _, shape := range shapes {
			t.Run(profile+shape, func(t *testing.T) {
				t.Parallel()
				g := programs.gateway(t, profile, callUs)
				g.more = []string{shape}
				const bad, net6, in6 = "198.51.100.9", "2001:db8:bad::/64", "2001:db8:bad::7"
				for _, p := range []string{"in 4 " + bad + " 203.0.113.1 6 4000 22 60 2 1", "out 4 203.0.113.1 " + bad + " 6 5000 80 60 2 1",
					"in 6 " + in6 + " 2001:db8::1 6 4000 22 80 2 1", "out 6 2001:db8::1 " + in6 + " 17 53 53 80 0 1"} {
					if got := g.packet(p); got != "pass=1 drop=0" {
						t.Fatalf("%s: %s", p, got)
					}
				}
				g.run("")
				g.cli("ban", "--for", "1h", bad, net6)
				testkit.Within(t, 5*time.Second, "the states are gone", func() bool { return g.standIn("-s", "states") == "" })

				for p, want := range map[string]string{
					"in 4 " + bad + " 203.0.113.1 6 4000 22 60 2 7": "pass=0 drop=7", "in 6 " + in6 + " 2001:db8::1 17 53 53 100 0 3": "pass=0 drop=3",
					"in 4 198.51.100.10 203.0.113.1 6 4000 22 60 2 2": "pass=2 drop=0"} {
					if got := g.packet(p); got != want {
						t.Errorf("%s: %s, want %s", p, got, want)
					}
				}
				if text := g.cli("explain", bad); !strings.Contains(text, "this ban stopped 7 packets, last just now") {
					t.Errorf("explain:\n%s", text)
				}
				var view struct {
					Filtering, Enabled, Called bool
					Words, Main, Anchors       []string
					Tables                     []struct {
						Name               string
						Addresses, Packets int
					}
					Addresses []struct {
						Table, Address string
						InBlock        struct{ Packets, Bytes int } `json:"in_block"`
					}
					Problems []any
				}
				testkit.Must(t, json.Unmarshal([]byte(g.cli("pf", "-o", "json")), &view))
				if !view.Filtering || !view.Enabled || !view.Called || len(view.Problems) != 0 || fmt.Sprint(view.Anchors) != "[pfwarden]" ||
					fmt.Sprint(view.Tables) != "[{banned 2 10} {suspects 0 0}]" || fmt.Sprint(view.Addresses) != "[{banned "+bad+" {7 420}} {banned "+net6+" {3 300}}]" {
					t.Errorf("pf -o json: %+v", view)
				}
				main := strings.Split(strings.TrimSpace(g.standIn("-s", "rules")), "\n")
				ours := strings.Split(strings.TrimSpace(g.standIn("-a", "pfwarden", "-s", "rules")), "\n")
				if len(view.Main) != len(main)+len(ours) || view.Main[0] != main[0] || view.Main[1] != "    "+ours[0] || view.Main[2] != "    "+ours[1] || view.Main[3] != main[1] {
					t.Errorf("main rules with the anchor inline: %q; PF has %q and %q", view.Main, main, ours)
				}
				if b := g.bans(); b[bad].Packets != 7 || b[net6].Packets != 3 {
					t.Errorf("bans: %v", b)
				}
				for address, want := range map[string]float64{bad: 7, net6: 3} {
					series := fmt.Sprintf(`pfwarden_pf_address_packets_total{action="block",address=%q,direction="in",table="banned"}`, address)
					if got := g.metric(series); got != want {
						t.Errorf("%s is %v, want %v", series, got, want)
					}
				}
				if got := g.metric(`pfwarden_pf_table_packets_total{action="block",direction="in",table="banned"}`); got != 10 {
					t.Errorf("the table's total is %v, want 10", got)
				}
			})
		}
	}
}
