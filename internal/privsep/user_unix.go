package privsep

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

func changeRoot(dir string) error {
	if err := unix.Chdir(dir); err != nil {
		return err
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return unix.Chdir("/")
}

// becomeUser gives up root in every thread, and looks whether it is gone.
func becomeUser(uid, gid int) error {
	if uid == 0 || gid == 0 {
		return errors.New("the worker's user must not be root")
	}
	groups := []int{gid} // the BSDs' first one is the process's own
	if runtime.GOOS == "linux" {
		groups = nil
	}
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("setgroups: %w", err)
	}
	if err := syscall.Setgid(gid); err != nil {
		return fmt.Errorf("setgid: %w", err)
	}
	if err := syscall.Setuid(uid); err != nil {
		return fmt.Errorf("setuid: %w", err)
	}
	if syscall.Setuid(0) == nil || syscall.Setgid(0) == nil || os.Geteuid() != uid || os.Getuid() != uid || os.Getegid() != gid {
		return errors.New("root could be had again")
	}
	return nil
}

// closeOnExec keeps descriptors from programs that are run. Those that are not open are passed over.
func closeOnExec(fds ...int) {
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
}
