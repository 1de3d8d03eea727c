//go:build !linux && !openbsd && !netbsd

package control

import (
	"errors"
	"net"
)

func pidOf(*net.UnixConn) (int, error) { return 0, errors.ErrUnsupported }
