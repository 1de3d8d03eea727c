//go:build unix

package testkit

import (
	"syscall"
	"time"
)

// ProcessorTime is what this process has used of processors so far: on a busy machine the only honest clock.
func ProcessorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
