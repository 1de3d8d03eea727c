package pfctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// program writes a shell script to run instead of pfctl. Tests that use it are not parallel: a child of another one could still hold the script open
// for writing, and it could not be run.
func program(t *testing.T, body string) *ExecRunner {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pfctl")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return &ExecRunner{Path: path}
}

// TestFeed: pfctl reads what it is given, whatever its length and however it is given.
func TestFeed(t *testing.T) {
	echo := program(t, "exec cat")
	text := bytes.Repeat([]byte("203.0.113.1\n"), 30000)
	for _, n := range []int{0, 1, 12, atOnce - 1, atOnce, atOnce + 1, 64 << 10, 64<<10 + 1, len(text)} {
		for name, c := range map[string]Command{
			"whole":           {Stdin: text[:n]},
			"reader":          {Input: bytes.NewReader(text[:n])},
			"hesitant reader": {Input: iotest.OneByteReader(bytes.NewReader(text[:n]))},
		} {
			res, err := echo.Run(context.Background(), c)
			if err != nil || !bytes.Equal(res.Stdout, text[:n]) {
				t.Errorf("%s, %d bytes: %d came, %v", name, n, len(res.Stdout), err)
			}
		}
	}
	if res, err := echo.Run(context.Background(), Command{}); err != nil || len(res.Stdout) > 0 {
		t.Errorf("nothing: %q, %v", res.Stdout, err)
	}
}

// TestFeedNotRead: a program that does not read its standard input, or whose child holds it, keeps nobody waiting.
func TestFeedNotRead(t *testing.T) {
	long := Command{Stdin: bytes.Repeat([]byte{'\n'}, 1<<20)}
	for _, body := range []string{"exit 3", "exec <&-; exit 3", "sleep 100 <&0 >/dev/null 2>&1 & echo $! >$0.pid; exit 3"} {
		r := program(t, body)
		res, err := r.Run(context.Background(), long)
		if err != nil || res.Exit != 3 {
			t.Errorf("%s: %+v, %v", body, res, err)
		}
		if pid, err := os.ReadFile(r.Path + ".pid"); err == nil {
			var n int
			if _, err := fmt.Sscan(string(pid), &n); err == nil && n > 1 {
				if p, err := os.FindProcess(n); err == nil {
					_ = p.Kill()
				}
			}
		}
	}
}

// TestFeedFails: a list that cannot be read whole is an error, not a shorter list: pfctl, which acts when it has read all, is killed before.
func TestFeedFails(t *testing.T) {
	broken := errors.New("broken")
	for _, n := range []int{0, 12, 2 * atOnce} {
		in := io.MultiReader(strings.NewReader(strings.Repeat("\n", n)), iotest.ErrReader(broken))
		r := program(t, "cat >/dev/null; echo acted >$0.acted")
		if _, err := r.Run(context.Background(), Command{Input: in}); !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", n, err)
		}
		if _, err := os.Stat(r.Path + ".acted"); err == nil {
			t.Errorf("after %d bytes: it has acted", n)
		}
	}
	if _, err := (&ExecRunner{Path: "/nonexistent/pfctl"}).Run(context.Background(), Command{Stdin: []byte("\n")}); !errors.Is(err, ErrNoProgram) {
		t.Errorf("no program: %v", err)
	}
}
