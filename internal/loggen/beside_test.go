package loggen

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/detect/filter"
	"pfwarden/internal/testkit"
)

// measure is lines a second of processor time, of each round.
type measure struct {
	name  string
	rates []float64
	found int
}

func (m *measure) median() float64 {
	slices.Sort(m.rates)
	return m.rates[len(m.rates)/2]
}

// number reads a count from the environment.
func number(b *testing.B, name string, otherwise int) int {
	b.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("%s=%s: expected a number above 0", name, text)
	}
	return n
}

// BenchmarkBesideFail2ban matches generated logs with fail2ban's own filters: by a filter set, by pfwarden test and by fail2ban-regex,
// in turns, and prints the medians. .ci/bench-filter.sh sets what it needs: PFWARDEN_FAIL2BAN, PFWARDEN_FAIL2BAN_REGEX (the
// command, in words), PFWARDEN_BINARY; FILTER_LINES and FILTER_ROUNDS.
func BenchmarkBesideFail2ban(b *testing.B) {
	command, binary := strings.Fields(os.Getenv("PFWARDEN_FAIL2BAN_REGEX")), os.Getenv("PFWARDEN_BINARY")
	if len(command) == 0 || binary == "" {
		b.Skip("run .ci/bench-filter.sh")
	}
	dir := stockFolder(b)
	lines, rounds := number(b, "FILTER_LINES", 1_000_000), number(b, "FILTER_ROUNDS", 3)
	fmt.Printf("\nlines a second of processor time, %d lines with 5%% failures, median of %d; matcher: the library alone, test: the whole process of pfwarden test\n", lines, rounds)
	fmt.Printf("%-16s %12s %14s %15s %9s %9s\n", "filter", "matcher", "pfwarden test", "fail2ban-regex", "matcher", "test")
	for _, kind := range Kinds() {
		name := stockFilters[kind]
		path := filepath.Join(b.TempDir(), kind)
		writeLog(b, path, kind, lines)
		set, ours, theirs := &measure{name: "matcher"}, &measure{name: "pfwarden test"}, &measure{name: "fail2ban-regex"}
		for range rounds {
			set.match(b, stockSet(b, name), path, lines)
			ours.run(b, lines, binary, "test", "--fail2ban", dir, "--year", "2026", "--timezone", "UTC", path, name)
			theirs.run(b, lines, command[0], append(slices.Clone(command[1:]), "-c", dir, path, name)...)
		}
		// fail2ban-regex ages the connections that it remembers by its own clock, not by the log's: a few counts differ.
		if off := theirs.found - set.found; max(off, -off) > theirs.found/50 || ours.found != set.found {
			b.Errorf("%s: %d lines matched by the matcher, %d by pfwarden test, %d by fail2ban-regex", name, set.found, ours.found, theirs.found)
		}
		t := theirs.median()
		fmt.Printf("%-16s %12.0f %14.0f %15.0f %8.1fx %8.1fx\n", name, set.median(), ours.median(), t, set.median()/t, ours.median()/t)
		b.ReportMetric(set.median()/t, name+"-ratio")
		b.ReportMetric(ours.median()/t, name+"-process-ratio")
		os.Remove(path)
	}
}

func writeLog(b *testing.B, path, kind string, lines int) {
	b.Helper()
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := Write(file, Options{Kind: kind, Lines: lines, Failures: 0.05, Seed: 1, Start: start}); err != nil {
		b.Fatal(err)
	}
	if err := file.Close(); err != nil {
		b.Fatal(err)
	}
}

// match reads and matches the log in this process.
func (m *measure) match(b *testing.B, set *filter.Set, path string, lines int) {
	b.Helper()
	file, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	m.found = 0
	emit := func(int, filter.Candidate) { m.found++ }
	used := testkit.ProcessorTime()
	block, kept := make([]byte, 32<<10), 0
	for err == nil {
		var n int
		n, err = file.Read(block[kept:])
		end := bytes.LastIndexByte(block[:kept+n], '\n') + 1
		text := string(block[:end])
		for text != "" {
			line, more, _ := strings.Cut(text, "\n")
			set.Match(capture.Line{Text: line}, time.Time{}, emit)
			text = more
		}
		kept = copy(block, block[end:kept+n])
	}
	m.rates = append(m.rates, float64(lines)/(testkit.ProcessorTime()-used).Seconds())
	if !errors.Is(err, io.EOF) {
		b.Fatal(err)
	}
}

var matchedLines = regexp.MustCompile(`(?m)^(?:Lines: )?\d+ lines.* (\d+) matched`)

// run starts a program that says how many lines matched, and takes its whole processor time, start included.
func (m *measure) run(b *testing.B, lines int, name string, args ...string) {
	b.Helper()
	cmd := exec.Command(name, args...)
	var out, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &fault
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s: %v\n%s%s", m.name, err, out.Bytes(), fault.Bytes())
	}
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	m.rates = append(m.rates, float64(lines)/used.Seconds())
	found := matchedLines.FindSubmatch(out.Bytes())
	if found == nil {
		b.Fatalf("%s does not say how many lines matched:\n%s", m.name, out.Bytes())
	}
	m.found, _ = strconv.Atoi(string(found[1]))
}
