//go:build !linux && !freebsd && !darwin && !openbsd && !netbsd && !dragonfly

package control

import (
	"errors"
	"fmt"
	"net"
)

func peerOf(*net.UnixConn) (Peer, error) {
	return Peer{}, fmt.Errorf("peer credentials on this system: %w", errors.ErrUnsupported)
}
