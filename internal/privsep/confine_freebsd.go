package privsep

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

func noNewPrivileges() error { return nil } // see forbid

// From sys/procctl.h and sys/wait.h.
const (
	pPID = 0

	procTraceCtl      = 7
	procTraceDisable  = 2
	procNoNewPrivsCtl = 19
	procNoNewPrivsOn  = 1
)

// forbid forbids set-user-ID programs to raise this process's rights (FreeBSD 14, 13.1), and others of the same user to trace it. It is called as root:
// with security.bsd.unprivileged_proc_debug=0 nobody else may.
func forbid() error {
	return errors.Join(
		processControl("PROC_NO_NEW_PRIVS_CTL", procNoNewPrivsCtl, procNoNewPrivsOn),
		processControl("PROC_TRACE_CTL", procTraceCtl, procTraceDisable),
	)
}

// confine has nothing to add to that: capability mode (cap_enter(2)) is not for the worker; docs/security.md says why.
func confine(WorkerNeeds) error { return nil }

// processControl sets one of procctl(2)'s switches of this process. A kernel that does not know it is no error.
func processControl(name string, command uintptr, value int32) error {
	if unsafe.Sizeof(uintptr(0)) < 8 {
		return nil // id_t has 64 bits: it would be two arguments
	}
	_, _, errno := unix.Syscall6(unix.SYS_PROCCTL, pPID, uintptr(os.Getpid()), command, uintptr(unsafe.Pointer(&value)), 0, 0)
	if errno != 0 && errno != unix.EINVAL && errno != unix.ENOSYS {
		return fmt.Errorf("procctl %s: %w", name, errno)
	}
	return nil
}
