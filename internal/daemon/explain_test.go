package daemon

import (
	"slices"
	"testing"

	"pfwarden/detect"
	"pfwarden/internal/control"
)

// TestTell: what a person is told of an address beside its jails and bans: a gate that stopped a verdict, one that would, the day's bound, and
// what its packets look like.
func TestTell(t *testing.T) {
	t.Parallel()
	shares := []control.Share{{Jail: "portscan", Fraction: 0.5}}
	contact := control.Gate{Gate: detect.GateContact, Stopped: true, Text: "our side spoke to it in the last 24 hours"}
	never := control.Gate{Gate: detect.GateNever, Stopped: true, Text: "on the never-list"}
	for _, tt := range []struct {
		name string
		e    control.Explanation
		want []string
	}{
		{"nothing", control.Explanation{}, []string{"Nothing is held against 192.0.2.7."}},
		{"nothing, never banned", control.Explanation{Never: []string{"192.0.2.0/24 (config)"}, Gates: []control.Gate{never}},
			[]string{"192.0.2.7 is never banned: 192.0.2.0/24 (config).", "Nothing is held against 192.0.2.7."}},
		{"a gate that stopped it", control.Explanation{Shares: shares, Score: 1.5, Gates: []control.Gate{contact}},
			[]string{"The last verdict on it was stopped: our side spoke to it in the last 24 hours."}},
		{"a gate that would stop it", control.Explanation{Shares: shares, Score: 0.5, Gates: []control.Gate{contact}},
			[]string{"A verdict on what anybody can forge would be stopped: our side spoke to it in the last 24 hours."}},
		{"five times a suspect", control.Explanation{Shares: shares, Score: 0.5, Suspect: 5}, nil},
		{"six times a suspect", control.Explanation{Shares: shares, Score: 0.5, Suspect: 6},
			[]string{"It was a suspect 6 times within 24 hours: what anybody can forge bans it no more today."}},
		{"a UDP scan", control.Explanation{Shares: shares, Score: 0.28, Labels: []string{"udp_scan"}},
			[]string{"It asks for many UDP ports, which alone bans nobody: anybody can forge that."}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.e.Address = "192.0.2.7"
			if got := tell(&tt.e, &detect.Explanation{}, 6); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, expected %q", got, tt.want)
			}
		})
	}
}
