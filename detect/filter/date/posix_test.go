package date

import (
	"testing"
	"time"
)

func TestPOSIXLocation(t *testing.T) {
	t.Parallel()
	summer, winter := time.Date(2005, 8, 14, 12, 0, 0, 0, time.UTC), time.Date(2005, 1, 14, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		rule           string
		summer, winter int // seconds east of UTC
	}{
		{"CET-01CEST-02,M3.5.0,M10.5.0", 7200, 3600},
		{"CET-1CEST,M3.5.0,M10.5.0/3", 7200, 3600},
		{"EST5EDT,M3.2.0,M11.1.0", -4 * 3600, -5 * 3600},
		{"EST5", -5 * 3600, -5 * 3600},
		{"<+0530>-5:30", 19800, 19800},
		{"NZST-12NZDT,M10.1.0,M3.3.0/3", 12 * 3600, 13 * 3600},
	} {
		l, err := POSIXLocation(c.rule)
		if err != nil {
			t.Errorf("%s: %v", c.rule, err)
			continue
		}
		_, s := summer.In(l).Zone()
		_, w := winter.In(l).Zone()
		if s != c.summer || w != c.winter {
			t.Errorf("%s: %d s in summer and %d s in winter, want %d and %d", c.rule, s, w, c.summer, c.winter)
		}
	}
	for _, bad := range []string{"", "Nowhere", "C5", "CET-1CEST,M99", "CET-", "5", "-1", "<x", "CET-1\nUTC0"} {
		if l, err := POSIXLocation(bad); err == nil {
			t.Errorf("%q was taken for %v", bad, l)
		}
	}
}

func FuzzPOSIXLocation(f *testing.F) {
	for _, s := range []string{"CET-1CEST,M3.5.0,M10.5.0/3", "EST5", "<+0530>-5:30", "J60/25", "X", "AAA0,J366,0", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rule string) {
		l, err := POSIXLocation(rule)
		if err != nil {
			return
		}
		for _, at := range []int64{0, 1124013600, 1795360808, 1 << 40} {
			if _, offset := time.Unix(at, 0).In(l).Zone(); offset < -8*24*3600 || offset > 8*24*3600 {
				t.Errorf("%q lies %d s from UTC", rule, offset)
			}
		}
	})
}
