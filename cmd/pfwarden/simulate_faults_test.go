package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pfwarden/internal/testkit"
)

// TestSimulateFaults: what would write files that are of no use is refused, in words that say what was expected.
func TestSimulateFaults(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x")
	testkit.Must(t, os.Symlink("x", filepath.Join(dir, "link")))
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--snaplen", "10"}, "expected at least 128"},
		{[]string{"--snaplen", "99", "--dialect", "freebsd"}, "expected at least 100"},
		{[]string{"--snaplen", "0"}, "expected at least 128"},
		{[]string{"--labels", file}, "are the same file"},
		{[]string{"--labels", filepath.Join(dir, "link")}, "are the same file"},
		{[]string{"--logs", dir, "--labels", filepath.Join(dir, "authlog")}, "are the same file"},
		{[]string{"-o", "-", "--labels", "-"}, "only one of --output and --labels"},
		{[]string{"--start", "yesterday"}, "--start: got \"yesterday\", expected a time such as"},
		{[]string{"--hosts", "many"}, "invalid argument \"many\" for \"--hosts\" flag: expected a whole number (see"},
		{[]string{"--seed", "-1"}, "expected a whole number, not below 0"},
		{[]string{"--seed", "99999999999999999999"}, "out of range"},
		{[]string{"--days", "x"}, "expected a number"},
		{[]string{"--class", "martians"}, "expected one of fast_vertical, "},
	} {
		_, complaints, exit := invoke(append([]string{"simulate", "-o", file, "--scale", "0.001"}, tt.args...)...)
		if exit != exitUsage || !strings.Contains(complaints, tt.want) {
			t.Errorf("%v: exit %d, %s", tt.args, exit, complaints)
		}
	}
	if _, complaints, exit := invoke("simulate", "-o", file, "--scale", "0.001", "--snaplen", "128"); exit != 0 {
		t.Errorf("the least there may be: exit %d, %s", exit, complaints)
	}
}
