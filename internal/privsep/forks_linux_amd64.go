package privsep

import "golang.org/x/sys/unix"

// forks are the system calls that begin a process; where there are none, it is clone(2) alone.
func forks() []uint32 { return []uint32{unix.SYS_FORK, unix.SYS_VFORK} }
