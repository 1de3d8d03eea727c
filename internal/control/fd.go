package control

import (
	"fmt"
	"net"
)

// withFD calls f with the connection's descriptor.
func withFD(c *net.UnixConn, f func(fd int) (Peer, error)) (p Peer, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Peer{}, fmt.Errorf("peer credentials: %w", err)
	}
	inner := raw.Control(func(fd uintptr) { p, err = f(int(fd)) })
	if inner != nil {
		err = inner
	}
	if err != nil {
		return Peer{}, fmt.Errorf("peer credentials: %w", err)
	}
	return p, nil
}
