//go:build openbsd || darwin

package privsep

import "golang.org/x/sys/unix"

// memoryCeiling bounds what is allocated: anonymous mappings count (OpenBSD).
func memoryCeiling(memory uint64) ceiling { return ceiling{"DATA", unix.RLIMIT_DATA, memory} }
