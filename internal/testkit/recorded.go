package testkit

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Recorded gives the path of a file or folder of recorded data, such as "data/fail2ban/units_bantime.jsonl". That data is not part of the
// repository: it lies in the folder that PFWARDEN_SHARED names, else in shared beside the checkout. Where it is absent the test is skipped.
func Recorded(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("PFWARDEN_SHARED")
	if dir == "" {
		dir = filepath.Join(Root(t), "..", "shared")
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("recorded data is not here (PFWARDEN_SHARED names its folder): %v", err)
	}
	return path
}

// EachRecord decodes every line of a recorded file of JSON lines and calls do with its number, from 0, and what it holds. A file without a
// line fails the test.
func EachRecord[R any](t testing.TB, name string, do func(n int, r R)) {
	t.Helper()
	file, err := os.Open(Recorded(t, name))
	Must(t, err)
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	n := 0
	for ; lines.Scan(); n++ {
		var r R
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("%s: line %d: %v", name, n+1, err)
		}
		do(n, r)
	}
	if n == 0 || lines.Err() != nil {
		t.Fatalf("%s: %d records, %v", name, n, lines.Err())
	}
	t.Logf("%s: %d records", name, n)
}
