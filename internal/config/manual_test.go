package config

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The manual must name every key in its section, with its default.
func TestManual(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "man", "pfwarden.toml.5")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sections := make(map[string]string)
	for _, part := range strings.Split(string(text), "\n.Sh ")[1:] {
		title, body, _ := strings.Cut(part, "\n")
		name, ok := strings.CutPrefix(title, "[")
		if ok {
			name, _, _ = strings.Cut(name, "]")
		} else if title == "KEYS WITHOUT A SECTION" {
			name = ""
		}
		sections[name] = body
	}
	count := 0
	for _, k := range Keys("openbsd") {
		body := sections[k.Section]
		i := strings.Index(body, ".It Cm "+k.Name+" No = Li ")
		if i < 0 {
			t.Errorf("[%s] %s is not in the manual", k.Section, k.Name)
			continue
		}
		entry := body[i:]
		if end := strings.Index(entry[1:], "\n.It "); end > 0 {
			entry = entry[:end+1]
		}
		plain := strings.NewReplacer(`\(dq`, `"`, `\ `, " ", "\n", " ").Replace(entry)
		if !strings.Contains(plain, strings.Trim(k.Default, "[]")) {
			t.Errorf("[%s] %s: the manual does not say its default %s:\n%s", k.Section, k.Name, k.Default, entry)
		}
		count++
	}
	if n := strings.Count(string(text), "\n.It Cm "); n != count {
		t.Errorf("the manual has %d keys, there are %d", n, count)
	}
}

// mandoc(1) must find nothing to complain of in any manual.
func TestManualsAreGoodMdoc(t *testing.T) {
	t.Parallel()
	mandoc, err := exec.LookPath("mandoc")
	if err != nil {
		t.Skip("mandoc is not installed")
	}
	pages, err := filepath.Glob(filepath.Join("..", "..", "man", "*.[58]"))
	if err != nil || len(pages) < 2 {
		t.Fatalf("manuals: %q, %v", pages, err)
	}
	for _, page := range pages {
		if out, err := exec.Command(mandoc, "-Tlint", "-Wwarning", page).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", page, err, out)
		}
	}
}
