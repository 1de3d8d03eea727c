package privsep

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

func rightBits(name string) uint64 {
	return map[string]uint64{
		rightRead: unix.CAP_READ, rightWrite: unix.CAP_WRITE, rightSeek: unix.CAP_SEEK, rightStat: unix.CAP_FSTAT, rightEvent: unix.CAP_EVENT,
		rightFcntl: unix.CAP_FCNTL, rightIoctl: unix.CAP_IOCTL, rightSync: unix.CAP_FSYNC, rightTruncate: unix.CAP_FTRUNCATE,
	}[name]
}

// limitRights leaves to a descriptor, and to every copy of it that is made or sent from now on, what its kind needs: cap_rights_limit(2), with
// cap_fcntls_limit(2) and cap_ioctls_limit(2). They count outside of capability mode, too. A kernel without Capsicum is no error.
func limitRights(f *os.File, h handover) error {
	var bits []uint64
	ioctl := false
	for _, name := range h.rights() {
		bits = append(bits, rightBits(name))
		ioctl = ioctl || name == rightIoctl
	}
	rights, err := unix.CapRightsInit(bits)
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
		if ioctl {
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
