package privsep

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func noNewPrivileges() error { return nil }

// forbid forbids others to trace the worker (ptrace(2), PT_DENY_ATTACH).
func forbid() error {
	if err := unix.PtraceDenyAttach(); err != nil {
		return fmt.Errorf("ptrace PT_DENY_ATTACH: %w", err)
	}
	return nil
}

// confine has nothing to add here to user, chroot and limits.
func confine(WorkerNeeds) error { return nil }
