package metrics

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	repository  = "../.."
	dashboards  = repository + "/dashboards"
	mainBoard   = dashboards + "/grafana/pfwarden.json"
	unknownName = "is not a metric of docs/metrics.md"
)

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// board is what the tests need to know of a Grafana dashboard.
type board struct {
	Title      string
	Panels     []panel
	Templating struct {
		List []struct{ Name, Definition string }
	}
	Annotations struct {
		List []struct{ Expr string }
	}
}

type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct{ Expr string }
}

func readBoard(t *testing.T) board {
	t.Helper()
	var b board
	if err := json.Unmarshal([]byte(readFile(t, mainBoard)), &b); err != nil {
		t.Fatalf("%s: %v", mainBoard, err)
	}
	return b
}

// expressions gives every PromQL expression of the dashboard, by where it stands.
func (b board) expressions() map[string]string {
	all := map[string]string{}
	for _, p := range b.Panels {
		for i, target := range p.Targets {
			all[p.Title+string(rune('A'+i))] = target.Expr
		}
	}
	for _, v := range b.Templating.List {
		all["variable "+v.Name] = v.Definition
	}
	for _, a := range b.Annotations.List {
		all["annotation "+a.Expr] = a.Expr
	}
	return all
}

// checkExpression finds names that no metric has, and labels that its metric does not have.
func checkExpression(expr string) (faults []string) {
	byName := map[string]Definition{}
	for _, d := range Definitions() {
		byName[d.Name] = d
		if d.Type == Histogram {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				byName[d.Name+suffix] = Definition{Name: d.Name + suffix, Labels: append([]string{"le"}, d.Labels...)}
			}
		}
	}
	for _, use := range regexp.MustCompile(`(pfwarden_\w+)(\{[^}]*\})?`).FindAllStringSubmatch(expr, -1) {
		d, known := byName[use[1]]
		if !known {
			faults = append(faults, use[1]+" "+unknownName)
			continue
		}
		for _, label := range regexp.MustCompile(`(\w+)\s*(?:=~|!=|!~|=)\s*"`).FindAllStringSubmatch(use[2], -1) {
			if !slices.Contains(append([]string{"instance", "job"}, d.Labels...), label[1]) {
				faults = append(faults, d.Name+" has no label "+label[1])
			}
		}
	}
	// by (…) of an aggregation over exactly one metric names labels of that metric.
	for _, by := range regexp.MustCompile(`by \(([^)]*)\) \(?(?:rate|increase)?\(?(pfwarden_\w+)`).FindAllStringSubmatch(expr, -1) {
		d, known := byName[by[2]]
		for _, label := range strings.FieldsFunc(by[1], func(r rune) bool { return r == ',' || r == ' ' }) {
			if known && !slices.Contains(append([]string{"instance", "job"}, d.Labels...), label) {
				faults = append(faults, d.Name+" has no label "+label)
			}
		}
	}
	return faults
}

func TestCheckExpression(t *testing.T) {
	for expr, want := range map[string]int{
		`sum by (jail) (rate(pfwarden_bans_total{instance=~"$instance",jail="x"}[5m]))`:        0,
		`sum by (kind) (rate(pfwarden_bans_total[5m]))`:                                        1,
		`pfwarden_bans_total{kind="x"}`:                                                        1,
		`pfwarden_banz_total`:                                                                  1,
		`histogram_quantile(0.9, sum by (le) (rate(pfwarden_ban_latency_seconds_bucket[5m])))`: 0,
		`process_resident_memory_bytes`:                                                        0,
	} {
		if faults := checkExpression(expr); len(faults) != want {
			t.Errorf("%s: %q, want %d", expr, faults, want)
		}
	}
}

func TestDashboardUsesRealMetrics(t *testing.T) {
	b := readBoard(t)
	used := ""
	for where, expr := range b.expressions() {
		used += expr + "\n"
		for _, fault := range checkExpression(expr) {
			t.Errorf("%s: %s", where, fault)
		}
	}
	for _, d := range Definitions() {
		if !strings.Contains(used, d.Name) {
			t.Errorf("%s is shown nowhere", d.Name)
		}
	}
}

func TestDashboardIsComplete(t *testing.T) {
	b := readBoard(t)
	ids := map[int]bool{}
	for i, p := range b.Panels {
		if ids[p.ID] {
			t.Errorf("%q: its id %d is taken", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || len(p.Targets) == 0 {
			t.Errorf("%q has no description or no query", p.Title)
		}
		if p.FieldConfig.Defaults.Unit == "" && p.Type != "table" && p.Type != "state-timeline" {
			t.Errorf("%q has no unit", p.Title)
		}
		for _, o := range b.Panels[:i] {
			g, h := p.GridPos, o.GridPos
			if g.X < h.X+h.W && h.X < g.X+g.W && g.Y < h.Y+h.H && h.Y < g.Y+g.H || g.X+g.W > 24 {
				t.Errorf("%q and %q overlap, or stand outside", p.Title, o.Title)
			}
		}
	}
}

func TestRulesUseRealMetrics(t *testing.T) {
	for _, name := range []string{"rules.yml", "rules_test.yml"} {
		content := readFile(t, dashboards+"/"+name)
		if !strings.Contains(content, "pfwarden_") {
			t.Errorf("%s uses no metric of ours", name)
		}
		for _, fault := range checkExpression(content) {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

// TestEveryAlertIsTested: each alert of rules.yml must be named in rules_test.yml.
func TestEveryAlertIsTested(t *testing.T) {
	tests := readFile(t, dashboards+"/rules_test.yml")
	alerts := regexp.MustCompile(`(?m)^\s*- alert: (\w+)$`).FindAllStringSubmatch(readFile(t, dashboards+"/rules.yml"), -1)
	if len(alerts) == 0 {
		t.Fatal("rules.yml has no alerts")
	}
	for _, a := range alerts {
		if !strings.Contains(tests, a[1]) {
			t.Errorf("%s is not tested in rules_test.yml", a[1])
		}
	}
}

func TestToolsAcceptOurFiles(t *testing.T) {
	for _, c := range []struct {
		name, program string
		args          []string
	}{
		{"rules", "promtool", []string{"check", "rules", "dashboards/rules.yml"}},
		{"rule tests", "promtool", []string{"test", "rules", "dashboards/rules_test.yml"}},
		{"Prometheus configuration", "promtool", []string{"check", "config", "dashboards/prometheus.yml"}},
		{"docker-compose.yml", "docker-compose", []string{"config", "-q"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			program, err := exec.LookPath(c.program)
			if err != nil {
				t.Skipf("%s is not installed", c.program)
			}
			cmd := exec.Command(program, c.args...)
			cmd.Dir = repository
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
