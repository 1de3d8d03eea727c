package privsep

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// noNewPrivileges lets nothing that this thread starts gain rights by running a program.
func noNewPrivileges() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("PR_SET_NO_NEW_PRIVS: %w", err)
	}
	return nil
}

// forbid makes the worker's memory and its files in /proc root's, so that others of the same user can neither read nor trace it.
func forbid() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("PR_SET_DUMPABLE: %w", err)
	}
	return nil
}

// forbidden are the system calls that a worker never makes, and that would help whoever has taken it over: programs, other
// processes, the kernel's modules, mounts and name spaces. That clone(2) begins no process is confine's to see.
func forbidden() []uint32 {
	return []uint32{
		unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_MOUNT,
		unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_INIT_MODULE,
		unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
		unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL, unix.SYS_IO_URING_SETUP,
	}
}

// Offsets in struct seccomp_data, and AUDIT_ARCH_* (linux/seccomp.h, linux/audit.h).
const (
	dataNumber = 0
	dataArch   = 4
	dataArg0   = 16 // the lower half: the processors below are little-endian
	dataArg2   = 32

	retAllow = 0x7fff0000
	retErrno = 0x00050000
)

func auditArch() (uint32, bool) {
	switch runtime.GOARCH {
	case "amd64":
		return 0xc000003e, true
	case "arm64":
		return 0xc00000b7, true
	case "riscv64":
		return 0xc00000f3, true
	case "386":
		return 0x40000003, true
	case "arm":
		return 0x40000028, true
	}
	return 0, false
}

// families lets sockets be of the families alone that a worker uses: those of control, names and /metrics, and the one by which Linux tells of this machine's
// addresses. It begins and ends with the number of the call loaded. On i386 Go makes sockets by socketcall(2), whose arguments stand in memory, out of a
// filter's sight.
func families() []unix.SockFilter {
	equals := func(k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	ret := func(v uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: v} }
	return []unix.SockFilter{
		equals(unix.SYS_SOCKET, 1, 0),
		equals(unix.SYS_SOCKETPAIR, 0, 9),
		load(dataArg0),
		equals(unix.AF_UNIX, 6, 0),
		equals(unix.AF_INET, 5, 0),
		equals(unix.AF_INET6, 4, 0),
		equals(unix.AF_NETLINK, 0, 2),
		load(dataArg2),
		equals(unix.NETLINK_ROUTE, 1, 0),
		ret(retErrno | uint32(unix.EAFNOSUPPORT)),
		ret(retAllow),
	}
}

// confine forbids, by seccomp(2) in every thread, system calls that this worker never makes. They fail with EPERM.
func confine(WorkerNeeds) error {
	runtime.LockOSThread() // what is set next is the thread's, and asked of it by seccomp
	defer runtime.UnlockOSThread()
	if err := noNewPrivileges(); err != nil { // inherited already; where it was not, seccomp would refuse
		return err
	}
	arch, known := auditArch()
	if !known {
		return nil
	}
	calls := append(forbidden(), forks()...)
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	ret := func(v uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: v} }
	deny := ret(retErrno | uint32(unix.EPERM))
	program := []unix.SockFilter{
		load(dataArch),
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: arch, Jt: 1},
		deny, // another architecture's numbers would mean something else
		load(dataNumber),
	}
	if runtime.GOARCH == "amd64" { // x32's numbers
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: 0x40000000, Jf: 1}, deny)
	}
	for _, n := range calls {
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: n, Jf: 1}, deny)
	}
	program = append(program, families()...)
	// Threads may be begun, processes not. What clone3(2) would begin stands in memory, out of a filter's sight: without it, the C library and Go
	// take clone(2), whose first argument are the flags.
	program = append(program,
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLONE3, Jf: 1}, ret(retErrno|uint32(unix.ENOSYS)),
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLONE, Jf: 3}, load(dataArg0),
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: unix.CLONE_THREAD, Jt: 1}, deny,
		ret(retAllow))
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]} //nolint:gosec // some dozens
	id, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	switch {
	case errno == unix.ENOSYS, errno == unix.EINVAL:
		return nil // a kernel without seccomp
	case errno != 0:
		return fmt.Errorf("seccomp: %w", errno)
	case id != 0:
		return errors.New("seccomp: a thread could not be confined")
	}
	return nil
}
