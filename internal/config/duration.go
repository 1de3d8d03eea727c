package config

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// units of durations, largest first.
var units = [...]struct {
	name string
	d    time.Duration
}{
	{"w", 7 * 24 * time.Hour},
	{"d", 24 * time.Hour},
	{"h", time.Hour},
	{"m", time.Minute},
	{"s", time.Second},
	{"ms", time.Millisecond},
}

var errDuration = errors.New(`expected a duration such as "90s", "10m", "24h", "7d" or "1d12h"`)

// ParseDuration reads a duration as the configuration and the command line write it: whole numbers, each with a unit of
// w, d, h, m, s or ms, largest unit first, as in "1d12h". "0" and "0s" are none at all. There is no sign.
func ParseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	if s == "" {
		return 0, fmt.Errorf("empty; %w", errDuration)
	}
	var total time.Duration
	rest, last := s, -1
	for rest != "" {
		digits := strings.TrimLeft(rest, "0123456789")
		number := rest[:len(rest)-len(digits)]
		name := digits[:len(digits)-len(strings.TrimLeft(digits, "dhmsw"))]
		u := unitIndex(name)
		if number == "" || u < 0 || u <= last {
			return 0, fmt.Errorf("%q: %w", s, errDuration)
		}
		last = u
		var n int64
		for _, c := range number {
			if n > (math.MaxInt64-9)/10 {
				return 0, fmt.Errorf("%q is too long", s)
			}
			n = n*10 + int64(c-'0')
		}
		if n > int64((math.MaxInt64-total)/units[u].d) {
			return 0, fmt.Errorf("%q is too long", s)
		}
		total += time.Duration(n) * units[u].d
		rest = digits[len(name):]
	}
	return total, nil
}

func unitIndex(name string) int {
	for i, u := range units {
		if u.name == name {
			return i
		}
	}
	return -1
}

// FormatDuration writes d as ParseDuration reads it, with as few units as it takes; parts below a millisecond are dropped.
// Whole days stay days up to 13 and from then on are weeks where that is even; one unit too small is preferred to two:
// "36h" is written "1d12h", "90m" "1h30m", "24h" "24h".
func FormatDuration(d time.Duration) string {
	if d < time.Millisecond {
		return "0s"
	}
	if d == 24*time.Hour {
		return "24h" // as people say it, and as the documentation writes it
	}
	var b strings.Builder
	for _, u := range units {
		if u.name == "w" && (d%u.d != 0 || d < 2*u.d) {
			continue
		}
		if n := d / u.d; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			d %= u.d
		}
	}
	return b.String()
}
