package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadmeShowsTheReport: what the README shows of the samples' report stands in it, line by line and in that order.
func TestReadmeShowsTheReport(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if err := run(t.Context(), []string{"replay", "--samples"}, stdio{In: strings.NewReader(""), Out: &out, Err: &errs}); err != nil {
		t.Fatal(err, errs.String())
	}
	_, shown, _ := strings.Cut(string(readme), "of which this is a part:\n")
	rest, lines := out.String(), 0
	for line := range strings.Lines(shown) {
		line, code := strings.CutPrefix(line, "    ")
		switch {
		case code:
			var found bool
			if _, rest, found = strings.Cut(rest, line); !found {
				t.Fatalf("not in the report, or not there: %q", line)
			}
			lines++
		case strings.TrimSpace(line) != "":
			if lines < 5 {
				t.Errorf("the README shows %d lines of the report", lines)
			}
			return
		}
	}
}
