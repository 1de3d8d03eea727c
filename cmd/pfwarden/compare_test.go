package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
)

// With --set a replay tells the difference, and its other lines are those of a replay without the comparison.
func TestReplayCompares(t *testing.T) {
	t.Parallel()
	replay := func(args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		args = append([]string{"replay", "--samples", "-o", "json", "--set", "portscan.threshold=12"}, args...)
		if err := run(context.Background(), args, stdio{In: strings.NewReader(""), Out: &out, Err: &errs}); err != nil {
			t.Fatal(err, errs.String())
		}
		return out.String()
	}
	alone := replay("--compare=false")
	var rest strings.Builder
	changes := map[string]int{}
	for line := range strings.Lines(replay()) {
		var e struct {
			Event, Change string
			NoLonger      int `json:"no_longer"`
			Before        int `json:"banned_before"`
			After         int `json:"banned_after"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		switch e.Event {
		case "difference":
			changes[e.Change]++
		case "difference_summary":
			if e.NoLonger == 0 || e.NoLonger != changes["no_longer"] {
				t.Errorf("%s after %v", line, changes)
			}
		case "difference_score":
			if changes["score"]++; e.Before <= e.After {
				t.Errorf("a higher threshold bans more of a class: %s", line)
			}
		default:
			rest.WriteString(line)
		}
	}
	if changes["no_longer"] == 0 || changes["more"] != 0 || changes["score"] == 0 {
		t.Errorf("a higher threshold: %v", changes)
	}
	if rest.String() != alone {
		t.Errorf("with the comparison:\n%s\nwithout:\n%s", rest.String(), alone)
	}
}
