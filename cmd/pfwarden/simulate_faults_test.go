package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestSimulateFaults: what would write files that are of no use is refused before anything is written.
func TestSimulateFaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--snaplen", "10"}, "expected at least 128"},
		{[]string{"--snaplen", "99", "--dialect", "freebsd"}, "expected at least 100"},
		{[]string{"--snaplen", "0"}, "expected at least 128"},
		{[]string{"--labels", file}, "name the same file"},
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
