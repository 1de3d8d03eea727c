package privsep

import "golang.org/x/sys/unix"

// processCeiling is left to seccomp: here threads count as processes do.
func processCeiling() []ceiling { return nil }

// memoryCeiling bounds what is written to: private mappings count.
func memoryCeiling(memory uint64) ceiling { return ceiling{"DATA", unix.RLIMIT_DATA, memory} }

// descriptorList is the folder where a process's open descriptors are listed.
const descriptorList = "/proc/self/fd"
