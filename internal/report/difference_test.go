package report

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/ledger"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, time.October, 1, 12, 0, 0, 0, time.UTC)
	ban := func(prefix string, minutes int) ledger.Ban {
		return ledger.Ban{Prefix: netip.MustParsePrefix(prefix), Table: "suspects", Jail: "portscan", Since: at.Add(time.Duration(minutes) * time.Minute), Reasons: []string{"doors"}}
	}
	before := &Report{Summary: Summary{BanEvents: 3, StoppedPackets: 10}, Bans: []ledger.Ban{ban("192.0.2.9/32", 0), ban("192.0.2.10/32", 1), ban("192.0.2.10/32", 30)}}
	after := &Report{Summary: Summary{BanEvents: 3, StoppedPackets: 25}, Bans: []ledger.Ban{
		ban("192.0.2.10/32", 1), ban("192.0.2.200/32", 2), ban("2001:db8::/64", 3),
	}}
	d := Compare(before, after, []string{"portscan.threshold=5"})
	if d.More != 2 || d.NoLonger != 1 || d.Same != 1 {
		t.Errorf("%+v", d.DifferenceSummary)
	}
	var b bytes.Buffer
	j := NewJSON(&b)
	j.Difference(&d)
	if err := j.Err(); err != nil {
		t.Fatal(err)
	}
	want := `{"event":"difference","address":"192.0.2.200","change":"more","before":null,"after":{"bans":1,"first":"2026-10-01T12:02:00Z","table":"suspects","jail":"portscan","reasons":["doors"]}}
{"event":"difference","address":"2001:db8::/64","change":"more","before":null,"after":{"bans":1,"first":"2026-10-01T12:03:00Z","table":"suspects","jail":"portscan","reasons":["doors"]}}
{"event":"difference","address":"192.0.2.9","change":"no_longer","before":{"bans":1,"first":"2026-10-01T12:00:00Z","table":"suspects","jail":"portscan","reasons":["doors"]},"after":null}
{"event":"difference_summary","settings":["portscan.threshold=5"],"more":2,"no_longer":1,"same":1,"bans_before":3,"bans_after":3,"stopped_packets_before":10,"stopped_packets_after":25,"unlisted":0}
`
	if got := b.String(); got != want {
		t.Errorf("JSON:\n%s\nexpected:\n%s", got, want)
	}
	b.Reset()
	if err := d.Text(&b, TextOptions{Bans: 1}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"portscan.threshold=5", "2 sources more banned, 1 no longer, 1 as before", "+ 192.0.2.200", "- 192.0.2.9 ", "… and 1 other sources more banned"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "192.0.2.10 ") || strings.Contains(b.String(), "2001:db8") {
		t.Errorf("the text has too much:\n%s", b.String())
	}
}
