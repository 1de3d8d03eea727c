package archtest

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pfwarden/internal/config"
)

// TestReadmeIsTrue checks what the README shows: its configuration is accepted, what it links to is there, and its two commands
// are those that .ci/run runs.
func TestReadmeIsTrue(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	readme := string(content)

	_, section, found := strings.Cut(readme, "\n## Configure\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var toml strings.Builder
	for line := range strings.Lines(section) {
		if code, indented := strings.CutPrefix(line, "    "); indented || strings.TrimSpace(line) == "" {
			toml.WriteString(code)
		}
	}
	c, err := config.Parse("README.md", []byte(toml.String()), config.Options{OS: "openbsd"})
	if err != nil || !found {
		t.Errorf("the configuration that the README shows: %v\n%s", err, toml.String())
	} else if c.Jail("web") == nil || len(c.Never) == 0 {
		t.Errorf("the configuration that the README shows was not read:\n%s", toml.String())
	}

	for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(readme, -1) {
		if strings.Contains(link[1], "://") {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(link[1]))); err != nil {
			t.Errorf("the README links to %s: %v", link[1], err)
		}
	}

	ci, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"sh setup.sh", "go test ./..."} {
		if !strings.Contains(readme, "\n    "+command+"\n") || !strings.Contains(string(ci), command) {
			t.Errorf("%q is not a command of both README.md and .ci/run", command)
		}
	}
}

// TestPackagesAreDescribed: docs/architecture.md says of every folder with code what it promises; one beneath another may be told with it.
func TestPackagesAreDescribed(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{"etc": true} // only a test of what is installed
	for _, f := range sources(t) {
		if seen[f.folder] {
			continue
		}
		seen[f.folder] = true
		parent, last := path.Split(f.folder)
		if !strings.Contains(string(page), "`"+f.folder+"`") &&
			!(strings.Contains(string(page), "| `"+strings.TrimSuffix(parent, "/")+"`") && strings.Contains(string(page), "`"+last+"`")) {
			t.Errorf("%s: docs/architecture.md does not say what it is for", f.folder)
		}
	}
}
