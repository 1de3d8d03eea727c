package report

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/detect"
)

// TestScansThatBanNobody: who asks for eight UDP ports, or eight addresses by echo request, is named as a scan, each target once; the /64 of IPv6 is one.
func TestScansThatBanNobody(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	c := New(Options{})
	ask := func(source string, kind detect.Kind, targets, times int) {
		for i := range targets * times {
			o := detect.Observation{Time: at.Add(time.Duration(i) * time.Second), Source: netip.MustParseAddr(source), Jail: "portscan", Kind: kind}
			o.Target = detect.Target{Address: netip.MustParseAddr("203.0.113.5"), Port: uint16(1000 + i%targets), Protocol: 17}
			if kind == detect.Sweep {
				o.Target = detect.Target{Address: netip.AddrFrom4([4]byte{203, 0, 113, byte(i % targets)}), Protocol: 1}
			}
			c.Packet(&capture.Packet{Time: o.Time}, []detect.Observation{o})
		}
	}
	ask("198.51.100.1", detect.UDPProbe, 9, 3)
	ask("198.51.100.2", detect.UDPProbe, 7, 9)
	ask("198.51.100.3", detect.Sweep, 30, 1)
	ask("198.51.100.4", detect.Late, 30, 1)
	ask("2001:db8::1", detect.UDPProbe, 8, 1)
	ask("2001:db8::2", detect.UDPProbe, 12, 1)
	r := c.Report()
	var got []string
	for _, s := range r.Scans {
		got = append(got, fmt.Sprintf("%s %s %d %s", s.Source, s.Kind, s.Targets, s.Last.Sub(s.First)))
	}
	want := "198.51.100.3/32 echo_sweep 30 29s, 2001:db8::/64 udp_scan 12 11s, 198.51.100.1/32 udp_scan 9 26s"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %s\nwant %s", strings.Join(got, ", "), want)
	}
	var text, lines bytes.Buffer
	if err := r.Text(&text, TextOptions{}); err != nil || !strings.Contains(text.String(), "198.51.100.1, UDP ports") {
		t.Errorf("%v: %s", err, text.String())
	}
	j := NewJSON(&lines)
	j.End(&r)
	if line := `{"event":"scan","address":"2001:db8::/64","scan":"udp_scan","targets":12,"first":"2026-11-22T12:00:00Z","last":"2026-11-22T12:00:11Z"}`; !strings.Contains(lines.String(), line) {
		t.Errorf("got %s, want %s in it", lines.String(), line)
	}
}

// TestScansBound: a crowd that asks for little each costs no more than the bound, and a scan among it is still named.
func TestScansBound(t *testing.T) {
	t.Parallel()
	c := New(Options{Bound: 100})
	for i := range 1000 {
		o := detect.Observation{Source: netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), Kind: detect.UDPProbe, Target: detect.Target{Address: netip.MustParseAddr("203.0.113.5"), Port: 53, Protocol: 17}}
		c.Packet(&capture.Packet{}, []detect.Observation{o})
		if i >= 500 && i < 520 {
			o.Source, o.Target.Port = netip.MustParseAddr("198.51.100.1"), uint16(i)
			c.Packet(&capture.Packet{}, []detect.Observation{o})
		}
	}
	if r := c.Report(); len(r.Scans) != 1 || r.Scans[0].Targets < scanTargets {
		t.Errorf("%+v", r.Scans)
	}
	if len(c.scans.sources) > 100 || len(c.scans.known) > 100 {
		t.Errorf("%d sources, %d targets are kept", len(c.scans.sources), len(c.scans.known))
	}
}
