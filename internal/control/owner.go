package control

import (
	"context"
	"fmt"
	"net"
)

// Owner finds the process that opened the socket to listen on it, as the kernel knows it: the one to send signals to. It is not the one that
// answers where that has no rights. errors.ErrUnsupported where the kernel does not tell.
func (c *Client) Owner(ctx context.Context) (pid int, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.path)
	if err != nil {
		return 0, fmt.Errorf("control socket: %w", err)
	}
	defer conn.Close()
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, fmt.Errorf("control socket %s: no unix socket", c.path)
	}
	p, err := pidOf(u)
	if err != nil {
		return 0, fmt.Errorf("who opened the control socket: %w", err)
	}
	if p <= 1 {
		return 0, fmt.Errorf("who opened the control socket: the kernel says process %d", p)
	}
	return p, nil
}
