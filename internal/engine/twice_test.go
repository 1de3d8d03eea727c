package engine

import (
	"net/netip"
	"testing"
	"time"
)

func TestTwice(t *testing.T) {
	type line struct {
		log, source, user string
		at                time.Duration
	}
	const one, other = "198.51.100.7", "198.51.100.8"
	for name, row := range map[string]struct {
		lines []line
		count int // of failures
	}{
		"one log":                     {[]line{{"error", one, "bob", 0}, {"error", one, "bob", 0}, {"error", one, "bob", time.Second}}, 3},
		"two logs, one request":       {[]line{{"error", one, "bob", 0}, {"access", one, "bob", 0}}, 1},
		"two logs, the other first":   {[]line{{"access", one, "bob", 0}, {"error", one, "bob", time.Second}}, 1},
		"two logs, three at once":     {[]line{{"error", one, "bob", 0}, {"error", one, "bob", 0}, {"error", one, "bob", 0}, {"access", one, "bob", 0}, {"access", one, "bob", 0}, {"access", one, "bob", 0}}, 3},
		"one log tells more":          {[]line{{"error", one, "bob", 0}, {"access", one, "bob", 0}, {"access", one, "bob", 0}}, 2},
		"two virtual hosts":           {[]line{{"access", one, "bob", 0}, {"access of another host", one, "bob", 0}}, 2},
		"another user":                {[]line{{"error", one, "bob", 0}, {"access", one, "eve", 0}}, 2},
		"another source":              {[]line{{"error", one, "bob", 0}, {"access", other, "bob", 0}}, 2},
		"a later request in each log": {[]line{{"error", one, "bob", 0}, {"access", one, "bob", 10 * time.Second}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var tw twice
			start := time.Date(2026, 10, 14, 0, 0, 0, 0, time.UTC)
			got := 0
			regex := map[string]int{"error": 0, "access": 6, "access of another host": 6}
			for _, l := range row.lines {
				if !tw.again(attempt{1, netip.MustParseAddr(l.source), l.user}, l.log, regex[l.log], start.Add(l.at)) {
					got++
				}
			}
			if got != row.count {
				t.Errorf("%d failures, want %d", got, row.count)
			}
		})
	}
}

func TestTwiceIsBounded(t *testing.T) {
	var tw twice
	for i := range 10 * momentsKept {
		tw.again(attempt{source: netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)})}, "log", 0, time.Unix(1, 0))
	}
	if len(tw.seen) > momentsKept {
		t.Errorf("%d moments are kept, want %d at most", len(tw.seen), momentsKept)
	}
}
