package control

import (
	"net"

	"golang.org/x/sys/unix"
)

// pidOf asks which process called listen(2) on the socket that we are connected to (unix(7), SO_PEERCRED).
func pidOf(c *net.UnixConn) (int, error) {
	return withFD(c, func(fd int) (int, error) {
		u, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return 0, err
		}
		return int(u.Pid), nil
	})
}
