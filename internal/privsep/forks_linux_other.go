//go:build linux && !amd64

package privsep

// forks are the system calls that begin a process; where there are none, it is clone(2) alone.
func forks() []uint32 { return nil }
