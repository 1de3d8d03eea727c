package pfctl_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pfwarden/pfctl"
)

// item finds a health item by name.
func (r *rig) item(name string) pfctl.HealthItem {
	r.t.Helper()
	for _, h := range r.d.Health() {
		if h.Name == name {
			return h
		}
	}
	r.t.Fatalf("no health item %q", name)
	return pfctl.HealthItem{}
}

func host(s string) pfctl.Entry {
	return pfctl.Entry{Table: pfctl.Banned, Prefix: netip.PrefixFrom(netip.MustParseAddr(s), 32)}
}

// TestHealthWhileARunLasts asks for health while pfctl runs: what lasts longer than five seconds is told, with what waits for it.
func TestHealthWhileARunLasts(t *testing.T) {
	for _, c := range []struct {
		name  string
		lasts time.Duration
		ok    bool
	}{{"a short one", 4 * time.Second, true}, {"a long one", 7 * time.Second, false}} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, "openbsd", pfctl.Config{})
			r.start()
			var during pfctl.HealthItem
			r.spy.before = func(cmd pfctl.Command) error {
				if strings.Contains(strings.Join(cmd.Args, " "), "-T add") {
					r.clock.After(c.lasts) // the clock leaps by it
					during = r.item("stuck")
				}
				return nil
			}
			if err := r.d.Add(host("198.51.100.7")); err != nil {
				t.Fatal(err)
			}
			r.mend()
			if during.OK != c.ok || !c.ok && !strings.Contains(during.Text, "running for 7s: add 1 addresses, table <banned>") {
				t.Errorf("while it ran: %+v", during)
			}
			if after := r.item("stuck"); !after.OK {
				t.Errorf("after it: %+v", after)
			}
		})
	}
}

// TestHealthAfterKilledRuns has runs killed: health says so, and that tries fail, until a step succeeds.
func TestHealthAfterKilledRuns(t *testing.T) {
	r := newRig(t, "freebsd12", pfctl.Config{})
	r.start()
	kills := 3
	r.spy.before = func(cmd pfctl.Command) error {
		if kills > 0 && strings.Contains(strings.Join(cmd.Args, " "), "-T add") {
			kills--
			return fmt.Errorf("no end within 15s: %w", pfctl.ErrKilled)
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	var stuck, runs string
	r.spy.after = func() {
		if h := r.item("stuck"); !h.OK {
			stuck = h.Text
		}
		if h := r.item("runs"); !h.OK {
			runs = h.Text
		}
		if stuck != "" && runs != "" && r.item("stuck").OK && r.item("runs").OK {
			cancel()
		}
	}
	if err := r.d.Add(host("198.51.100.7")); err != nil {
		t.Fatal(err)
	}
	if err := r.d.Run(ctx); err != nil {
		t.Fatal(err)
	}
	r.want("banned", "198.51.100.7")
	if !strings.Contains(stuck, "no end within 15s") || !strings.Contains(runs, "tries in a row failed") {
		t.Errorf("stuck: %q, runs: %q", stuck, runs)
	}
	for _, name := range []string{"stuck", "runs"} {
		if h := r.item(name); !h.OK {
			t.Errorf("in the end: %+v", h)
		}
	}
}

// TestObserving lets a driver that only observes do all that it can be asked for: of pfctl nothing is run that changes PF.
func TestObserving(t *testing.T) {
	r := newRig(t, "openbsd", pfctl.Config{Observe: true, Flush: true, KillStates: true})
	r.start(host("198.51.100.6"))
	if err := r.d.Add(host("198.51.100.7")); err != nil {
		t.Fatal(err)
	}
	if err := r.d.Delete(host("198.51.100.6")); err != nil {
		t.Fatal(err)
	}
	r.mend()
	for what, err := range map[string]error{"sync": r.d.Sync(t.Context()), "leave": r.d.Leave(t.Context()), "stop": r.d.Stop(t.Context())} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := r.d.View(t.Context()); err != nil {
		t.Error(err)
	}
	for _, run := range r.spy.runs {
		if !strings.Contains(run, "-s ") && !strings.HasSuffix(run, "-T show") {
			t.Errorf("ran pfctl %s", run)
		}
	}
	for _, h := range r.d.Health() {
		if !h.OK {
			t.Errorf("red though there is nothing of ours in PF: %+v", h)
		}
	}
}

// TestVerdict says in words whether packets are filtered, whatever is missing.
func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name, main, anchor string
		off                bool
		filtering          bool
		words              string
	}{
		{"all is well", "anchor \"pfwarden\"\npass all\n", "", false, true, "Yes: pf is enabled"},
		{"off", "anchor \"pfwarden\"\npass all\n", "", true, false, "No: pf is disabled"},
		{"not called", "pass all\n", "", false, false, "No: the main ruleset does not call our anchor"},
		{"below a quick pass", "pass in quick all\nanchor \"pfwarden\"\n", "", false, false, "No: a quick pass rule stands above"},
		{"called for some", "anchor \"pfwarden\" in on em0\npass all\n", "", false, true, "In part: "},
		{"rules gone", "anchor \"pfwarden\"\npass all\n", "-a pfwarden -F rules", false, false, "No: our anchor has no rules"},
		{"tables gone", "anchor \"pfwarden\"\npass all\n", "-a pfwarden -F Tables", false, false, "No: our tables are not there"},
		{"one table gone", "anchor \"pfwarden\"\npass all\n", "-a pfwarden -t banned -T kill", false, false, "Not all: <banned> is not there"},
	} {
		for _, profile := range []string{"openbsd", "openbsd-old", "freebsd12", "freebsd15", "netbsd", "macos"} {
			t.Run(c.name+"/"+profile, func(t *testing.T) {
				r := newRig(t, profile, pfctl.Config{})
				r.start(host("198.51.100.7"))
				run := func(args, in string) {
					if res, err := r.pf.Run(t.Context(), pfctl.Command{Args: strings.Fields(args), Stdin: []byte(in)}); err != nil || res.Exit != 0 {
						t.Fatalf("%s: %v %s", args, err, res.Stderr)
					}
				}
				run("-f -", c.main)
				if c.anchor != "" {
					run(c.anchor, "")
				}
				if c.off {
					run("-d", "")
				}
				v, err := r.d.View(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if v.Filtering != c.filtering || !strings.HasPrefix(v.Verdict, c.words) {
					t.Errorf("filtering %t: %s", v.Filtering, v.Verdict)
				}
			})
		}
	}
}
