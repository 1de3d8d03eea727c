package metrics

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"pfwarden/internal/testkit/golden"
	"pfwarden/pfctl"
)

// quiet is a logger for tests in which nothing should be logged, or in which it does not matter.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// full is a Metrics in which every family has a sample.
func full(t *testing.T) *Metrics {
	t.Helper()
	m := New(Options{Version: "1.2.3", Capture: "libpcap", Addresses: 2})
	m.Records.With("pflog").Add(1200)
	m.Records.With("log").Add(34)
	m.Rejected.With("pflog", "truncated").Inc()
	m.LastRecord.With("pflog").Set(1700000000.5)
	m.Observations.With("portscan", "probe").Add(70)
	m.Observations.With("sshd", "failure").Add(5)
	m.Verdicts.With("portscan", "spoofable", "stopped").Inc()
	m.Verdicts.With("sshd", "proven", "banned").Add(2)
	m.Gates.With("contact", "true").Inc()
	m.Bans.With("sshd", "banned").Add(2)
	m.Prolonged.With("sshd").Inc()
	m.Unbans.With("banned", "expired").Inc()
	m.BanLatency.Observe(.007)
	m.Extended.With("sshd").Inc()
	m.Refused.With("never").Inc()
	m.PfctlDuration.With("add").Observe(.004)
	m.ClockSteps.With("back").Inc()
	m.LedgerErrors.With("commit").Inc()
	m.ConfigAccepted.Set(1)
	m.ConfigTime.Set(1700000000)
	for i := range limit("gate") + 1 {
		m.bounds.value("gate", fmt.Sprint("gate", i))
	}
	m.Attach(Sources{
		Capture: func() []CaptureStats {
			return []CaptureStats{{Interface: "pflog0", Up: true, Received: 1203, KernelDropped: 3, InterfaceDropped: 2, QueueDropped: 1, Reopened: 1}}
		},
		Logs: func() []LogStats {
			return []LogStats{{File: "/var/log/authlog", Readable: true, Lines: 34, Cut: 1, LagBytes: 512, LagLines: 2, Renamed: 1}}
		},
		Detector: func() DetectorStats {
			return DetectorStats{Slots: 262144, Used: 40, HalfSuspected: 3, DoorkeeperFill: .01, DoorkeeperHeld: 9, Evictions: 2, Spilled: 4, SpillLost: 5, Late: 1}
		},
		Bans:      func() []ActiveBans { return []ActiveBans{{"sshd", "banned", 1}} },
		Forgotten: func() map[string]uint64 { return map[string]uint64{"evidence": 2, "end": 1, "step": 3} },
		Pfctl: func() pfctl.Stats {
			return pfctl.Stats{Runs: map[string]uint64{"add": 2, "show": 5}, Errors: map[string]uint64{"busy": 1}, Heals: map[string]uint64{"table": 1},
				Foreign: map[pfctl.Table]int{pfctl.Banned: 3}, Pending: 4, KillQueue: 6, KillDropped: 7, Skipped: 8, Refused: 9}
		},
		Actions: func() ActionStats {
			return ActionStats{Done: map[string]uint64{"ban": 5, "unban": 4}, Failed: map[string]uint64{"ban": 1}, Waiting: 2, Dropped: 3}
		},
		Ledger: func() int64 { return 40960 },
		State:  func() State { return State{Paused: true, LastSnapshot: time.Unix(1700000300, 0)} },
		Health: func() []HealthItem { return []HealthItem{{Name: "pf_enabled", OK: true}, {Name: "anchor_called"}} },
		Screen: func() ScreenStats {
			return ScreenStats{Names: map[string]uint64{"looked_up": 3, "failed": 1}, Commands: map[string]uint64{"run": 2, "ignored": 1}, Ignored: 4, Waiting: 5}
		},
		PF: func() (PFCounters, error) {
			return PFCounters{Read: time.Unix(1700000400, 0), EntriesLimit: 200000, Tables: []TableCounters{{
				Table: "banned", Addresses: 3, Totals: Counts{InBlock: Count{60, 3600}, OutPass: Count{1, 40}},
				ByAddress: []AddressCounters{
					{netip.MustParsePrefix("192.0.2.7/32"), Counts{InBlock: Count{10, 600}}},
					{netip.MustParsePrefix("2001:db8:1::/64"), Counts{InBlock: Count{30, 1800}}},
					{netip.MustParsePrefix("192.0.2.9/32"), Counts{InBlock: Count{20, 1200}, InPass: Count{1, 60}}},
				},
			}}}, nil
		},
	})
	return m
}

// scrape fetches /metrics as Prometheus would, in the text format.
func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler("1.2.3", nil, quiet()).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		t.Fatalf("scrape: status %d\n%s", rec.Code, rec.Body)
	}
	return rec.Body.String()
}

func TestScrapeGolden(t *testing.T) {
	got := strings.NewReplacer(runtime.Version(), "GOVERSION", `goos="`+runtime.GOOS+`"`, `goos="GOOS"`).Replace(scrape(t, full(t)))
	golden.Check(t, filepath.Join("testdata", "scrape.prom"), got)
}

// TestDefinitionsAreComplete compares the definitions with what a scrape really shows, in both directions.
func TestDefinitionsAreComplete(t *testing.T) {
	shown := map[string]string{}
	for _, line := range regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`).FindAllStringSubmatch(scrape(t, full(t)), -1) {
		shown[line[1]] = line[2]
	}
	defined := map[string]string{}
	for _, d := range Definitions() {
		if _, twice := defined[d.Name]; twice {
			t.Errorf("%s is defined twice", d.Name)
		}
		defined[d.Name] = string(d.Type)
	}
	if diff := cmp.Diff(defined, shown); diff != "" {
		t.Errorf("definitions and scrape differ (-defined +shown):\n%s", diff)
	}
}

func TestNamingRules(t *testing.T) {
	problems, err := testutil.GatherAndLint(full(t).registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, d := range Definitions() {
		// In OpenMetrics a counter's family is named without _total and would collide.
		base, isCounter := strings.CutSuffix(d.Name, "_total")
		if isCounter && slices.ContainsFunc(Definitions(), func(o Definition) bool { return o.Name == base }) {
			t.Errorf("%s and %s collide in OpenMetrics", d.Name, base)
		}
	}
}

func TestPromtoolCheckMetrics(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	m := full(t)
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(scrape(t, m))
	if out, err := cmd.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

func TestRuntimeMetricsAreOptional(t *testing.T) {
	for _, on := range []bool{false, true} {
		text := scrape(t, New(Options{Runtime: on}))
		if got := strings.Contains(text, "go_goroutines"); got != on {
			t.Errorf("Runtime %v: go_goroutines shown: %v", on, got)
		}
	}
}

// Two Metrics in one process must not meet, as they would in client_golang's global registry.
func TestNoGlobalState(t *testing.T) {
	a, b := New(Options{}), New(Options{})
	a.Records.With("pflog").Add(7)
	if got := testutil.ToFloat64(b.Records.With("pflog")); got != 0 {
		t.Errorf("a second Metrics sees %v records of the first", got)
	}
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "pfwarden_") {
			t.Errorf("%s is in the global registry", f.GetName())
		}
	}
}

func TestLabelsAreBounded(t *testing.T) {
	m := New(Options{})
	const surplus = 50
	for i := range limit("cause") + surplus {
		m.Rejected.With("pflog", fmt.Sprint("cause", i)).Inc()
	}
	m.Rejected.With("pflog", "cause0").Inc() // known values go on to be counted as themselves
	if got := testutil.CollectAndCount(m.Rejected.vec); got != limit("cause")+1 {
		t.Errorf("%d series, want %d and \"other\"", got, limit("cause"))
	}
	for _, c := range []struct {
		name string
		got  prometheus.Counter
		want float64
	}{
		{"overflowing values", m.Rejected.With("pflog", "never seen"), surplus},
		{"known value", m.Rejected.With("pflog", "cause0"), 2},
		{"overflow counter", m.bounds.overflow.WithLabelValues("cause"), surplus + 1},
	} {
		if got := testutil.ToFloat64(c.got); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestLabelValuesAreCleaned(t *testing.T) {
	long := strings.Repeat("é", maxValueLength)
	for _, c := range []struct{ name, value, want string }{
		{"plain", "sshd", "sshd"},
		{"invalid UTF-8", "a\xff\xfeb", "a\uFFFDb"},
		{"cut between characters", long, strings.Repeat("é", (maxValueLength-len("…"))/2) + "…"},
		{"line end and quote", "a\n\"b", "a\n\"b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := New(Options{})
			if got := m.bounds.value("jail", c.value); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			m.Bans.With(c.value, "banned").Inc()
			if text := scrape(t, m); strings.Count(text, "\npfwarden_bans_total{") != 1 {
				t.Errorf("not exactly one sample on one line:\n%s", text)
			}
		})
	}
}

func TestWrongNumberOfLabelsPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	New(Options{}).Bans.With("only a jail")
}

// Two items of one name, or more than a label may have, must join rather than fail the whole scrape.
func TestDuplicateSourcesAreJoined(t *testing.T) {
	m := New(Options{})
	m.Attach(Sources{
		Health: func() []HealthItem { return []HealthItem{{Name: "x", OK: true}, {Name: "x"}} },
		Bans:   func() []ActiveBans { return []ActiveBans{{"a", "banned", 2}, {"a", "banned", 3}} },
		Capture: func() []CaptureStats {
			return []CaptureStats{{Interface: "pflog0", Up: true, Received: 1}, {Interface: "pflog0", Received: 2}}
		},
		Logs: func() []LogStats {
			var all []LogStats
			for i := range limit("file") + 3 {
				all = append(all, LogStats{File: fmt.Sprintf("/log/%03d", i), LagBytes: 5, Readable: i != limit("file")+1})
			}
			slices.Reverse(all)
			return all
		},
		PF: func() (PFCounters, error) {
			return PFCounters{Tables: []TableCounters{{Table: "banned"}, {Table: "banned"}}}, nil
		},
	})
	text := scrape(t, m)
	for _, want := range []string{
		`pfwarden_health{item="x"} 0`,
		`pfwarden_active_bans{jail="a",table="banned"} 5`,
		`pfwarden_capture_received_total{interface="pflog0"} 3`,
		`pfwarden_capture_up{interface="pflog0"} 0`,
		`pfwarden_log_lag_bytes{file="/log/000"} 5`,
		`pfwarden_log_lag_bytes{file="other"} 15`,
		`pfwarden_log_readable{file="other"} 0`,
		`pfwarden_pf_table_addresses{table="banned"} 0`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
}

func TestPFUnavailable(t *testing.T) {
	m := New(Options{Addresses: 10})
	m.Attach(Sources{PF: func() (PFCounters, error) {
		return PFCounters{Tables: []TableCounters{{Table: "banned"}}}, errors.New("pfctl is stuck")
	}})
	text := scrape(t, m)
	if !strings.Contains(text, "\npfwarden_pf_up 0\n") || strings.Contains(text, "pfwarden_pf_table") {
		t.Errorf("want pfwarden_pf_up 0 and no counters:\n%s", text)
	}
}

func BenchmarkScrape(b *testing.B) {
	all := make([]AddressCounters, 150_000)
	for i := range all {
		a := netip.AddrFrom4([4]byte{198, byte(18 + i>>16), byte(i >> 8), byte(i)})
		all[i] = AddressCounters{netip.PrefixFrom(a, 32), Counts{InBlock: Count{uint64(i) * 2654435761 % 100000, 0}}}
	}
	m := New(Options{Addresses: 100})
	m.Attach(Sources{PF: func() (PFCounters, error) {
		return PFCounters{Tables: []TableCounters{{Table: "banned", Addresses: len(all), ByAddress: all}}}, nil
	}})
	h := m.Handler("", nil, quiet())
	for b.Loop() {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		_, _ = io.Copy(io.Discard, rec.Body)
	}
}
