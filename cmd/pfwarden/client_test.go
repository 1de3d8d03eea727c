package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/internal/control"
	"pfwarden/internal/control/controltest"
	"pfwarden/internal/testkit/golden"
)

// moment is "now" in these tests.
var moment = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) *time.Time {
	t := moment.Add(d)
	return &t
}

// serveFake answers as a gateway that has had some visitors.
func serveFake() *controltest.Service {
	long := control.Ban{
		Address: "192.0.2.7", Table: "banned", Jail: "sshd", Proven: true, Since: *at(-26 * time.Hour), Until: at(46 * time.Hour), Step: 3,
		Reason: "5 failures in 41 s: user root, admin …", Packets: 41212, Bytes: 2472720, LastHit: at(-3 * time.Minute),
	}
	scan := control.Ban{Address: "2001:db8:7::/64", Table: "suspects", Jail: "portscan", Since: *at(-time.Minute), Until: at(9 * time.Minute), Reason: "7 new doors in 3 h \x1b[31m", Packets: 3, Bytes: 180}
	hand := control.Ban{Address: "198.51.100.0/24", Table: "banned", Since: *at(-400 * 24 * time.Hour), Proven: true, Reason: "ticket 4711"}
	return &controltest.Service{
		State: control.Status{
			Version: "0.1.0", PID: 4711, Started: *at(-76 * time.Hour), Now: moment, Backend: "pfctl",
			Sources: []control.SourceStatus{
				{Name: "pflog0", Kind: "pflog", State: "live", OK: true, Records: 1234567, Dropped: 12, Last: at(-2 * time.Second)},
				{Name: "/var/log/authlog", Kind: "log", State: "following", OK: true, Records: 5120, Rejected: 7, Last: at(-90 * time.Second)},
				{Name: "/var/log/maillog", Kind: "log", State: "missing"},
			},
			Jails: []control.JailStatus{
				{Name: "portscan", Threshold: 7, Window: "24h", Observations: 99120, Verdicts: 210, Bans: 1, BansTotal: 208},
				{Name: "sshd", Filter: "sshd", Logs: []string{"/var/log/authlog"}, Threshold: 5, Window: "10m", Observations: 4711, Verdicts: 31, Bans: 1, BansTotal: 30},
				{Name: "named", Filter: "named", Threshold: 5, Window: "10m"},
			},
			Tables: []control.TableStatus{{Name: "banned", Addresses: 2, Packets: 41212, Bytes: 2472720}, {Name: "suspects", Addresses: 1, Packets: 3, Bytes: 180}},
			Health: []control.HealthItem{{Name: "pf_enabled", OK: true, Text: "enabled for 12 days"}, {Name: "ledger", OK: true}},
		},
		List:      []control.Ban{hand, long, scan},
		NeverList: []control.NeverEntry{{Address: "127.0.0.0/8", Origins: []string{"loopback"}}, {Address: "192.0.2.1", Origins: []string{"configuration", "never add"}}},
		Told: control.Explanation{
			Address: "192.0.2.7", Now: moment,
			Story:    []string{"Banned since Nov 21, for the third time, since it tried 5 passwords in 41 s.", "PF stopped 41,212 of its packets, the last 3 minutes ago."},
			Score:    1.6,
			Shares:   []control.Share{{Jail: "sshd", Fraction: 1.0, Proven: true}, {Jail: "portscan", Fraction: 0.6}},
			Gates:    []control.Gate{{Gate: "never", Text: "not on the never-list"}, {Gate: "state", Text: "no state that our side opened"}},
			Evidence: []control.Evidence{{Time: *at(-26 * time.Hour), Jail: "sshd", Kind: "failure", Proven: true, Text: "Failed password for root from 192.0.2.7 port 55222 ssh2"}, {Time: *at(-27 * time.Hour), Jail: "portscan", Kind: "probe", Target: "203.0.113.5:23"}},
			Bans: []control.PastBan{
				{Ban: long, State: "active", By: "pfwarden", Verdict: &control.Verdict{
					Score: 1.57, Failures: 9, Shares: []control.Share{{Jail: "sshd", Fraction: 1.0, Proven: true}, {Jail: "portscan", Fraction: 0.57}},
					Gates:    []control.Gate{{Gate: "never", Text: "not on the never-list"}, {Gate: "own", Text: "none of our own addresses"}},
					Evidence: []control.Evidence{{Time: *at(-28 * time.Hour), Jail: "sshd", Kind: "failure", Proven: true, Text: "Failed password for \x1b[31madmin from 192.0.2.7 port 55221 ssh2"}},
				}},
				{Ban: control.Ban{Address: "192.0.2.7", Table: "banned", Jail: "sshd", Proven: true, Since: *at(-30 * time.Hour), Until: at(-29 * time.Hour), Step: 2, Reason: "5 failures"}, State: "ended", Ended: at(-29 * time.Hour), EndWhy: "expired", By: "pfwarden"},
			},
		},
		View: control.PFView{
			Backend: "pfctl", Filtering: false, Enabled: true, Anchor: "pfwarden", Words: []string{"Nothing is being blocked: the main ruleset does not call our anchor."},
			Problems: []control.HealthItem{{Name: "anchor_called", Text: "no rule of the main ruleset calls it", Remedy: `add to /etc/pf.conf: anchor "pfwarden"`}},
			Main:     []string{"block drop all", "pass out all flags S/SA"}, Rules: []string{"block drop log quick from <banned> to any"},
			Tables:    []control.TableStatus{{Name: "banned", Addresses: 2, Packets: 41212, Bytes: 2472720}},
			Addresses: []control.PFAddress{{Table: "banned", Address: "192.0.2.7", InBlock: control.Counter{Packets: 41212, Bytes: 2472720}}, {Table: "banned", Address: "198.51.100.0/24", NoCounters: true}},
			Limits:    []control.PFLimit{{Name: "table-entries", Value: 200000}},
		},
		Result: control.BanResult{Bans: []control.Ban{long}, Refused: []control.Refusal{}},
	}
}

// serve puts a service behind a socket of its own.
func serve(t *testing.T, s control.Service) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := control.Listen(socket, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- control.NewServer(s, slog.New(slog.DiscardHandler), control.Limits{}).Serve(ctx, l)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return socket
}

// invoke runs one command line and returns what a user would see.
func invoke(args ...string) (out, complaints string, exit int) {
	var o, e bytes.Buffer
	err := run(context.Background(), args, stdio{In: strings.NewReader(""), Out: &o, Err: &e, Now: func() time.Time { return moment }, Zone: time.UTC})
	if err != nil && !silent(err) {
		fmt.Fprintf(&e, "pfwarden: %v\n", err)
	}
	return o.String(), e.String(), exitCode(err)
}

func TestClientVerbs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		args  []string
		with  func(*controltest.Service)
		exit  int
		calls []string
	}{
		{name: "status", args: []string{"status"}, calls: []string{`status ""`}},
		{name: "status-verbose", args: []string{"status", "-v"}, calls: []string{`status ""`}},
		{name: "status-json", args: []string{"status", "-o", "json"}, calls: []string{`status ""`}},
		{
			name: "status-troubled", args: []string{"status"}, calls: []string{`status ""`},
			with: func(s *controltest.Service) {
				s.State.Observe = true
				s.State.Paused = &control.Pause{Since: *at(-time.Hour), By: "root", Flushed: true}
				s.State.Health = append(s.State.Health, control.HealthItem{Name: "anchor_called", Text: "not called", Remedy: `anchor "pfwarden"`})
			},
		},
		{name: "status-jail", args: []string{"status", "sshd"}, calls: []string{`status "sshd"`}},
		{name: "status-unknown-jail", args: []string{"status", "nosuch"}, exit: exitFailed, calls: []string{`status "nosuch"`}},
		{name: "bans", args: []string{"bans"}, calls: []string{`bans invalid Prefix "" ""`}},
		{name: "bans-json", args: []string{"bans", "-o", "json"}, calls: []string{`bans invalid Prefix "" ""`}},
		{name: "bans-none", args: []string{"bans", "--jail", "named", "--table", "banned", "192.0.2.7/24"}, with: func(s *controltest.Service) { s.List = nil }, calls: []string{`bans 192.0.2.0/24 "banned" "named"`}},
		{name: "ban", args: []string{"ban", "--for", "1d12h", "--reason", "it's me", "192.0.2.7", "::ffff:192.0.2.8"}, calls: []string{`ban [192.0.2.7/32 192.0.2.8/32] for 36h0m0s forever false reason "it's me" by root`}},
		{name: "ban-forever-json", args: []string{"ban", "--for", "forever", "192.0.2.7", "-o", "json"}, calls: []string{`ban [192.0.2.7/32] for 0s forever true reason "" by root`}},
		{
			name: "ban-refused", args: []string{"ban", "192.0.2.1"}, exit: exitFailed,
			with: func(s *controltest.Service) {
				s.Result = control.BanResult{Refused: []control.Refusal{{Address: "192.0.2.1", Text: "on the never-list (configuration)"}}}
			},
			calls: []string{`ban [192.0.2.1/32] for 0s forever false reason "" by root`},
		},
		{name: "ban-no-address", args: []string{"ban", "300.0.2.1"}, exit: exitUsage},
		{name: "ban-no-duration", args: []string{"ban", "--for", "soon", "192.0.2.1"}, exit: exitUsage},
		{name: "ban-nothing", args: []string{"ban"}, exit: exitUsage},
		{name: "unban", args: []string{"unban", "192.0.2.7"}, calls: []string{`unban [192.0.2.7/32] all false by root`}},
		{name: "unban-all", args: []string{"unban", "--all"}, calls: []string{`unban [] all true by root`}},
		{name: "unban-no-ban", args: []string{"unban", "192.0.2.9"}, with: func(s *controltest.Service) { s.Result = control.BanResult{} }, calls: []string{`unban [192.0.2.9/32] all false by root`}},
		{name: "unban-nothing", args: []string{"unban"}, exit: exitUsage},
		{name: "unban-all-and-some", args: []string{"unban", "--all", "192.0.2.7"}, exit: exitUsage},
		{name: "never-list", args: []string{"never", "list"}, calls: []string{"never"}},
		{name: "never-list-json", args: []string{"never", "list", "-o", "json"}, calls: []string{"never"}},
		{name: "never-add", args: []string{"never", "add", "--comment", "monitoring", "192.0.2.7"}, calls: []string{`never add [192.0.2.7/32] comment "monitoring" by root`}},
		{
			name: "never-remove", args: []string{"never", "remove", "192.0.2.1", "192.0.2.2"}, exit: exitFailed, calls: []string{"never remove [192.0.2.1/32 192.0.2.2/32] by root"},
			with: func(s *controltest.Service) {
				s.Result = control.BanResult{Refused: []control.Refusal{{Address: "192.0.2.1", Text: "comes from the configuration; change it there"}}}
			},
		},
		{name: "never-nothing", args: []string{"never"}, exit: exitUsage},
		{name: "never-unknown", args: []string{"never", "ad", "192.0.2.7"}, exit: exitUsage},
		{name: "pause", args: []string{"pause"}, calls: []string{"pause flush false by root"}},
		{name: "pause-flush", args: []string{"pause", "--flush"}, calls: []string{"pause flush true by root"}},
		{name: "resume-json", args: []string{"resume", "-o", "json"}, calls: []string{"resume by root"}},
		{name: "explain", args: []string{"explain", "192.0.2.7"}, calls: []string{"explain 192.0.2.7"}},
		{name: "explain-json", args: []string{"explain", "192.0.2.7", "-o", "json"}, calls: []string{"explain 192.0.2.7"}},
		{name: "explain-prefix", args: []string{"explain", "192.0.2.0/24"}, calls: []string{"explain 192.0.2.0/24"}},
		{name: "explain-nothing", args: []string{"explain", "192.0.2.300"}, exit: exitUsage},
		{name: "pf", args: []string{"pf"}, calls: []string{"pf"}},
		{name: "pf-json", args: []string{"pf", "-o", "json"}, calls: []string{"pf"}},
		{name: "not-permitted", args: []string{"pause"}, exit: exitNotPermitted, with: func(s *controltest.Service) { s.Err = fmt.Errorf("%w: only root", control.ErrNotPermitted) }, calls: []string{"pause flush false by root"}},
		{name: "failed", args: []string{"bans"}, exit: exitFailed, with: func(s *controltest.Service) { s.Err = errors.New("the ledger is gone") }, calls: []string{`bans invalid Prefix "" ""`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if os.Geteuid() != 0 {
				for i, c := range tt.calls {
					tt.calls[i] = strings.Replace(c, "by root", fmt.Sprintf("by uid %d", os.Geteuid()), 1)
				}
			}
			s := serveFake()
			if tt.with != nil {
				tt.with(s)
			}
			out, complaints, exit := invoke(append(tt.args, "--socket", serve(t, s))...)
			if exit != tt.exit {
				t.Errorf("exit status %d, want %d", exit, tt.exit)
			}
			if diff := cmp.Diff(tt.calls, s.Calls()); diff != "" {
				t.Errorf("asked of the daemon:\n%s", diff)
			}
			golden.Check(t, filepath.Join("testdata", "verbs", tt.name+".txt"), "$ pfwarden "+strings.Join(tt.args, " ")+"\n"+out+mark(complaints)+fmt.Sprintf("exit %d\n", exit))
		})
	}
}

// mark puts "! " before lines of standard error.
func mark(s string) string {
	var b strings.Builder
	for l := range strings.Lines(s) {
		b.WriteString("! " + l)
	}
	return b.String()
}

func TestNoDaemon(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead")
	l, err := control.Listen(dead, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	configured := filepath.Join(dir, "c.toml")
	if err := os.WriteFile(configured, []byte(fmt.Sprintf("[control]\nsocket = %q\n[store]\nfile = %q\n", dead, filepath.Join(dir, "none.db"))), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--socket", filepath.Join(dir, "none")}, {"--socket", dead}, {"-f", configured},
	} {
		for _, verb := range [][]string{
			{"status"}, {"bans"}, {"ban", "192.0.2.1"}, {"unban", "--all"}, {"never", "list"}, {"never", "add", "192.0.2.1"}, {"pause"}, {"resume"}, {"explain", "192.0.2.1"}, {"pf"},
		} {
			out, complaints, exit := invoke(append(verb, args...)...)
			if exit != exitNotRunning || out != "" || !strings.Contains(complaints, "the daemon is not running") {
				t.Errorf("%v %v: exit %d, %q, %q", verb, args, exit, out, complaints)
			}
		}
	}
	if _, complaints, exit := invoke("status", "-f", filepath.Join(dir, "none.toml")); exit != exitUsage {
		t.Errorf("a configuration that is not there: exit %d, %s", exit, complaints)
	}
}

func TestOutputIsNoTerminalControl(t *testing.T) {
	t.Parallel()
	out, _, _ := invoke("bans", "--socket", serve(t, serveFake()))
	if strings.ContainsRune(out, '\x1b') {
		t.Errorf("escape sequences reached the output:\n%q", out)
	}
}

func TestColours(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := &painter{w: &b, colour: true}
	p.table([]string{"A", ">N"}, [][]cell{{{"x\x1b[2J", red}, {"7", plain}}, {{"longer", plain}, {"12", plain}}})
	want := "\x1b[1mA\x1b[0m        \x1b[1mN\x1b[0m\n\x1b[31mx·[2J\x1b[0m    7\nlonger  12\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestHuman(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("count(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1500: "1.5 kB", 2472720: "2.5 MB", 999_600: "1.0 MB", 18446744073709551615: "18 EB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{90 * time.Second: "1m30s", 26*time.Hour + 5*time.Minute: "1d2h", 61*time.Minute + 5*time.Second: "1h1m", 400 * 24 * time.Hour: "400d"} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
}
