//go:build freebsd || netbsd || dragonfly

package privsep

import "golang.org/x/sys/unix"

// reserved is address space that the Go runtime, and shared libraries, set aside without using it, in bytes.
const reserved = 4 << 30

// memoryCeiling bounds the address space: mappings do not count as data here.
func memoryCeiling(memory uint64) ceiling { return ceiling{"AS", unix.RLIMIT_AS, memory + reserved} }
