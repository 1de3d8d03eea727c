// Package testkit is what tests of several packages need: finding things, waiting for others, reading what was recorded. It imports nothing of
// ours, so that the tests of every package can use it; what serves tests of a kind only lies in the packages beneath it. Nothing but tests, and the
// commands that measure pfwarden, may import any of them; internal/archtest looks after that.
package testkit

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Must fails the test at once if err is one.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Root is the top folder of the repository: the nearest one above the test's own that has a go.mod.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	Must(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		above := filepath.Dir(dir)
		if above == dir {
			t.Fatal("the test does not run within the repository")
		}
		dir = above
	}
}

// Tool gives the path of an installed program, and skips the test where there is none.
func Tool(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path
		}
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// FreeAddress gives a TCP address of this machine for a program to listen on. On Linux, where all of 127.0.0.0/8 is this machine, its host is one
// that nobody else uses, so that no other test and no connection can take the port before the program does.
func FreeAddress(t testing.TB) string {
	t.Helper()
	host := "127.0.0.1"
	if runtime.GOOS == "linux" {
		host = fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	}
	l, err := net.Listen("tcp", host+":0")
	Must(t, err)
	defer l.Close()
	return l.Addr().String()
}
