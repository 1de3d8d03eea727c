package pfctl_test

import (
	"testing"
	"time"

	"pfwarden/pfctl"
	"pfwarden/pfctl/pftest"
)

// BenchmarkMemoryBans brings 100,000 bans into PF in memory: what replay and demo rest on.
func BenchmarkMemoryBans(b *testing.B) {
	list := many(100000)
	for b.Loop() {
		pf, err := pftest.NewGateway("openbsd", "pfwarden")
		if err != nil {
			b.Fatal(err)
		}
		d, err := pfctl.New(pfctl.Config{Anchor: "pfwarden"}, pf, discard(), &leapClock{now: time.Unix(1, 0)})
		if err != nil {
			b.Fatal(err)
		}
		if err := d.Start(b.Context(), list); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*100000/b.Elapsed().Seconds(), "bans/s")
}
