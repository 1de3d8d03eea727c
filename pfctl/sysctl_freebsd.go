package pfctl

import "golang.org/x/sys/unix"

// requestMaxcount asks how many addresses one ioctl may carry. FreeBSD's default is 65535.
func requestMaxcount() int {
	n, err := unix.SysctlUint32("net.pf.request_maxcount")
	if err != nil {
		return defaultRequestMax
	}
	return int(n)
}
