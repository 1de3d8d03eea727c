package engine

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/capture"
	"pfwarden/detect"
	"pfwarden/detect/filter"
)

// recorder is a detector that only remembers what it was told.
type recorder struct{ seen []string }

func (r *recorder) Observe(obs []detect.Observation, _ func(detect.Verdict)) {
	for _, o := range obs {
		r.seen = append(r.seen, fmt.Sprintf("%s %s %s", o.Jail, o.Source, o.Time.UTC().Format(time.DateTime)))
	}
}
func (r *recorder) Notice(detect.Notice) {}
func (r *recorder) Tick(time.Time)       {}
func (r *recorder) Lookahead() int       { return 0 }
func (r *recorder) Ahead(netip.Addr)     {}

func compiled(t *testing.T, o filter.Options, regex string) *filter.Filter {
	t.Helper()
	f, err := filter.Compile(filter.Definition{Failregex: []string{regex}}, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestLogsKeepTheirOwnTime: two logs that the same jails read are written in different formats, by clocks that differ. A line without a time
// stamp takes that of its own log, not of whichever log was read last.
func TestLogsKeepTheirOwnTime(t *testing.T) {
	o := filter.Options{Location: time.UTC, Replay: true, Year: 2026}
	r := &recorder{}
	e := New(Options{Detector: r, Jails: []Jail{
		{Name: "one", Filter: compiled(t, o, "^ ?first from <HOST>$"), Logs: []string{"/log/*"}},
		{Name: "two", Filter: compiled(t, o, "^ ?second from <HOST>$"), Logs: []string{"/log/*"}},
	}})
	for _, l := range []struct{ path, text string }{
		{"/log/a", "2026-11-22 10:00:00 first from 192.0.2.1"},
		{"/log/b", "Nov 22 20:00:00 first from 192.0.2.2"},
		{"/log/a", "second from 192.0.2.3"},
		{"/log/b", "second from 192.0.2.4"},
		{"/log/c", "second from 192.0.2.5"}, // no line of c had a time yet: the present
		{"/log/a", "2026-11-22 10:00:05 of interest to nobody"},
		{"/log/b", "first from 192.0.2.6"},
		{"/log/a", "first from 192.0.2.7"},
	} {
		e.Line(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), &capture.Line{Origin: l.path, Text: l.text})
	}
	want := []string{
		"one 192.0.2.1 2026-11-22 10:00:00",
		"one 192.0.2.2 2026-11-22 20:00:00",
		"two 192.0.2.3 2026-11-22 10:00:00",
		"two 192.0.2.4 2026-11-22 20:00:00",
		"two 192.0.2.5 2026-11-23 00:00:00",
		"one 192.0.2.6 2026-11-22 20:00:00",
		"one 192.0.2.7 2026-11-22 10:00:05",
	}
	if diff := cmp.Diff(want, r.seen); diff != "" {
		t.Errorf("observations (-want +got):\n%s", diff)
	}
	if len(e.compiled) != 1 || len(e.sets) != 3 {
		t.Errorf("%d compiled sets for %d logs, want 1 for 3", len(e.compiled), len(e.sets))
	}

	e.Forget(func(path string) bool { return path == "/log/b" })
	r.seen = nil
	e.Line(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), &capture.Line{Origin: "/log/b", Text: "first from 192.0.2.8"})
	if diff := cmp.Diff([]string{"one 192.0.2.8 2026-11-23 00:00:00"}, r.seen); diff != "" {
		t.Errorf("after it was forgotten (-want +got):\n%s", diff)
	}
}

// TestPhaseReachesEveryLog: what is said of the phase holds for logs that are known and for those that come later.
func TestPhaseReachesEveryLog(t *testing.T) {
	r := &recorder{}
	e := New(Options{Detector: r, Jails: []Jail{
		{Name: "one", Filter: compiled(t, filter.Options{Location: time.UTC, FindTime: time.Minute}, "^ ?first from <HOST>$")},
	}})
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	line := func(path string) {
		e.Line(now, &capture.Line{Origin: path, Text: "2026-11-22 10:00:00 first from 192.0.2.1"})
	}
	line("a") // catching up: too old
	e.SetPhase(filter.Operation)
	line("a") // in operation a stamp so far off is a wrong clock's
	line("b")
	want := []string{"one 192.0.2.1 2026-11-23 00:00:00", "one 192.0.2.1 2026-11-23 00:00:00"}
	if diff := cmp.Diff(want, r.seen); diff != "" {
		t.Errorf("observations (-want +got):\n%s", diff)
	}
}
