package daemon

import (
	"net/netip"
	"slices"
	"testing"

	"pfwarden/detect"
	"pfwarden/internal/control"
	"pfwarden/internal/ledger"
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

// TestTellBans: what is told of an address inside a banned prefix is its own, and each ban's verdict stands beside the ban, with its gates.
func TestTellBans(t *testing.T) {
	t.Parallel()
	ban := func(prefix, text string) ledger.Ban {
		return ledger.Ban{Prefix: netip.MustParsePrefix(prefix), Story: ledger.Story{
			Score: 1, Failures: 5, Shares: []detect.Share{{Jail: "sshd", Fraction: 1, Proven: true}},
			Gates:    []detect.GateAnswer{{Gate: detect.GateNever, Text: "not on the never-list"}},
			Evidence: []detect.Evidence{{Jail: "sshd", Kind: detect.Failure, Proven: true, Text: text}},
		}}
	}
	wide, own := ban("192.0.2.0/24", "of 192.0.2.21"), ban("192.0.2.7/32", "of 192.0.2.7")
	hand := ledger.Ban{Prefix: own.Prefix, By: "root"}
	now := []control.Evidence{{Text: "since"}}
	for _, tt := range []struct {
		name     string
		now      []control.Evidence
		bans     []ledger.Ban
		evidence string
		spent    bool
		verdicts []string
	}{
		{"only the prefix", nil, []ledger.Ban{wide}, "", false, []string{"of 192.0.2.21"}},
		{"the prefix, and before it itself", nil, []ledger.Ban{wide, own}, "of 192.0.2.7", true, []string{"of 192.0.2.21", "of 192.0.2.7"}},
		{"by hand, and before it by itself", nil, []ledger.Ban{hand, own}, "of 192.0.2.7", true, []string{"", "of 192.0.2.7"}},
		{"it went on since", now, []ledger.Ban{own}, "since", false, []string{"of 192.0.2.7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := control.Explanation{Evidence: tt.now}
			tellBans(&e, netip.MustParsePrefix("192.0.2.7/32"), tt.bans)
			evidence := ""
			for _, v := range e.Evidence {
				evidence += v.Text
			}
			var verdicts []string
			for _, b := range e.Bans {
				text := ""
				if v := b.Verdict; v != nil {
					if text = v.Evidence[0].Text; v.Score != 1 || v.Failures != 5 || len(v.Shares) != 1 || len(v.Gates) != 1 {
						t.Errorf("verdict: %+v", v)
					}
				}
				verdicts = append(verdicts, text)
			}
			if evidence != tt.evidence || e.Spent != tt.spent || !slices.Equal(verdicts, tt.verdicts) {
				t.Errorf("evidence %q, spent %v, verdicts %q; expected %q, %v, %q", evidence, e.Spent, verdicts, tt.evidence, tt.spent, tt.verdicts)
			}
		})
	}
}
