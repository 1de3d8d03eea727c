package metrics

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDocsListTheMetrics compares docs/metrics.md with the definitions, in both directions: name, type, labels, meaning.
func TestDocsListTheMetrics(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]Definition{}
	row := regexp.MustCompile("(?m)^\\| `(pfwarden_[^`]*)` \\| (\\w+) \\| (.*?) \\| (.*) \\|$")
	for _, cells := range row.FindAllStringSubmatch(string(page), -1) {
		d := Definition{Name: cells[1], Type: Type(cells[2]), Help: cells[4], Labels: quoted(cells[3])}
		if _, twice := documented[d.Name]; twice {
			t.Errorf("%s stands twice in docs/metrics.md", d.Name)
		}
		documented[d.Name] = d
	}
	defined := map[string]Definition{}
	labels := map[string]bool{}
	for _, d := range Definitions() {
		defined[d.Name] = d
		for _, l := range d.Labels {
			labels[l] = true
		}
	}
	if diff := cmp.Diff(defined, documented); diff != "" {
		t.Errorf("docs/metrics.md lies (-program +page):\n%s", diff)
	}

	explained := map[string]bool{}
	_, table, found := strings.Cut(string(page), "| Label | Values |")
	if !found {
		t.Fatal("docs/metrics.md has no table of labels")
	}
	for _, first := range regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|").FindAllStringSubmatch(table, -1) {
		for _, l := range quoted(first[1]) {
			explained[l] = true
		}
	}
	if diff := cmp.Diff(labels, explained); diff != "" {
		t.Errorf("the labels of docs/metrics.md (-program +page):\n%s", diff)
	}
}

// quoted gives the words between back quotes.
func quoted(text string) []string {
	var words []string
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(text, -1) {
		words = append(words, m[1])
	}
	return words
}
