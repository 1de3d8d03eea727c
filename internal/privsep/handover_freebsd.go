package privsep

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rights are what a worker needs of a descriptor, in rights(4): with these it cannot, say, write to bpf(4) or change what it is bound to, nor change a
// file's mode, nor use it to look names up below it. Of fcntl(2) and ioctl(2) limitRights leaves a few requests.
func (h handover) rights() []uint64 {
	switch h {
	case handFile:
		return []uint64{unix.CAP_READ, unix.CAP_SEEK, unix.CAP_FSTAT, unix.CAP_EVENT, unix.CAP_FCNTL}
	case handCapture:
		return []uint64{unix.CAP_READ, unix.CAP_FSTAT, unix.CAP_EVENT, unix.CAP_FCNTL, unix.CAP_IOCTL}
	case handOutput:
		return []uint64{unix.CAP_READ, unix.CAP_FSTAT, unix.CAP_EVENT, unix.CAP_FCNTL}
	case handInput:
		return []uint64{unix.CAP_WRITE, unix.CAP_FSTAT, unix.CAP_EVENT, unix.CAP_FCNTL}
	default:
		return []uint64{unix.CAP_WRITE, unix.CAP_SEEK, unix.CAP_FSTAT, unix.CAP_EVENT, unix.CAP_FCNTL, unix.CAP_FSYNC, unix.CAP_FTRUNCATE}
	}
}

// limitRights leaves to a descriptor, and to every copy of it that is made or sent from now on, what its kind needs: cap_rights_limit(2), with
// cap_fcntls_limit(2) and cap_ioctls_limit(2). They count outside of capability mode, too. A kernel without Capsicum is no error.
func limitRights(f *os.File, h handover) error {
	rights, err := unix.CapRightsInit(h.rights())
	if err != nil {
		return fmt.Errorf("rights of %s: %w", f.Name(), err)
	}
	raw, err := f.SyscallConn() // not Fd, which would make it blocking
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		if failed = unlessAbsent(unix.CapRightsLimit(fd, rights)); failed != nil {
			return
		}
		if _, _, errno := unix.Syscall(unix.SYS_CAP_FCNTLS_LIMIT, fd, unix.CAP_FCNTL_GETFL|unix.CAP_FCNTL_SETFL, 0); errno != 0 {
			if failed = unlessAbsent(errno); failed != nil {
				return
			}
		}
		if h == handCapture {
			only := [1]uintptr{unix.BIOCGSTATS}
			if _, _, errno := unix.Syscall(unix.SYS_CAP_IOCTLS_LIMIT, fd, uintptr(unsafe.Pointer(&only)), 1); errno != 0 {
				failed = unlessAbsent(errno)
			}
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("limit the rights of %s: %w", f.Name(), err)
	}
	return nil
}

// unlessAbsent is the error, unless the kernel does not know the call.
func unlessAbsent(err error) error {
	if err == unix.ENOSYS {
		return nil
	}
	return err
}
