//go:build freebsd || darwin

package control

import (
	"net"

	"golang.org/x/sys/unix"
)

// solLocal is the level of options of unix sockets (unix(4): SOL_LOCAL).
const solLocal = 0

// peerOf asks who connected (unix(4), LOCAL_PEERCRED).
func peerOf(c *net.UnixConn) (Peer, error) {
	return withFD(c, func(fd int) (Peer, error) {
		x, err := unix.GetsockoptXucred(fd, solLocal, unix.LOCAL_PEERCRED)
		if err != nil {
			return Peer{}, err
		}
		return Peer{UID: x.Uid, GID: x.Groups[0]}, nil
	})
}
