package control

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerOf asks who connected (unix(7), SO_PEERCRED).
func peerOf(c *net.UnixConn) (Peer, error) {
	return withFD(c, func(fd int) (Peer, error) {
		u, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return Peer{}, err
		}
		return Peer{UID: u.Uid, GID: u.Gid}, nil
	})
}
