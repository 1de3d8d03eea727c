//go:build openbsd || netbsd || dragonfly

package control

import (
	"encoding/binary"
	"net"

	"golang.org/x/sys/unix"
)

// peerOf asks who connected. x/sys has no call of its own for these systems' structures; the one for struct ipv6_mreq reads up to
// 20 bytes of whatever option it is given, which holds all that is needed of theirs.
func peerOf(c *net.UnixConn) (Peer, error) {
	return withFD(c, func(fd int) (Peer, error) {
		m, err := unix.GetsockoptIPv6Mreq(fd, peerLevel, peerOption)
		if err != nil {
			return Peer{}, err
		}
		return Peer{
			UID: binary.NativeEndian.Uint32(m.Multiaddr[peerUID:]),
			GID: binary.NativeEndian.Uint32(m.Multiaddr[peerGID:]),
		}, nil
	})
}
