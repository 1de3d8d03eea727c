package date

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestUsualLogs(t *testing.T) {
	t.Parallel()
	ref := Reference{Now: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), Location: time.UTC, Fraction: true}
	for _, c := range []struct{ name, pattern, line, want, cut string }{
		{"syslog", "", "Nov 22 15:20:08 vm sshd[1]: x", "2026-11-22T15:20:08Z", "Nov 22 15:20:08"},
		{"syslog, one-digit day", "", "Nov  2 15:20:08 vm", "2026-11-02T15:20:08Z", "Nov  2 15:20:08"},
		{"syslog of last year", "", "Dec 31 23:59:59 vm", "2025-12-31T23:59:59Z", "Dec 31 23:59:59"},
		{"syslog, tomorrow is this year", "", "Nov 23 20:00:00 vm", "2026-11-23T20:00:00Z", "Nov 23 20:00:00"},
		{"RFC 3339", "", "2026-11-22T15:20:08.123456+01:00 vm", "2026-11-22T14:20:08.123456Z", "2026-11-22T15:20:08.123456+01:00"},
		{"RFC 3339, Z", "", "2026-11-22T15:20:08Z vm", "2026-11-22T15:20:08Z", "2026-11-22T15:20:08Z"},
		{"RFC 5424", "", "<38>1 2026-11-22T15:20:08+01:00 vm sshd 1 - - x", "2026-11-22T14:20:08Z", "2026-11-22T15:20:08+01:00"},
		{"ISO with a comma", "", "2026-11-22 15:20:08,123 fail2ban", "2026-11-22T15:20:08.123Z", "2026-11-22 15:20:08,123"},
		{"Apache error 2.4", "", "[Sun Nov 22 15:15:35.231487 2026] [core:error]", "2026-11-22T15:15:35.231487Z", "Sun Nov 22 15:15:35.231487 2026"},
		{"Apache error 2.2", "", "[Sun Dec 04 04:47:44 2005] [error]", "2005-12-04T04:47:44Z", "Sun Dec 04 04:47:44 2005"},
		{"access log", "", `1.2.3.4 - - [10/Oct/2026:13:55:36 -0700] "GET / HTTP/1.1"`, "2026-10-10T20:55:36Z", "10/Oct/2026:13:55:36 -0700"},
		{"nginx error", "", "2026/11/22 15:00:00 [error] 1#1: x", "2026-11-22T15:00:00Z", "2026/11/22 15:00:00"},
		{"BIND", "", "22-Nov-2026 15:00:00.250 security: info", "2026-11-22T15:00:00.25Z", "22-Nov-2026 15:00:00.250"},
		{"epoch", "", "1795360808.125 x", "2026-11-22T15:20:08.125Z", "1795360808.125"},
		{"long epoch", "LEPOCH", "1795360808125 x", "2026-11-22T15:20:08.125Z", "1795360808125"},
		{"TAI64N", "", "@400000006b02e3a800000000 x", "2026-11-22T15:20:08Z", ""},
		{"only a clock, yesterday", "", "15:20:08 x", "2026-11-22T15:20:08Z", "15:20:08"},
		{"own group", `^\[(%Y-%m-%d) x\] %H`, "[2026-11-22 x] 15", "2026-11-22T15:00:00Z", "2026-11-22"},
		{"twelve hours", `%b %d, %ExY %I:%M:%S %p`, "Nov 22, 2026 03:20:08 PM x", "2026-11-22T15:20:08Z", "Nov 22, 2026 03:20:08 PM"},
		{"day of the year", `%Y %j %H:%M:%S`, "2026 326 15:20:08", "2026-11-22T15:20:08Z", "2026 326 15:20:08"},
		{"zone by name", `%Y-%m-%d %H:%M:%S %Z`, "2026-11-22 15:20:08 CET", "2026-11-22T14:20:08Z", "2026-11-22 15:20:08 CET"},
		{"no such day", "", "2026-02-30 15:20:08 x", "", "2026-02-30 15:20:08"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, err := Compile(c.pattern, Options{})
			if err != nil {
				t.Fatal(err)
			}
			m, ok := f.NewDetector().Find(c.line, 0)
			if !ok {
				t.Fatal("nothing found")
			}
			if cut := c.line[m.Start:m.End]; c.cut != "" && cut != c.cut {
				t.Errorf("cut %q", cut)
			}
			at, ok := m.Time(ref)
			got := ""
			if ok {
				got = at.UTC().Format(time.RFC3339Nano)
			}
			if c.name == "TAI64N" { // written for the label's own second
				c.want = time.Unix(0x6b02e3a8, 0).UTC().Format(time.RFC3339Nano)
			}
			if got != c.want {
				t.Errorf("time %q, want %q", got, c.want)
			}
		})
	}
}

func TestNoDate(t *testing.T) {
	t.Parallel()
	f, err := Compile("", Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := f.NewDetector()
	for _, line := range []string{"", "no date at all", "10.0.0.1 at 2026", "a:b 12:x", "99/99/9999", strings.Repeat("1", 5000)} {
		if m, ok := d.Find(line, 0); ok {
			t.Errorf("%q: found %q by %s", line, line[m.Start:m.End], m.Pattern)
		}
	}
}

// pieces are what random lines are made of: parts of dates, right and nearly right.
var pieces = []string{"2026", "2005", "2031", "1999", "-", "/", ".", ":", " ", "  ", "T", "Z", "UTC", "+01:00", "-0700", "+1", "Nov", "nov", "Sun ", "22", "2", " 5", "31", "32", "0", "00", "15:20:08", "24:00:00",
	"29:59:61", "7:8:9", "12:30:61", "12:30:62", ".123456", ",5", ".1234567", "[", "]", "x", "é", "\t", "10/Oct/2026:13:55:36 -0700", "2026-11-22 15:20:08", "Nov 22 15:20:08", "1795360808", "@", "_"}

func randomLine(rng *rand.Rand) string {
	var b strings.Builder
	for range 1 + rng.IntN(9) {
		b.WriteString(pieces[rng.IntN(len(pieces))])
	}
	return b.String()
}

// TestFastIsExact compares the formats read by hand with their patterns.
func TestFastIsExact(t *testing.T) {
	t.Parallel()
	f, err := Compile("", Options{})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	sure, hits, lines := 0, 0, 25_000
	if testing.Short() {
		lines /= 5
	}
	for range lines {
		line := randomLine(rng)
		for _, tm := range f.templates {
			if tm.fast == nil {
				continue
			}
			s, h := compareFast(t, tm, line)
			sure, hits = sure+s, hits+h
		}
	}
	t.Logf("%d sure answers, %d of them matches", sure, hits)
	if hits < lines/80 {
		t.Error("too few matches to show anything")
	}
}

func compareFast(t *testing.T, tm *template, line string) (sure, hits int) {
	t.Helper()
	got, v := tm.searchFast(line, 0)
	if v == unsure {
		return 0, 0
	}
	re, err := tm.bounded()
	if err != nil {
		t.Fatal(err)
	}
	g, err := re.FindFrom(line, 0)
	if err != nil {
		return 0, 0
	}
	if (g != nil) != (v == yes) {
		t.Fatalf("%s on %q: by hand %v, pattern %v", tm.name, line, v == yes, g)
	}
	if g == nil {
		return 1, 0
	}
	want := found{start: g[0], end: g[1], cut: g[2], cutEnd: g[3]}
	want.valid = tm.read(line, g, &want.stamp)
	got.stamp.has &^= hasWeekday
	want.stamp.has &^= hasWeekday
	want.stamp.weekday = 0
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%s on %q:\nby hand %+v\npattern %+v", tm.name, line, got, want)
	}
	return 1, 1
}

func FuzzDetector(f *testing.F) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 60 {
		f.Add(randomLine(rng))
	}
	format, err := Compile("", Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line string) {
		line = strings.ToValidUTF8(line, "\uFFFD")
		d := format.NewDetector()
		for range 2 {
			if m, ok := d.Find(line, 0); ok {
				if m.Start < 0 || m.End < m.Start || m.End > len(line) {
					t.Fatalf("%q: cut %d to %d", line, m.Start, m.End)
				}
				m.Time(Reference{Now: time.Unix(1795360808, 0), Location: time.UTC})
			}
		}
		for _, tm := range format.templates {
			if tm.fast != nil && !strings.ContainsAny(line, "\n") {
				compareFast(t, tm, line)
			}
		}
	})
}

func FuzzPattern(f *testing.F) {
	for _, p := range []string{"%Y-%m-%d %H:%M:%S", "{^LN-BEG}%ExY", "{NONE}", "^<{DATE}>", "EPOCH", "{LEPOCH} x", "**%H**", "(%d) %b", "%", "%Ex", "TAI64N", "(?P<_s>-)%d(?P=_s)"} {
		f.Add(p, "2026-11-22 15:20:08 x 1795360808")
	}
	f.Fuzz(func(t *testing.T, pattern, line string) {
		if len(pattern) > 100 {
			t.Skip()
		}
		format, err := Compile(pattern, Options{})
		if err != nil {
			return
		}
		if m, ok := format.NewDetector().Find(strings.ToValidUTF8(line, "?"), 0); ok {
			m.Time(Reference{Now: time.Unix(1795360808, 0), Location: time.UTC})
		}
	})
}
