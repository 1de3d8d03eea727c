package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/capture"
	"pfwarden/detect"
	"pfwarden/detect/filter"
	"pfwarden/detect/filter/builtin"
)

// proofs is a detector that remembers who was told, with proof or without.
type proofs struct{ seen []string }

func (p *proofs) Observe(obs []detect.Observation, _ func(detect.Verdict)) {
	for _, o := range obs {
		p.seen = append(p.seen, fmt.Sprintf("%s %v", o.User, o.Proven))
	}
}
func (p *proofs) Notice(detect.Notice) {}
func (p *proofs) Tick(time.Time)       {}
func (*proofs) Lookahead() int         { return 0 }
func (*proofs) Ahead(netip.Addr)       {}

// TestProofOfAnotherLog has nginx tell of failures in its error log, into which anybody can write, and in its access log. What both tell counts
// once, with proof; what only the error log tells counts without, two seconds later.
func TestProofOfAnotherLog(t *testing.T) {
	def, err := builtin.Lookup("httpd-auth")
	if err != nil {
		t.Fatal(err)
	}
	f, err := filter.Compile(def, filter.Options{Location: time.UTC, Replay: true})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
	type line struct {
		log, user string
		at        time.Duration
	}
	const failure, request = "/log/error", "/log/access"
	for _, c := range []struct {
		name  string
		logs  []string
		lines []line
		want  []string // by the end of the last line
		left  []string // at the end
	}{
		{"both, error first", nil, []line{{failure, "bob", 0}, {request, "bob", 0}}, []string{"bob true"}, nil},
		{"both, access first", nil, []line{{request, "bob", 0}, {failure, "bob", 0}}, []string{"bob true"}, nil},
		{"both, a second later", nil, []line{{failure, "bob", 0}, {request, "bob", time.Second}}, []string{"bob true"}, nil},
		{"error only", nil, []line{{failure, "bob", 0}}, nil, []string{"bob false"}},
		{"error only, time passes", nil, []line{{failure, "bob", 0}, {failure, "eve", 2 * time.Second}}, []string{"bob false"}, []string{"eve false"}},
		{"error only, and no other log", []string{failure}, []line{{failure, "bob", 0}}, []string{"bob false"}, nil},
		{"too late to be the same", nil, []line{{failure, "bob", 0}, {request, "bob", 5 * time.Second}}, []string{"bob false", "bob true"}, nil},
		{"two, of which one is proven", nil, []line{{failure, "bob", 0}, {failure, "bob", 0}, {request, "bob", 0}}, []string{"bob true"}, []string{"bob false"}},
		{"two users", nil, []line{{failure, "bob", 0}, {failure, "eve", 0}, {request, "eve", 0}}, []string{"eve true"}, []string{"bob false"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &proofs{}
			logs := c.logs
			if logs == nil {
				logs = []string{failure, request}
			}
			e := New(Options{Detector: p, Jails: []Jail{{Name: "web", Filter: f, Logs: logs}}})
			now := start
			for _, l := range c.lines {
				now = start.Add(l.at)
				text := now.Format("2006/01/02 15:04:05") + ` [error] 12#12: *1 user "` + l.user + `": password mismatch, client: 198.51.100.7, server: a, request: "GET / HTTP/1.1"`
				if l.log == request {
					text = `198.51.100.7 - ` + l.user + ` [` + now.Format("02/Jan/2006:15:04:05 -0700") + `] "GET / HTTP/1.1" 401 12`
				}
				e.Line(now, &capture.Line{Origin: l.log, Text: text, Modified: now})
			}
			if diff := cmp.Diff(c.want, p.seen); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
			p.seen = nil
			e.Flush(now)
			if diff := cmp.Diff(c.left, p.seen); diff != "" {
				t.Errorf("counted at the end (-want +got):\n%s", diff)
			}
		})
	}
}

// TestHeldIsBounded: what waits is bounded, in order, and none is lost.
func TestHeldIsBounded(t *testing.T) {
	var h held
	now := time.Unix(1700000000, 0)
	var got []int
	take := func(now time.Time) {
		for o, ok := h.due(now); ok; o, ok = h.due(now) {
			got = append(got, o.Count)
		}
	}
	const n = 3 * heldMost
	told := 0
	for i := range n {
		key := attempt{user: fmt.Sprint(i / 2)}
		h.add(key, detect.Observation{Count: i}, "a", now)
		if i%3 == 0 && h.drop(key, "b") {
			told++
		}
		take(now)
		if len(h.list) > heldMost || len(h.of) > heldMost {
			t.Fatalf("%d wait under %d keys", len(h.list), len(h.of))
		}
	}
	take(now.Add(heldFor))
	if !slices.IsSorted(got) || len(got)+told != n || told < n/4 || len(h.of) != 0 || len(h.list) != 0 {
		t.Errorf("%d came out, %d were told, of %d; %d keys are left", len(got), told, n, len(h.of))
	}
}
