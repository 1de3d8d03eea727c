package probe_test

import (
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/capture/pflog/pflogwrite"
	"pfwarden/detect"
	"pfwarden/detect/probe"
)

// FuzzObserve: whatever the bytes of a record, it is evidence of a known kind against an address, or none.
func FuzzObserve(f *testing.F) {
	for _, p := range []packet{tcp(capture.FlagSYN), tcp(capture.FlagSYN | capture.FlagACK), udp(fixed(53), fixed(3333)), sweep(8), cut(tcp(capture.FlagSYN), 28)} {
		for _, dialect := range []capture.Dialect{45, 61, 100} {
			r := pflogwrite.Record{Dialect: dialect, Action: capture.ActionBlock, Direction: capture.In, Packet: p(1)}
			b, err := r.Append(nil, pflogwrite.Format{}.Order())
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, record []byte) {
		var d pflog.Decoder
		p := capture.Packet{Time: noon}
		if d.Decode(&p, record, uint32(len(record))) != pflog.Accepted {
			return
		}
		c := probe.New(probe.Config{Anchor: "pfwarden"})
		var o detect.Observation
		if c.Observe(&p, time.Time{}, &o) && (!o.Source.IsValid() || o.Kind == detect.Failure || int(o.Kind) >= detect.NumKinds) {
			t.Errorf("%+v", o)
		}
		if n, ok := c.Contact(&p); ok && !n.Source.IsValid() {
			t.Errorf("%+v", n)
		}
	})
}
