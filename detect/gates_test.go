package detect

import (
	"net/netip"
	"testing"
	"time"
)

// TestGatesOutliveAClockThatRanAhead: once the clock is right again, whom our side spoke to a minute ago is a friend all the same.
func TestGatesOutliveAClockThatRanAhead(t *testing.T) {
	for _, kind := range []NoticeKind{Contact, State} {
		b := newBench(t, Config{})
		b.Tick(at(0).Add(72 * time.Hour)) // the clock was three days ahead
		b.Notice(Notice{Time: at(60), Kind: kind, Source: netip.MustParsePrefix("192.0.2.7/32"), Ours: true})
		for _, o := range scanOf("192.0.2.7", 120, 9) {
			b.feed(o)
		}
		if len(b.verdicts) != 1 || !b.verdicts[0].Stopped {
			t.Errorf("notice %v: %s", kind, b.told())
		}
	}
}
