package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestForeignOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("makes files of root's and of others")
	}
	for _, c := range []struct {
		mode os.FileMode
		uid  int
		want string
	}{{0o644, 0, ""}, {0o600, 0, ""}, {0o664, 0, ""}, {0o666, 0, ""}, {0o644, 12345, "user 12345"}} {
		path := filepath.Join(t.TempDir(), "c.toml")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, c.uid, 0); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if got := foreignOwner(path); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%o of %d: %q, want %q", c.mode, c.uid, got, c.want)
		}
	}
	if got := foreignOwner(filepath.Join(t.TempDir(), "none")); got != "" {
		t.Errorf("a missing one: %q", got)
	}
}
