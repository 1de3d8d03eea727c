package simulate_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/internal/report"
	"pfwarden/internal/simulate"
)

// traffic is one simulation, written and read again.
type traffic struct {
	pflog, auth, httpd bytes.Buffer
	labels             []report.Label
	totals             simulate.Totals
	packets            []capture.Packet
}

func run(t *testing.T, o simulate.Options, dialect string) *traffic {
	t.Helper()
	f, err := simulate.ParseDialect(dialect)
	if err != nil {
		t.Fatal(err)
	}
	x := &traffic{}
	x.labels, x.totals, err = simulate.Run(t.Context(), o, simulate.Output{Pflog: &x.pflog, Format: f, AuthLog: &x.auth, ErrorLog: &x.httpd})
	if err != nil {
		t.Fatal(err)
	}
	r, err := pflog.NewReader(bytes.NewReader(x.pflog.Bytes()), "", pflog.Options{OnReject: func(r pflog.Rejected) { t.Error(r) }})
	if err != nil {
		t.Fatal(err)
	}
	for {
		var p capture.Packet
		if err := r.Next(&p); errors.Is(err, io.EOF) {
			return x
		} else if err != nil {
			t.Fatal(err)
		}
		x.packets = append(x.packets, p)
	}
}

func small(o simulate.Options) simulate.Options {
	if o.Scale == 0 {
		o.Scale = 0.02
	}
	return o
}

// TestDeterminism: the same options give the same bytes, another seed gives others.
func TestDeterminism(t *testing.T) {
	t.Parallel()
	o := small(simulate.Options{Seed: 7, Hosts: 8, Flood: 500, Evict: 100, Frame: 3, GateRaising: 2})
	a, b := run(t, o, "openbsd"), run(t, o, "openbsd")
	if !bytes.Equal(a.pflog.Bytes(), b.pflog.Bytes()) || !bytes.Equal(a.auth.Bytes(), b.auth.Bytes()) || !bytes.Equal(a.httpd.Bytes(), b.httpd.Bytes()) {
		t.Error("two runs with the same seed differ")
	}
	o.Seed++
	if bytes.Equal(a.pflog.Bytes(), run(t, o, "openbsd").pflog.Bytes()) {
		t.Error("another seed gives the same packets")
	}
}

// TestIndependence: an attack adds records and changes none of the others'.
func TestIndependence(t *testing.T) {
	t.Parallel()
	calm := run(t, small(simulate.Options{Seed: 3}), "openbsd")
	attacked := run(t, small(simulate.Options{Seed: 3, Flood: 1000, Evict: 200, GateRaising: 3, Frame: 3}), "openbsd")
	calmLabels := map[netip.Addr]bool{}
	for _, l := range calm.labels {
		calmLabels[l.Address] = true
	}
	var rest []capture.Packet
	for _, p := range attacked.packets {
		if calmLabels[p.Source] || calmLabels[p.Destination] || p.Source.Is6() {
			rest = append(rest, p)
		}
	}
	if len(rest) != len(calm.packets) {
		t.Fatalf("%d packets of others with the attacks, %d without", len(rest), len(calm.packets))
	}
	for i := range rest {
		if rest[i].Time != calm.packets[i].Time || rest[i].Flow != calm.packets[i].Flow {
			t.Fatalf("packet %d is %v %v with the attacks, %v %v without", i, rest[i].Time, rest[i].Flow, calm.packets[i].Time, calm.packets[i].Flow)
		}
	}
}

// TestShape checks what every simulation promises: order, times, labels that fit the records, addresses that exist once, log lines for the
// guessers, no label for what only passes.
func TestShape(t *testing.T) {
	t.Parallel()
	forged := netip.MustParsePrefix("128.0.0.0/2") // out of which the sources of floods are, and nobody else
	for _, hosts := range []int{1, 8, 256, 2000} {
		o := small(simulate.Options{Seed: 11, Hosts: hosts, Days: 1.5, Flood: 300, Evict: 50, GateRaising: 2, Frame: 2})
		x := run(t, o, "openbsd")
		first := time.Date(2026, time.October, 1, 0, 0, 0, 0, time.UTC)
		last := first
		destinations := map[netip.Addr]bool{}
		sources := map[netip.Addr]time.Time{}
		for _, p := range x.packets {
			if p.Time.Before(last) {
				t.Fatalf("hosts %d: a packet of %v after one of %v", hosts, p.Time, last)
			}
			last = p.Time
			if p.Action == capture.ActionBlock {
				if destinations[p.Destination] = true; p.Interface != simulate.Interface || p.Direction != capture.In {
					t.Fatalf("hosts %d: %+v", hosts, p)
				}
			}
			if _, ok := sources[p.Source]; !ok {
				sources[p.Source] = p.Time
			}
		}
		if end := first.Add(36 * time.Hour); last.After(end) || last.Before(end.Add(-2*time.Hour)) {
			t.Errorf("hosts %d: the last packet is of %v", hosts, last)
		}
		four := 0
		for a := range destinations {
			if a.Is4() {
				four++
			}
		}
		if four > hosts || hosts <= 256 && four < hosts {
			t.Errorf("hosts %d: %d IPv4 destinations", hosts, four)
		}
		seen := map[netip.Addr]bool{}
		classes := map[string]int{}
		for _, l := range x.labels {
			if seen[l.Address] {
				t.Errorf("hosts %d: two labels for %v", hosts, l.Address)
			}
			seen[l.Address] = true
			classes[l.Class]++
			if at, ok := sources[l.Address]; ok && at.Sub(l.First).Abs() > time.Microsecond {
				t.Errorf("hosts %d: %v (%s) is labelled from %v on, its first packet is of %v", hosts, l.Address, l.Class, l.First, at)
			} else if !ok {
				t.Errorf("hosts %d: nothing came from %v (%s)", hosts, l.Address, l.Class)
			}
			if l.Last.Before(l.First) {
				t.Errorf("hosts %d: label %+v", hosts, l)
			}
			if flood := l.Class == "flood" || l.Class == "evict"; flood != forged.Contains(l.Address) {
				t.Errorf("hosts %d: %v of class %s", hosts, l.Address, l.Class)
			}
		}
		for _, c := range simulate.Classes() {
			if (classes[c.Name] > 0) != (c.Usual || strings.Contains("flood evict framed_attack gate_raiser", c.Name)) {
				t.Errorf("hosts %d: %d senders of class %s", hosts, classes[c.Name], c.Name)
			}
		}
		if x.totals.Packets != uint64(len(x.packets)) || x.totals.AuthLines != uint64(bytes.Count(x.auth.Bytes(), []byte("\n"))) ||
			x.totals.ErrorLines != uint64(bytes.Count(x.httpd.Bytes(), []byte("\n"))) || x.totals.Senders != len(x.labels) {
			t.Errorf("hosts %d: totals %+v", hosts, x.totals)
		}
	}
}

// TestDialects: the same traffic in every dialect reads the same.
func TestDialects(t *testing.T) {
	t.Parallel()
	o := small(simulate.Options{Seed: 5, Hosts: 8})
	want := run(t, o, "openbsd").packets
	for _, dialect := range simulate.Dialects() {
		got := run(t, o, dialect).packets
		if len(got) != len(want) {
			t.Errorf("%s: %d packets, expected %d", dialect, len(got), len(want))
			continue
		}
		for i := range got {
			g, w := &got[i], &want[i]
			if g.Time != w.Time || g.Flow != w.Flow || g.Action != w.Action || g.Direction != w.Direction || g.TCPFlags != w.TCPFlags || g.TCPSeq != w.TCPSeq ||
				g.IPID != w.IPID || g.TTL != w.TTL || g.Interface != w.Interface || g.Rule != w.Rule || g.Length != w.Length {
				t.Errorf("%s: packet %d is %+v, expected %+v", dialect, i, g, w)
				break
			}
		}
	}
	if _, err := simulate.ParseDialect("plan9"); err == nil {
		t.Error("an unknown dialect was taken")
	}
}

// TestClassesAlone: a class named is the only one, on-demand classes included.
func TestClassesAlone(t *testing.T) {
	t.Parallel()
	for _, c := range simulate.Classes() {
		if c.Name == "flood" || c.Name == "evict" || c.Name == "framed_attack" || c.Name == "gate_raiser" {
			continue
		}
		x := run(t, small(simulate.Options{Seed: 1, Classes: []string{c.Name}}), "openbsd")
		if len(x.labels) == 0 {
			t.Errorf("%s: nobody", c.Name)
		}
		for _, l := range x.labels {
			if l.Class != c.Name || l.Want != c.Want {
				t.Errorf("%s: label %+v", c.Name, l)
			}
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		o    simulate.Options
		want string
	}{
		{"hosts", simulate.Options{Hosts: 1 << 17}, "hosts"},
		{"negative hosts", simulate.Options{Hosts: -1}, "hosts"},
		{"days", simulate.Options{Days: -1}, "days"},
		{"scale", simulate.Options{Scale: 1e9}, "scale"},
		{"flood", simulate.Options{Flood: 1 << 30}, "flood"},
		{"frame", simulate.Options{Frame: -1}, "framing of -1 sources"},
		{"evict", simulate.Options{Evict: -1}, "evictions by -1 sources"},
		{"flood span", simulate.Options{Flood: 5, FloodSpan: -time.Hour}, "a flood of -1h0m0s"},
		{"class", simulate.Options{Classes: []string{"martians"}}, `no class "martians"`},
		{"start", simulate.Options{Start: time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)}, "1900"},
	}
	for _, tt := range tests {
		_, _, err := simulate.Run(t.Context(), tt.o, simulate.Output{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, expected %q", tt.name, err, tt.want)
		}
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := simulate.Run(stopped, small(simulate.Options{}), simulate.Output{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	full := errors.New("disk full")
	if _, _, err := simulate.Run(t.Context(), small(simulate.Options{}), simulate.Output{Pflog: failing{full}}); !errors.Is(err, full) {
		t.Errorf("a writer that fails: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestLabelsRoundTrip: what is written is what replay reads.
func TestLabelsRoundTrip(t *testing.T) {
	t.Parallel()
	x := run(t, small(simulate.Options{Seed: 2}), "openbsd")
	var b bytes.Buffer
	if err := simulate.WriteLabels(&b, x.labels); err != nil {
		t.Fatal(err)
	}
	got, err := report.ReadLabels(&b)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(x.labels) {
		t.Fatalf("%d labels, expected %d", len(got), len(x.labels))
	}
	for i := range got {
		if !got[i].First.Equal(x.labels[i].First) || got[i].Address != x.labels[i].Address || got[i].Class != x.labels[i].Class || got[i].Want != x.labels[i].Want {
			t.Errorf("label %d is %+v, expected %+v", i, got[i], x.labels[i])
		}
	}
}

// BenchmarkRecords tells the records a second that are written.
func BenchmarkRecords(b *testing.B) {
	f, err := simulate.ParseDialect("openbsd")
	if err != nil {
		b.Fatal(err)
	}
	records := uint64(0)
	for b.Loop() {
		_, totals, err := simulate.Run(b.Context(), simulate.Options{Seed: 1}, simulate.Output{Pflog: io.Discard, Format: f, AuthLog: io.Discard, ErrorLog: io.Discard})
		if err != nil {
			b.Fatal(err)
		}
		records += totals.Packets + totals.AuthLines + totals.ErrorLines
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}
