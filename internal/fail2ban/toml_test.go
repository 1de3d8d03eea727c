package fail2ban

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/capture"
	"pfwarden/detect/filter"
	"pfwarden/detect/filter/builtin"
	"pfwarden/internal/config"
	"pfwarden/internal/engine"
	"pfwarden/internal/testkit"
	"pfwarden/internal/testkit/debian"
	"pfwarden/internal/warden"
)

// imported writes a set-up as pfwarden.toml and reads that.
func imported(t *testing.T, r *Running) (*engine.Plan, string) {
	t.Helper()
	text := r.TOML()
	c, err := config.Parse("imported.toml", []byte(text), config.Options{OS: "freebsd", KnownJail: func(j *config.Jail) error {
		def, err := engine.DefinitionOf(j, builtin.Lookup)
		if err == nil {
			_, err = filter.Compile(def, filter.Options{})
		}
		return err
	}})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var jails []config.Jail
	for _, j := range c.Jails {
		if j.Named && j.Enabled {
			jails = append(jails, j)
		}
	}
	plan, err := engine.NewPlan(c, engine.PlanOptions{Filters: builtin.Lookup, Jails: jails, Never: &warden.NeverList{}})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return plan, text
}

// TestImportDecidesTheSame writes every stock jail as a jail of pfwarden.toml, and compares what both find in the sample logs, how they count
// and how long they ban.
func TestImportDecidesTheSame(t *testing.T) {
	if os.Getenv("PFWARDEN_FAIL2BAN") != "" {
		debian.EachFail2ban(t, testImport)
		return
	}
	testImport(t, debian.Fail2ban(t))
}

func testImport(t *testing.T, root string) {
	t.Helper()
	tests, _ := filepath.Glob(filepath.Join(root, "usr/lib/python3*/dist-packages/fail2ban/tests/files/logs"))
	if len(tests) == 0 {
		t.Skip("the package has no samples")
	}
	dir := debian.Configuration(t, root)
	stock, _, err := readTree(dir, "jail")
	testkit.Must(t, err)
	var local strings.Builder
	local.WriteString("[DEFAULT]\nbantime.increment = true\nbantime.maxtime = 5w\nbantime.rndtime = 10\nusedns = no\n")
	for _, name := range stock.order {
		if name != "INCLUDES" {
			local.WriteString("[" + name + "]\nenabled = true\nlogpath = /nonexistent/" + name + "\nbackend = polling\n")
		}
	}
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "jail.local"), []byte(local.String()), 0o644))
	setup, err := Load(dir, Options{AllowMissingLogs: true})
	testkit.Must(t, err)
	r := setup.Compile(RunOptions{})
	for _, f := range r.Faults {
		t.Errorf("left out: %v", f)
	}
	plan, _ := imported(t, r)
	now, lines, found := time.Unix(sampleNow, 0), 0, 0
	for _, j := range r.Jails {
		name := j.Engine.Name
		at := slices.IndexFunc(plan.Jails, func(e engine.Jail) bool { return e.Name == name })
		if at < 0 {
			t.Errorf("jail %s was not written", name)
			continue
		}
		judged := plan.Detector.Jails[at]
		judged.KeepMatches = j.Detect.KeepMatches // how much of the evidence is kept
		if d := cmp.Diff(j.Detect, judged); d != "" || !plan.Jails[at].Exact || !slices.Equal(plan.Jails[at].Logs, j.Engine.Logs) {
			t.Errorf("%s counts otherwise:\n%s", name, d)
		}
		for n := range 30 {
			if a, b := j.Warden.Fail2ban.Duration(n, 0.5), plan.Warden.Jails[name].Fail2ban.Duration(n, 0.5); (a - b).Abs() > time.Microsecond {
				t.Errorf("%s: ban %d lasts %v, and here %v", name, n+1, a, b)
			}
		}
		text, err := os.ReadFile(filepath.Join(tests[0], j.Jail.Filter.Name))
		if err != nil {
			continue
		}
		theirs, ours := filter.NewSet([]*filter.Filter{j.Engine.Filter}), filter.NewSet([]*filter.Filter{plan.Jails[at].Filter})
		theirs.SetPhase(filter.Operation)
		ours.SetPhase(filter.Operation)
		for line := range strings.Lines(string(text)) {
			l := capture.Line{Text: strings.TrimSuffix(line, "\n"), Read: now}
			var want, got []string
			theirs.Match(l, now, func(_ int, c filter.Candidate) { want = append(want, fmt.Sprintf("%+v", c)) })
			ours.Match(l, now, func(_ int, c filter.Candidate) { got = append(got, fmt.Sprintf("%+v", c)) })
			lines, found = lines+1, found+len(want)
			if !slices.Equal(want, got) {
				t.Errorf("%s: %q\n got %q\nwant %q", name, line, got, want)
			}
		}
	}
	t.Logf("%d jails, %d lines, %d failures", len(r.Jails), lines, found)
	if len(r.Jails) < 80 || found < 300 {
		t.Error("too few")
	}
}

// TestImportSaysWhatItCannot has what pfwarden.toml has no word for told in comments, and friends of one jail kept from all.
func TestImportSaysWhatItCannot(t *testing.T) {
	dir := folder(t,
		"jail.conf", "[DEFAULT]\nenabled = true\nfilter = x\nlogpath = /nonexistent/x\nignoreip = 192.0.2.1 gw.example.org\n"+
			"[one]\nmaxretry = 4\nbantime = -1\naction = run[name=a]\nignorecommand = /bin/check <ip>\nlogencoding = latin1\nlogtimezone = CET\n"+
			"[two]\nignoreip = 192.0.2.1 198.51.100.0/24 file:/etc/friends\nbantime = 1h\nbantime.increment = true\nbantime.multipliers = 1 2 24\nbantime.overalljails = true\n",
		"filter.d/x.conf", "[Definition]\nprefregex = ^app: <F-CONTENT>.+</F-CONTENT>$\nfailregex = ^no 'quotes\" <HOST>$\n  ^nor \\S+ <HOST>$\nmaxlines = 3\ndatepattern = ^%%Y-%%m-%%d\n  {^LN-BEG}\n",
		"action.d/run.conf", "[Definition]\nactionban = /bin/true <ip>\n")
	setup, err := Load(dir, Options{AllowMissingLogs: true})
	testkit.Must(t, err)
	r := setup.Compile(RunOptions{})
	plan, text := imported(t, r)
	for _, want := range []string{
		`never = [`, `"gw.example.org"`, "# gw.example.org was not ignored by two", "# 198.51.100.0/24 was not ignored by one", "# jail two ignored file:/etc/friends",
		"its bans had no end", "(bantime.overalljails)", "it had an ignore command: /bin/check <ip>", "its action run-a runs commands", `ladder = ["1h", "2h", "1d"]`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("nothing says %q:\n%s", want, text)
		}
	}
	for i, j := range r.Jails {
		got, want := plan.Jails[i].Filter.Definition, j.Engine.Filter.Definition
		got.Name, got.Proof = want.Name, want.Proof
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("jail %s:\n%s", j.Engine.Name, d)
		}
	}
}
