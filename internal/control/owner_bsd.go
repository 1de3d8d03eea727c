//go:build openbsd || netbsd

package control

import (
	"encoding/binary"
	"net"

	"golang.org/x/sys/unix"
)

// pidOf asks which process called listen(2) on the socket that we are connected to, as peerOf asks who did.
func pidOf(c *net.UnixConn) (int, error) {
	return withFD(c, func(fd int) (int, error) {
		m, err := unix.GetsockoptIPv6Mreq(fd, peerLevel, peerOption)
		if err != nil {
			return 0, err
		}
		return int(int32(binary.NativeEndian.Uint32(m.Multiaddr[peerPID:]))), nil //nolint:gosec // a pid_t
	})
}
