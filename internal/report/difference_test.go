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
	d := Compare(before, after, []string{"portscan.threshold=5"}, nil)
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
{"event":"difference_summary","settings":["portscan.threshold=5"],"more":2,"no_longer":1,"same":1,"sooner":0,"later":0,"other_table":0,"bans_before":3,"bans_after":3,"stopped_packets_before":10,"stopped_packets_after":25,"unlisted":0}
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

// TestCompareLabelled: of sources that both ban it is told who is banned sooner, later, or for more; and what the settings are worth by the labels.
func TestCompareLabelled(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, time.October, 1, 12, 0, 0, 0, time.UTC)
	ban := func(prefix, table string, minutes int) ledger.Ban {
		return ledger.Ban{Prefix: netip.MustParsePrefix(prefix), Table: table, Jail: "portscan", Since: at.Add(time.Duration(minutes) * time.Minute)}
	}
	labels := []Label{
		{Address: netip.MustParseAddr("192.0.2.1"), Class: "bots", Want: true}, {Address: netip.MustParseAddr("192.0.2.2"), Class: "bots", Want: true},
		{Address: netip.MustParseAddr("192.0.2.3"), Class: "mistyped"}, {Address: netip.MustParseAddr("2001:db8::7"), Class: "scan6", Want: true},
	}
	score := func(bots, mistyped int) []Score {
		return []Score{{Class: "bots", Want: true, Sources: 2, Banned: bots, Recall: float64(bots) / 2}, {Class: "mistyped", Sources: 1, Banned: mistyped, Recall: float64(mistyped)}, {Class: "scan6", Want: true, Sources: 1, Banned: 1, Recall: 1}}
	}
	before := &Report{Scores: score(2, 0), Bans: []ledger.Ban{
		ban("192.0.2.1/32", "suspects", 5), ban("192.0.2.2/32", "suspects", 6), ban("2001:db8::/64", "suspects", 7),
	}}
	after := &Report{Scores: score(2, 1), Bans: []ledger.Ban{
		ban("192.0.2.1/32", "suspects", 4), ban("192.0.2.2/32", "suspects", 9), ban("192.0.2.3/32", "banned", 1), ban("2001:db8::/64", "banned", 7),
	}}
	d := Compare(before, after, nil, labels)
	if d.More != 1 || d.Same != 3 || d.Sooner != 1 || d.Later != 1 || d.OtherTable != 1 || len(d.Classes) != 1 {
		t.Errorf("%+v", d)
	}
	var b bytes.Buffer
	j := NewJSON(&b)
	j.Difference(&d)
	for _, want := range []string{
		`{"event":"difference","address":"192.0.2.3","class":"mistyped","change":"more",`, `"address":"2001:db8::/64","class":"scan6","change":"table","before":{`,
		`{"event":"difference_score","class":"mistyped","want":false,"sources":1,"banned_before":0,"banned_after":1,"recall_before":0,"recall_after":1}`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("JSON lacks %s:\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := d.Text(&b, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"of those banned as before 1 sooner, 1 later, 1 into another table", "  mistyped      no        1           0         1", "+ 192.0.2.3 (mistyped)  ", "~ 2001:db8::/64 (scan6)  2026-10-01 12:07:00 UTC, suspects → banned, 1 ban",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, b.String())
		}
	}
	if same := Compare(before, before, nil, labels); len(same.Classes) != 0 || len(same.Changes) != 0 || same.Sooner+same.Later != 0 {
		t.Errorf("beside itself: %+v", same)
	}
}
