package loggen

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/detect/filter"
	"pfwarden/detect/filter/builtin"
	"pfwarden/internal/testkit"
)

func filterOf(kind string) string {
	switch kind {
	case "apache", "nginx":
		return "httpd-auth"
	}
	return kind
}

var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func generate(t testing.TB, kind string, lines int) ([]string, int) {
	t.Helper()
	var b bytes.Buffer
	failures, err := Write(&b, Options{Kind: kind, Lines: lines, Failures: 0.05, Seed: 1, Start: start})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n"), failures
}

// newSet compiles our own filters.
func newSet(t testing.TB, specs ...string) *filter.Set {
	t.Helper()
	return compile(t, builtin.Lookup, specs)
}

func compile(t testing.TB, lookup func(spec string) (filter.Definition, error), specs []string) *filter.Set {
	t.Helper()
	var filters []*filter.Filter
	for _, spec := range specs {
		def, err := lookup(spec)
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

// TestOwnFiltersFindThem: the filters find exactly the failures written.
func TestOwnFiltersFindThem(t *testing.T) {
	t.Parallel()
	for _, kind := range Kinds() {
		lines, want := generate(t, kind, 5000)
		if len(lines) != 5000 || want < 150 || want > 350 {
			t.Fatalf("%s: %d lines, %d failures", kind, len(lines), want)
		}
		set, got := newSet(t, filterOf(kind)), 0
		for i, l := range lines {
			set.Match(capture.Line{Text: l, Number: uint64(i + 1)}, time.Time{}, func(_ int, c filter.Candidate) {
				if !c.Login {
					got++
				}
			})
		}
		if got != want {
			t.Errorf("%s: %d failures found, %d written", kind, got, want)
		}
	}
	if _, err := Write(&bytes.Buffer{}, Options{Kind: "x"}); err == nil {
		t.Error("an unknown kind was written")
	}
}

// BenchmarkFilters: lines a second of processor time, with 5 % failures.
func BenchmarkFilters(b *testing.B) {
	for _, kind := range Kinds() {
		lines, _ := generate(b, kind, 20_000)
		b.Run(kind, func(b *testing.B) { feed(b, newSet(b, filterOf(kind)), lines) })
	}
}

// BenchmarkJails: what further jails on one file cost.
func BenchmarkJails(b *testing.B) {
	lines, _ := generate(b, "sshd", 20_000)
	for _, n := range []int{1, 20} {
		specs := make([]string, n)
		for i := range specs {
			specs[i] = builtin.Names()[i%len(builtin.Names())]
		}
		specs[0] = "sshd"
		b.Run(fmt.Sprint(n), func(b *testing.B) { feed(b, newSet(b, specs...), lines) })
	}
}

func feed(b *testing.B, set *filter.Set, lines []string) {
	b.ReportAllocs()
	i, found := 0, 0
	emit := func(int, filter.Candidate) { found++ }
	used := testkit.ProcessorTime()
	for b.Loop() {
		set.Match(capture.Line{Text: lines[i]}, time.Time{}, emit)
		if i++; i == len(lines) {
			i = 0
		}
	}
	b.ReportMetric(float64(b.N)/(testkit.ProcessorTime()-used).Seconds(), "lines/cpu-s")
}
