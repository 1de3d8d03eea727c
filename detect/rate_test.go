package detect

import (
	"slices"
	"testing"
	"time"

	"pfwarden/internal/testkit"
)

// TestRecordedBans plays sequences of failures through the counting strategy fail2ban and compares with when fail2ban itself banned.
func TestRecordedBans(t *testing.T) {
	type sequence struct {
		Findtime, Maxretry int
		Cleanup            string
		Events, Bans       []int64
		Counts             []int
	}
	testkit.EachRecord(t, "data/fail2ban/units_banrule.jsonl", func(n int, c sequence) {
		b := newBench(t, Config{Jails: []JailConfig{{
			Name: "j", Strategy: Fail2ban, Threshold: c.Maxretry, Findtime: time.Duration(c.Findtime) * time.Second, KeepStale: c.Cleanup == "none",
		}}})
		var counts []int
		for _, at := range c.Events {
			before := len(b.verdicts)
			b.feed(Observation{Time: time.Unix(at, 0), Source: addr("192.0.2.7"), Jail: "j", Kind: Failure})
			if len(b.verdicts) > before {
				counts = append(counts, int(b.verdicts[before].Score*float64(c.Maxretry)+0.5))
				continue
			}
			counts = append(counts, b.logs.sources[b.sourceKeyOf(0, addr("192.0.2.7"), "")].jails[0].rate.retry)
		}
		var bans []int64
		for _, v := range b.verdicts {
			bans = append(bans, v.Time.Unix())
		}
		if !slices.Equal(bans, c.Bans) {
			t.Errorf("case %d (cleanup %s, maxretry %d, findtime %d): bans %v\nexpected %v", n+1, c.Cleanup, c.Maxretry, c.Findtime, bans, c.Bans)
		}
		if !slices.Equal(counts, c.Counts) {
			t.Errorf("case %d: counts %v\nexpected %v", n+1, counts, c.Counts)
		}
	})
}
