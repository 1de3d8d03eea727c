//go:build !linux

package privsep

import "golang.org/x/sys/unix"

// processCeiling forbids the worker to fork: on these systems threads do not count.
func processCeiling() []ceiling { return []ceiling{{"NPROC", unix.RLIMIT_NPROC, 0}} }

// descriptorList would be the folder where a process's open descriptors are listed: /dev/fd does so only where fdescfs is mounted.
const descriptorList = ""
