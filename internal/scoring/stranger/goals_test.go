package stranger_test

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pfwarden/internal/config"
	"pfwarden/internal/engine"
	"pfwarden/internal/replay"
	"pfwarden/internal/report"
	"pfwarden/internal/scoring"
	"pfwarden/internal/scoring/stranger"
	"pfwarden/internal/warden"
)

// firstSeed: the detector was mended after a look at this generator with seeds below it only.
const firstSeed = 2000

// alone are the classes that the design leaves to chance: nothing tells these friends from those who scan, and a log-in of theirs takes off one
// door and closes no gate.
var alone = []string{"framed_bare", "framed_login"}

// neighbours are the classes whose members knock as the members of a spread scan would: by a dozen sources of one /24. They become suspects where all
// of our addresses that are seen are asked for the same six doors and more, or, until four addresses have been seen, for four.
var neighbours = []string{"cgnat_pool", "crowd24", "monitor_fleet"}

// unseen are the classes of which one address sees too little.
var unseen = []string{"bots", "dual", "horiz_fast", "horiz_slow", "mixed", "spread24", "v6_iid", "v6_nets"}

// run is a trace's replay.
type run struct {
	scores []report.Score
	bans   []warden.Event
	labels map[string]string // class by address
}

// play replays a trace as pfwarden replay --watch em0 --timezone UTC does.
func play(t *testing.T, o stranger.Options, settings ...func(*config.Config)) run {
	t.Helper()
	trace := stranger.Generate(o)
	input := func(name string, write func(io.Writer) error) replay.Input {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		return replay.Input{
			Name: name, Modified: time.Date(2026, 9, 30, 0, 0, 0, 0, time.UTC),
			Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil },
		}
	}
	inputs := []replay.Input{input("out.pflog", trace.WritePflog)}
	for _, name := range trace.Logs() {
		inputs = append(inputs, input(name, func(w io.Writer) error { return trace.WriteLog(name, w) }))
	}
	var b bytes.Buffer
	if err := trace.WriteLabels(&b); err != nil {
		t.Fatal(err)
	}
	labels, err := report.ReadLabels(&b)
	if err != nil {
		t.Fatal(err)
	}
	r := run{labels: map[string]string{}}
	for _, l := range labels {
		r.labels[l.Address.String()] = l.Class
	}
	c := config.Default("openbsd")
	for _, set := range settings {
		set(c)
	}
	collector := report.New(report.Options{Labels: labels})
	totals, err := replay.Run(t.Context(), replay.Options{
		Config: c, Inputs: inputs, Location: time.UTC, Watch: []string{"em0"}, Seed: o.Seed + 1, Watchers: []engine.Watcher{collector},
		OnEvent: func(e warden.Event) {
			collector.Event(e)
			if e.Kind == warden.EventBan {
				r.bans = append(r.bans, e)
			}
		},
	})
	if err != nil || len(totals.Faults) > 0 || totals.Rejected > 0 || totals.Packets != uint64(trace.Packets()) {
		t.Fatalf("%v, %v, %d of %d packets, %d rejected", err, totals.Faults, totals.Packets, trace.Packets(), totals.Rejected)
	}
	r.scores = collector.Report().Scores
	return r
}

// early are the sources of some classes that were banned within the first minutes only, before four addresses of ours had been knocked on: until
// then the gateway looks like one with a single address, see neighbours.
func (r *run) early(of []string) map[string]bool {
	early := map[string]bool{}
	for _, e := range r.bans {
		if a := e.Ban.Prefix.Addr().String(); slices.Contains(of, r.labels[a]) && e.Ban.Since.Before(e.Ban.Since.Truncate(24*time.Hour).Add(5*time.Minute)) {
			early[a] = true
		}
	}
	for _, e := range r.bans {
		if e.Ban.Since.After(e.Ban.Since.Truncate(24 * time.Hour).Add(5 * time.Minute)) {
			delete(early, e.Ban.Prefix.Addr().String())
		}
	}
	return early
}

// sizes are how many seeds to judge by, of how many days, and how large a part of the sources. PFWARDEN_FULL=1 takes the whole.
func sizes(t *testing.T) (seeds, days int, scale float64) {
	switch {
	case os.Getenv("PFWARDEN_FULL") != "":
		return 10, 1, 1
	case testing.Short():
		return 1, 1, .1
	}
	t.Log("two seeds, a fifth of the sources; PFWARDEN_FULL=1 takes ten, and all")
	return 2, 1, .2
}

// TestGoals holds the detector to its goals on traffic that it was not made for.
func TestGoals(t *testing.T) {
	seeds, days, scale := sizes(t)
	for _, hosts := range []int{256, 8, 1} {
		t.Run(fmt.Sprint("hosts=", hosts), func(t *testing.T) {
			t.Parallel()
			sum := map[string]*report.Score{}
			for n := range seeds {
				seed := uint64(firstSeed + n)
				r := play(t, stranger.Options{Seed: seed, Hosts: hosts, Days: days, Scale: scale})
				t.Logf("seed %d: recall %.4f", seed, scoring.Recall(r.scores))
				// At eight addresses three in ten of the wanted are members of spread networks, whose third probe may reach a service.
				// At one address four in ten of them are, and a quarter of these networks ask for no more than three doors, as a monitoring service does.
				least := map[int]float64{256: .98, 8: .965, 1: .57}[hosts] // of one seed; see classes for all
				if scale < 1 {                                             // one such network more or less weighs much
					least = map[int]float64{256: .95, 8: .92, 1: .45}[hosts]
				}
				if got := scoring.Recall(r.scores); got < least {
					t.Errorf("seed %d: recall %.4f, expected %v", seed, got, least)
				}
				if n := scoring.Harm(r.scores, alone...) - len(r.early(neighbours)); n > 0 {
					t.Errorf("seed %d: harm to %d sources:\n%s", seed, n, table(r.scores))
				}
				suspects(t, &r, slices.Concat(alone, neighbours))
				for _, s := range r.scores {
					if sum[s.Class] == nil {
						sum[s.Class] = &report.Score{Class: s.Class, Want: s.Want}
					}
					sum[s.Class].Sources += s.Sources
					sum[s.Class].Banned += s.Banned
				}
			}
			classes(t, hosts, scale, sum)
		})
	}
}

// suspects checks that who must not be banned, and was, is only ever a suspect, for ten minutes.
func suspects(t *testing.T, r *run, of []string) {
	t.Helper()
	for _, e := range r.bans {
		length := e.Ban.Until.Sub(e.Ban.Since)
		if class := r.labels[e.Ban.Prefix.Addr().String()]; slices.Contains(of, class) && (e.Ban.Proven || e.Ban.Table != "suspects" || length > 10*time.Minute) {
			t.Errorf("%v of %s was banned in %s for %v", e.Ban.Prefix, class, e.Ban.Table, length)
		}
	}
}

// classes checks each wanted class over all seeds, and logs the table.
func classes(t *testing.T, hosts int, scale float64, sum map[string]*report.Score) {
	t.Helper()
	var all []report.Score
	for _, s := range sum {
		s.Recall = float64(s.Banned) / float64(max(s.Sources, 1))
		all = append(all, *s)
		least := .95
		switch {
		case hosts == 1 && slices.Contains(unseen, s.Class):
			continue
		case s.Class == "spread24" || s.Class == "v6_nets":
			least = .8
		}
		if scale < 1 {
			least -= .15 // one network, or one source of twenty
		}
		if s.Want && s.Recall < least {
			t.Errorf("%s: recall %.3f, expected %v", s.Class, s.Recall, least)
		}
	}
	t.Logf("all seeds: recall %.4f\n%s", scoring.Recall(all), table(all))
	if least := map[int]float64{256: .98, 8: .975, 1: .6}[hosts]; scale == 1 && scoring.Recall(all) < least {
		t.Errorf("recall over all seeds %.4f, expected %v", scoring.Recall(all), least)
	}
}

func table(scores []report.Score) string {
	scores = slices.Clone(scores)
	slices.SortFunc(scores, func(a, b report.Score) int {
		if a.Want != b.Want {
			if a.Want {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Class, b.Class)
	})
	var b strings.Builder
	for _, s := range scores {
		fmt.Fprintf(&b, "%-14s %6d of %6d  %.3f\n", s.Class, s.Banned, s.Sources, float64(s.Banned)/float64(max(s.Sources, 1)))
	}
	return b.String()
}

// Guessing that keeps below every threshold of its own is acted on where that is set, and only there.
func TestLowGuessing(t *testing.T) {
	for _, act := range []bool{false, true} {
		r := play(t, stranger.Options{Seed: firstSeed, Hosts: 8, Guessing: true, Classes: []string{"guess_low", "mistyped", "gave_up", "old_password"}},
			func(c *config.Config) { c.Guessing.Act = act })
		for _, s := range r.scores {
			got := float64(s.Banned) / float64(s.Sources)
			switch {
			case !act && s.Banned > 0, act && s.Want && got < .8:
				t.Errorf("act %v: %s: %d of %d", act, s.Class, s.Banned, s.Sources)
			}
			t.Logf("act %v: %-13s %d of %d", act, s.Class, s.Banned, s.Sources)
		}
	}
}

// The same options give the same bytes.
func TestGenerateTwice(t *testing.T) {
	bytesOf := func() []byte {
		trace := stranger.Generate(stranger.Options{Seed: 7, Hosts: 8, Scale: .02, Guessing: true})
		var b bytes.Buffer
		for _, err := range []error{trace.WritePflog(&b), trace.WriteLabels(&b)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range trace.Logs() {
			if err := trace.WriteLog(name, &b); err != nil {
				t.Fatal(err)
			}
		}
		return b.Bytes()
	}
	if !bytes.Equal(bytesOf(), bytesOf()) {
		t.Error("two traces of one seed differ")
	}
}
