package control

import (
	"fmt"
	"net"
)

// withFD calls f with the connection's descriptor.
func withFD[T any](c *net.UnixConn, f func(fd int) (T, error)) (v T, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return v, fmt.Errorf("peer credentials: %w", err)
	}
	inner := raw.Control(func(fd uintptr) { v, err = f(int(fd)) })
	if inner != nil {
		err = inner
	}
	if err != nil {
		return v, fmt.Errorf("peer credentials: %w", err)
	}
	return v, nil
}
