package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDependenciesAreExplained compares go.mod's direct requirements with docs/dependencies.md, in both directions.
func TestDependenciesAreExplained(t *testing.T) {
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	required := map[string]bool{}
	for _, line := range regexp.MustCompile(`(?m)^(?:require )?\s*([a-z0-9.-]+\.[a-z]+/\S+|[a-z0-9.-]+\.[a-z]+) v\S+.*$`).FindAllStringSubmatch(read("go.mod"), -1) {
		if !strings.Contains(line[0], "// indirect") {
			required[line[1]] = true
		}
	}
	explained := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| \\S.* \\| \\S.* \\|$").FindAllStringSubmatch(read("docs/dependencies.md"), -1) {
		explained[row[1]] = true
	}
	if len(required) == 0 {
		t.Fatal("no requirements found in go.mod")
	}
	if diff := cmp.Diff(required, explained); diff != "" {
		t.Errorf("docs/dependencies.md lies (-go.mod +page):\n%s", diff)
	}
}
