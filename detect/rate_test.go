package detect

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// shared returns a path in the folder of recorded data beside the repository, and skips where there is none.
func shared(t *testing.T, path string) string {
	t.Helper()
	root := os.Getenv("PFWARDEN_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "shared")
	}
	path = filepath.Join(root, path)
	if _, err := os.Stat(path); err != nil {
		t.Skip("recorded data is not here: ", err)
	}
	return path
}

// TestRecordedBans plays sequences of failures through the counting strategy fail2ban and compares with when fail2ban itself banned.
func TestRecordedBans(t *testing.T) {
	f, err := os.Open(shared(t, "data/fail2ban/units_banrule.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	n := 0
	for ; lines.Scan(); n++ {
		var c struct {
			Findtime, Maxretry int
			Cleanup            string
			Events, Bans       []int64
			Counts             []int
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
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
	}
	if n == 0 {
		t.Fatal("no cases")
	}
	t.Logf("%d sequences", n)
}
