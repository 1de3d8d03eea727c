package loggen

import (
	"os"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/detect/filter"
	"pfwarden/internal/fail2ban"
)

// stockFilters are fail2ban's filters that read the logs written here.
var stockFilters = map[string]string{"sshd": "sshd", "apache": "apache-auth", "nginx": "nginx-http-auth", "postfix": "postfix"}

// stockSet compiles filters of the fail2ban folder that PFWARDEN_FAIL2BAN_DIR names, which Debian's package holds as etc/fail2ban.
func stockSet(t testing.TB, specs ...string) *filter.Set {
	t.Helper()
	dir := os.Getenv("PFWARDEN_FAIL2BAN_DIR")
	if dir == "" {
		t.Skip("PFWARDEN_FAIL2BAN_DIR is not set")
	}
	var filters []*filter.Filter
	for _, spec := range specs {
		def, err := fail2ban.FilterDefinition(dir, spec, "")
		if err != nil {
			t.Fatal(err)
		}
		f, err := filter.Compile(def, filter.Options{Location: time.UTC, Year: 2026, Replay: true})
		if err != nil {
			t.Fatal(err)
		}
		filters = append(filters, f)
	}
	return filter.NewSet(filters)
}

// TestStockFiltersFindThem: fail2ban's own filters find the failures written.
func TestStockFiltersFindThem(t *testing.T) {
	for _, kind := range Kinds() {
		spec := stockFilters[kind]
		if kind == "postfix" {
			spec = "postfix[mode=aggressive]" // the default mode leaves failed log-ins out
		}
		set, got := stockSet(t, spec), 0
		lines, want := generate(t, kind, 5000)
		for i, l := range lines {
			set.Match(capture.Line{Text: l, Number: uint64(i + 1)}, time.Time{}, func(_ int, c filter.Candidate) { got++ })
		}
		if got != want {
			t.Errorf("%s: %d failures found, %d written", kind, got, want)
		}
	}
}

// BenchmarkStock: lines a second of processor time by fail2ban's own filters, with 5 % failures.
func BenchmarkStock(b *testing.B) {
	for _, kind := range Kinds() {
		b.Run(kind, func(b *testing.B) {
			set := stockSet(b, stockFilters[kind])
			lines, _ := generate(b, kind, 20_000)
			feed(b, set, lines)
		})
	}
}
