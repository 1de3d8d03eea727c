package privsep

import (
	"iter"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// mostDescriptors bounds the numbers that are looked at where the system lists no descriptors.
const mostDescriptors = 1 << 20

// closeLeaked closes every descriptor from a number on that was inherited, whoever forgot it. It is what closefrom(2) would do, but for those
// that the Go runtime, or a library, has opened for itself meanwhile (kqueue(2), epoll(7)): these are marked close-on-exec, as no inherited one
// can be.
func closeLeaked(from int) error {
	for fd := range descriptors(from) {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC != 0 {
			continue // not open, or our own
		}
		if err := unix.Close(fd); err != nil && err != unix.EBADF {
			return os.NewSyscallError("close", err)
		}
	}
	return nil
}

// closeAtExec marks every descriptor from a number on, so that nothing that is run inherits what we inherited, or a library has left open.
func closeAtExec(from int) {
	for fd := range descriptors(from) {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.CloseOnExec(fd)
		}
	}
}

// descriptors yields the numbers, from one on, of descriptors that may be open.
func descriptors(from int) iter.Seq[int] {
	return func(yield func(int) bool) {
		if list, err := os.ReadDir(descriptorList); err == nil && descriptorList != "" {
			for _, e := range list {
				if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= from && !yield(fd) {
					return
				}
			}
			return
		}
		for fd := from; fd < highest(); fd++ {
			if !yield(fd) {
				return
			}
		}
	}
}

// highest is above the number of every descriptor that we can have.
func highest() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return mostDescriptors
	}
	return int(min(uint64(l.Max), mostDescriptors)) //nolint:gosec,unconvert // signed on FreeBSD and DragonFly: infinity is the largest
}
