package ledger

import (
	"math"
	"net/netip"
	"testing"
	"time"

	"pfwarden/detect"
)

// What is written without reflection is what encoding/json writes, to the byte.
func TestStoryAsEncodingJSON(t *testing.T) {
	for _, name := range []string{"", "sshd", "quo\"te", "back\\slash", "<script>&", "\x00\x1f\x7f", "ü\u2028\u2029", "\xff\xfe broken", "tab\tnew\nline"} {
		for _, n := range []float64{0, 1, -1, 0.5, 1e-9, 1e21, 1e15, 123456789, -0.25, math.Copysign(0, -1), math.MaxFloat64, math.NaN(), math.Inf(1)} {
			for _, at := range []time.Time{{}, t0, t0.Add(123456789), t0.In(time.FixedZone("x", 5*3600+1800)), time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC), t0.In(time.FixedZone("y", 25*3600))} {
				for _, fields := range []detect.Fields{nil, {}, {"user": name, "a": "b", name: "c"}} {
					s := Story{
						Score: n, Failures: int(min(max(finite(n), -9), 9)), Lost: name,
						Shares: []detect.Share{{Jail: name, Fraction: n, Proven: true}, {}}, Gates: []detect.GateAnswer{{Gate: name, Stopped: true, Text: name}, {}},
						Evidence: []detect.Evidence{
							{Time: at, Jail: name, Kind: detect.Sweep, Proven: true, Text: name, User: name, Fields: fields},
							{Time: at, Target: detect.Target{Address: netip.MustParseAddr("2001:db8::1"), Port: 22, Protocol: 6}},
							{Time: at, Target: detect.Target{Address: netip.MustParseAddr("fe80::1").WithZone(name)}},
						},
					}
					s.sameAsSlowly(t)
					s.Evidence = s.Evidence[:2]
					s.sameAsSlowly(t)
				}
				(&Story{Score: n}).sameAsSlowly(t)
				(&Story{Lost: name}).sameAsSlowly(t)
			}
		}
	}
}

func (s *Story) sameAsSlowly(t *testing.T) {
	t.Helper()
	if s.Empty() {
		return
	}
	if got, want := s.text(), s.textSlowly(); got != want {
		t.Fatalf("\n got %s\nwant %s", got, want)
	}
}

// FuzzText compares one text with encoding/json.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "plain", `"\`, "<>&", "\x00\xff", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) { (&Story{Lost: text}).sameAsSlowly(t) })
}
