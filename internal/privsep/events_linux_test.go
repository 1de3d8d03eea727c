package privsep

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWatchersAreBounded: a worker that lets go of none of its inotify instances cannot use up root's, who has 128.
func TestWatchersAreBounded(t *testing.T) {
	t.Parallel()
	c, _, _ := pair(t, t.TempDir())
	var held []*os.File
	defer func() {
		for _, f := range held {
			f.Close()
		}
	}()
	for i := range maxWatchers + 5 {
		w, err := c.Watch()
		if i < maxWatchers && err != nil || i >= maxWatchers && !errors.Is(err, unix.EMFILE) {
			t.Fatalf("watch %d: %v", i, err)
		}
		if err == nil {
			held = append(held, w.Events())
		}
	}
}
