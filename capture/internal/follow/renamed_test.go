package follow

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pfwarden/capture"
)

// TestRenamedBetweenListingAndOpening: a file that was empty when its place was noted has nothing but its inode to be known by, and its name may go to
// another file after it was listed.
func TestRenamedBetweenListingAndOpening(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	noted := capture.Position{Path: path, Identity: makeIdentity(keyOf(st), nil).String()}
	write("b\n")
	if err := os.Rename(path, path+".0"); err != nil {
		t.Fatal(err)
	}
	write("c\n")

	rotated := false
	f, err := New(Options{Patterns: []string{path}, Positions: []capture.Position{noted}, FromStart: true, Once: true, Watcher: NoWatcher(), Open: func(name string) (*os.File, error) {
		if name == path+".0" && !rotated {
			rotated = true
			if err := errors.Join(os.Rename(path+".0", path+".1"), os.Rename(path, path+".0")); err != nil {
				return nil, err
			}
			write("d\n")
		}
		return os.Open(name)
	}})
	if err != nil {
		t.Fatal(err)
	}
	var sink text
	if err := f.Run(context.Background(), &sink); err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(sink.got)
	slices.Sort(got)
	if !rotated || !slices.Equal(got, []string{"b", "c"}) && !slices.Equal(got, []string{"b", "c", "d"}) {
		t.Errorf("read %q, rotated %v", sink.got, rotated)
	}
}
