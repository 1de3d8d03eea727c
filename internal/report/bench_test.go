package report

import (
	"net/netip"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/detect"
)

func BenchmarkPacket(b *testing.B) {
	c := New(Options{})
	p := &capture.Packet{Action: capture.ActionBlock, Direction: capture.In, Interface: "em0", Rule: 7, Subrule: capture.NoRule, Length: 40}
	o := []detect.Observation{{Jail: "portscan", Kind: detect.Probe, Target: detect.Target{Address: netip.MustParseAddr("203.0.113.5"), Protocol: 6}}}
	for i := 0; b.Loop(); i++ {
		p.Time = t0.Add(time.Duration(i) * 10 * time.Millisecond)
		n := uint32(i) * 2654435761 % 100_000
		o[0].Source = netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
		o[0].Target.Port = uint16(i % 1000)
		c.Packet(p, o)
	}
}
