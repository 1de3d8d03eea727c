package report

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pfwarden/capture"
	"pfwarden/detect"
	"pfwarden/internal/ledger"
	"pfwarden/internal/testkit/golden"
	"pfwarden/internal/warden"
)

var t0 = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const hostile = "root\x1b[2J'\"><script>alert(1)</script>\u202e=cmd|' /C calc'!A0\x00\xff"

// day collects a small day by way of a real warden.
func sampleDay(t *testing.T, events io.Writer, o Options) *Collector {
	t.Helper()
	c := New(o)
	lines := NewJSON(events)
	w, err := warden.New(t.Context(), warden.Config{OnEvent: func(e warden.Event) { c.Event(e); lines.Event(e) }}, &ledger.Memory{}, nowhere{}, &warden.NeverList{}, t0)
	if err != nil {
		t.Fatal(err)
	}
	commit := func() {
		if err := w.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	scanner, guesser, friend := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8:0:1::5"), netip.MustParseAddr("198.51.100.1")
	for i := range 40 {
		at := t0.Add(time.Duration(i) * time.Minute)
		w.Tick(at)
		commit()
		p := &capture.Packet{Time: at, Action: capture.ActionBlock, Direction: capture.In, Interface: "em0", Rule: 7, Subrule: capture.NoRule, Length: 40}
		p.Flow.Source = scanner
		o := detect.Observation{Time: at, Source: scanner, Jail: "portscan", Kind: detect.Probe, Target: detect.Target{Address: netip.MustParseAddr("203.0.113.5"), Port: uint16(20 + i%3), Protocol: 6}}
		if w.Hit(at, scanner, p.Length) {
			c.Stopped(p)
		}
		c.Packet(p, []detect.Observation{o})
		if i == 6 {
			v := detect.Verdict{Time: at, Source: netip.PrefixFrom(scanner, 32), Jail: "portscan", Shares: []detect.Share{{Jail: "portscan", Fraction: 1}}, Reasons: []string{"7 new doors in 7 min"}}
			w.Judge(at, v)
			c.Verdict(&v, true)
		}
		f := detect.Observation{Time: at, Source: guesser, Jail: "sshd", Kind: detect.Failure, Proven: true, User: hostile}
		c.Line(&capture.Line{Origin: "/var/log/authlog"}, at, []detect.Observation{f})
		if i == 4 {
			v := detect.Verdict{
				Time: at, Source: netip.MustParsePrefix("2001:db8:0:1::/64"), Jail: "sshd", Proven: true, Failures: 5,
				Shares: []detect.Share{{Jail: "sshd", Fraction: 1, Proven: true}}, Reasons: []string{"5 failed log-ins, last as " + hostile},
			}
			w.Judge(at, v)
			c.Verdict(&v, true)
		}
		commit()
	}
	v := detect.Verdict{Time: t0, Source: netip.PrefixFrom(friend, 32), Jail: "portscan", Stopped: true, Gates: []detect.GateAnswer{{Gate: "contact", Stopped: true, Text: "we spoke to it"}}}
	w.Judge(t0.Add(40*time.Minute), v)
	c.Verdict(&v, false)
	commit()
	c.Rejected(3)
	c.Live(w.Live())
	r := c.Report()
	lines.End(&r)
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return c
}

type nowhere struct{}

func (nowhere) Add(_ context.Context, _ ...warden.Entry) error    { return nil }
func (nowhere) Delete(_ context.Context, _ ...warden.Entry) error { return nil }

var sampleLabels = []Label{
	{netip.MustParseAddr("192.0.2.7"), "slow_vertical", true, t0, t0.Add(time.Hour)},
	{netip.MustParseAddr("2001:db8:0:1::5"), "brute_force", true, t0, t0.Add(time.Hour)},
	{netip.MustParseAddr("2001:db8:0:9::5"), "brute_force", true, t0, t0.Add(time.Hour)},
	{netip.MustParseAddr("198.51.100.1"), "framed_friend", false, t0, t0.Add(time.Hour)},
}

func TestGolden(t *testing.T) {
	var events, text, page, table bytes.Buffer
	c := sampleDay(t, &events, Options{Labels: sampleLabels})
	r := c.Report()
	if err := errors.Join(r.Text(&text, TextOptions{}), r.HTML(&page), r.CSV(&table)); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("testdata", "day.jsonl"), events.String())
	golden.Check(t, filepath.Join("testdata", "day.txt"), text.String())
	golden.Check(t, filepath.Join("testdata", "day.html"), page.String())
	golden.Check(t, filepath.Join("testdata", "day.csv"), table.String())
	for _, line := range strings.Split(strings.TrimSpace(events.String()), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}

func TestHostileTextIsHarmless(t *testing.T) {
	var text, page, table bytes.Buffer
	c := sampleDay(t, io.Discard, Options{})
	r := c.Report()
	if err := errors.Join(r.Text(&text, TextOptions{}), r.HTML(&page), r.CSV(&table)); err != nil {
		t.Fatal(err)
	}
	for name, out := range map[string]string{"text": text.String(), "html": page.String(), "csv": table.String()} {
		if strings.ContainsAny(out, "\x1b\x00\u202e") {
			t.Errorf("%s holds control characters", name)
		}
	}
	for _, bad := range []string{"<script>", "http://", "https://", "src=", "href=", "url("} {
		if strings.Contains(page.String(), bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	// The page's drawings are well-formed.
	for i, svg := range strings.Split(page.String(), "<svg")[1:] {
		d := xml.NewDecoder(strings.NewReader("<svg" + svg[:strings.Index(svg, "</svg>")+6]))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("drawing %d: %v", i, err)
			}
		}
	}
	if got := cell("=1+1"); got != "'=1+1" {
		t.Errorf("formula: %s", got)
	}
}

func TestEmpty(t *testing.T) {
	var text, page, table, events bytes.Buffer
	r := New(Options{}).Report()
	j := NewJSON(&events)
	j.End(&r)
	if err := errors.Join(r.Text(&text, TextOptions{}), r.HTML(&page), r.CSV(&table), j.Err()); err != nil {
		t.Fatal(err)
	}
	want := `{"event":"summary","records":0,"packets":0,"lines":0,"rejected":0,"sources":0,"bans":0,"banned_addresses":0,"stopped_packets":0,"first":null,"last":null}` + "\n"
	if events.String() != want {
		t.Errorf("summary %s, want %s", events.String(), want)
	}
	if !strings.Contains(text.String(), "Nobody would have been banned") {
		t.Error(text.String())
	}
}

func TestScore(t *testing.T) {
	c := sampleDay(t, io.Discard, Options{Labels: sampleLabels})
	want := []Score{
		{"score", "brute_force", true, 2, 1, .5, 240, 5},
		{"score", "slow_vertical", true, 1, 1, 1, 360, 7},
		{"score", "framed_friend", false, 1, 0, 0, 0, 0},
	}
	r := c.Report()
	if d := cmp.Diff(want, r.Scores); d != "" {
		t.Error(d)
	}
}

// A source of IPv6 is its /64: what other addresses of it sent before the ban is counted, and what came after is not.
func TestScorePrefix(t *testing.T) {
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s := newScorer([]Label{{Address: netip.MustParseAddr("2001:db8:1::1"), Class: "scan", Want: true, First: start}, {Address: netip.MustParseAddr("192.0.2.7"), Class: "scan", Want: true, First: start}})
	for _, a := range []string{"2001:db8:1::1", "2001:db8:1::2", "2001:db8:1:0:f::3", "2001:db8:1:1::1", "192.0.2.7", "192.0.2.8"} {
		s.record(netip.MustParseAddr(a))
	}
	s.ban(netip.MustParsePrefix("2001:db8:1::/64"), start.Add(time.Minute))
	s.record(netip.MustParseAddr("2001:db8:1::4"))
	if six, four := s.list[0], s.list[1]; six.records != 3 || !six.banned || four.records != 1 || four.banned {
		t.Errorf("%+v, %+v", six, four)
	}
}

func TestReadLabels(t *testing.T) {
	good := "address,class,want,first,last\n192.0.2.7,scan,1,2026-11-22T12:00:00Z,2026-11-22T13:00:00.5Z\n::ffff:192.0.2.8,friend,0,,\n"
	labels, err := ReadLabels(strings.NewReader(good))
	if err != nil || len(labels) != 2 || labels[1].Address.String() != "192.0.2.8" || labels[1].Want || !labels[0].Want || labels[0].Class != "scan" {
		t.Errorf("%+v, %v", labels, err)
	}
	for text, want := range map[string]string{
		"": "is empty, expected the header address,class", labelsHeader + "\n192.0.2.0/24,c,1,,\n": "the prefix 192.0.2.0/24, expected one source",
		labelsHeader + "\n2001:db8::/48,c,1,,\n": "expected one source", "a,b,c,d,e\n": "header", "address,class,want,first,last\nx,c,1,,\n": "line 2: address", "address,class,want,first,last\n::1,c,2,,\n": "want is",
		"address,class,want,first,last\n::1,,1,,\n": "class is empty", "address,class,want,first,last\n::1,c,1,yesterday,\n": "first is \"yesterday\", expected a time such as", "address,class,want,first,last\n::1,c\n": "line 2",
	} {
		if _, err := ReadLabels(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestReadLabelsOfPrefixes: the prefix of an IPv6 source, as verdicts name it, stands for any address in it.
func TestReadLabelsOfPrefixes(t *testing.T) {
	labels, err := ReadLabels(strings.NewReader(labelsHeader + "\n2001:db8:5::/64,scan,1,,\n192.0.2.7/32,scan,1,,\n"))
	if err != nil || len(labels) != 2 || labels[0].Address.String() != "2001:db8:5::" || labels[1].Address.String() != "192.0.2.7" {
		t.Fatalf("%+v, %v", labels, err)
	}
	s := newScorer(labels)
	s.ban(netip.MustParsePrefix("2001:db8:5::/64"), time.Time{})
	if !s.list[0].banned || s.list[1].banned {
		t.Errorf("%+v, %+v", s.list[0], s.list[1])
	}
}

func FuzzReadLabels(f *testing.F) {
	f.Add("address,class,want,first,last\n192.0.2.7,scan,1,2026-11-22T12:00:00Z,2026-11-22T13:00:00.5Z\n")
	f.Add("address,class,want,first,last\n\"::1\n\",c,1,,\n")
	f.Fuzz(func(t *testing.T, text string) {
		labels, err := ReadLabels(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, l := range labels {
			if !l.Address.IsValid() || l.Class == "" {
				t.Errorf("%+v", l)
			}
		}
	})
}

func TestTallyIsBounded(t *testing.T) {
	c := newTally[string](100)
	for i := range 100_000 {
		c.add(fmt.Sprint(i), 1)
		if i%10 == 0 {
			c.add("big", 1)
		}
	}
	if len(c.counts) > 100 {
		t.Errorf("%d keys, bound 100", len(c.counts))
	}
	if top := c.top(1, func(s string) string { return s }); top[0] != (Row{"big", 10_000}) {
		t.Errorf("top %+v", top)
	}
	total := c.shed
	for _, n := range c.counts {
		total += *n
	}
	if total != 110_000 {
		t.Errorf("%d counted or shed, want all 110000", total)
	}
}

func TestDistinct(t *testing.T) {
	for _, n := range []int{0, 10, 1000, 50_000, 500_000} {
		d := newDistinct(1000)
		for i := range n {
			a := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
			d.add(a)
			d.add(a)
		}
		got, exact := d.count()
		if exact != (n <= 1000) || math.Abs(float64(got)-float64(n)) > .03*float64(n) || exact && got != uint64(n) {
			t.Errorf("%d different: counted %d, exact %v", n, got, exact)
		}
	}
}

// Whatever order and span the times have: nothing is lost, and the picture is bounded.
func TestTimeline(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var line Timeline
		offsets := rapid.SliceOfN(rapid.Int64Range(-400*86400, 400*86400), 1, 50).Draw(rt, "seconds")
		for i, s := range offsets {
			at := t0.Add(time.Duration(s) * time.Second)
			line.add(at, Bin{Blocked: 1})
			if len(line.Bins) > Bins {
				rt.Fatalf("%d steps", len(line.Bins))
			}
			sum := uint64(0)
			for _, b := range line.Bins {
				sum += b.Blocked
			}
			if sum != uint64(i+1) {
				rt.Fatalf("%d of %d records are in it", sum, i+1)
			}
			j := int(at.Sub(line.Start) / line.Width)
			if at.Before(line.Start) || j >= len(line.Bins) || line.Bins[j].Blocked == 0 {
				rt.Fatalf("the record at %v is not where it belongs", at)
			}
		}
	})
}

func TestBanListIsBounded(t *testing.T) {
	c := New(Options{Bans: 3})
	for i := range 5 {
		c.Event(warden.Event{Kind: warden.EventBan, Time: t0, Ban: ledger.Ban{ID: int64(i + 1), Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32), Since: t0}})
	}
	r := c.Report()
	if len(r.Bans) != 3 || r.Unlisted != 2 || r.BanEvents != 5 {
		t.Errorf("%d listed, %d not, %d in all", len(r.Bans), r.Unlisted, r.BanEvents)
	}
	var text bytes.Buffer
	if err := r.Text(&text, TextOptions{Bans: 2}); err != nil || !strings.Contains(text.String(), "and 3 more") {
		t.Errorf("%v\n%s", err, text.String())
	}
}
