package metrics

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pfwarden/pfctl"
)

type runnerFunc func(pfctl.Command) (pfctl.Result, error)

func (f runnerFunc) Run(_ context.Context, c pfctl.Command) (pfctl.Result, error) { return f(c) }

func TestTimedRunner(t *testing.T) {
	m := New(Options{})
	clock := time.Unix(1700000000, 0)
	stuck := errors.New("stuck")
	runner := m.TimedRunner(runnerFunc(func(c pfctl.Command) (pfctl.Result, error) {
		clock = clock.Add(20 * time.Millisecond)
		if slices.Contains(c.Args, "delete") {
			return pfctl.Result{}, stuck
		}
		return pfctl.Result{Exit: 1}, nil
	}), func() time.Time { return clock })

	if r, err := runner.Run(t.Context(), pfctl.Command{Args: []string{"-a", "x", "-t", "y", "-T", "add", "192.0.2.1"}}); err != nil || r.Exit != 1 {
		t.Errorf("the result was changed on its way: %+v, %v", r, err)
	}
	if _, err := runner.Run(t.Context(), pfctl.Command{Args: []string{"-t", "y", "-T", "delete", "192.0.2.1"}}); !errors.Is(err, stuck) {
		t.Errorf("the error was changed on its way: %v", err)
	}
	text := scrape(t, m)
	for _, want := range []string{
		`pfwarden_pfctl_duration_seconds_sum{operation="add"} 0.02`,
		`pfwarden_pfctl_duration_seconds_count{operation="delete"} 1`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
}

func TestCountsFrom(t *testing.T) {
	got := CountsFrom(pfctl.Counts{
		InBlock: pfctl.Count{Packets: 1, Bytes: 10}, InMatch: pfctl.Count{Packets: 100}, InPass: pfctl.Count{Packets: 2, Bytes: 20}, InXPass: pfctl.Count{Packets: 3, Bytes: 30},
		OutBlock: pfctl.Count{Packets: 4, Bytes: 40}, OutMatch: pfctl.Count{Packets: 100}, OutPass: pfctl.Count{Packets: 5, Bytes: 50}, OutXPass: pfctl.Count{Packets: 6, Bytes: 60},
	})
	want := Counts{InBlock: Count{1, 10}, InPass: Count{5, 50}, OutBlock: Count{4, 40}, OutPass: Count{11, 110}}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
