// Package pfctl drives pfctl(8): it loads our anchor, keeps its tables as they should be, kills states and reads counters.
// It decides nothing, and it is the only package that runs the program, always through a Runner.
package pfctl

import (
	"context"
	"io"
)

// Command is one run of pfctl(8).
type Command struct {
	Args  []string // without the program's name; all options before the first address, since pfctl's getopt stops there
	Stdin []byte   // nil: no standard input

	// Input is standard input instead of Stdin where that need not be held whole; nil = Stdin. The driver never sets it. Where reading it fails pfctl is
	// killed before it has read all, so that a part is never taken for the whole.
	Input io.Reader
}

// Result is the outcome of a finished run. Standard output and error are kept apart: pfctl prints noise on the latter
// on several systems, so it is no sign of an error.
type Result struct {
	Stdout, Stderr []byte
	Exit           int
}

// Runner runs pfctl. An error means that it could not be run or did not end (ErrStuck); whatever pfctl itself says about its
// success is in Result. A Runner is used by one goroutine at a time.
type Runner interface {
	Run(ctx context.Context, c Command) (Result, error)
}

// Verb names in one word what the run does, from a bounded set: add, delete, replace, show, show-Tables, load, kill-states …
func (c Command) Verb() string { return verbOf(c.Args) }
