//go:build !(linux || openbsd || freebsd || netbsd || dragonfly || darwin)

package screen

import (
	"errors"
	"fmt"
	"net/netip"
)

func defaultGateways() ([]netip.Addr, error) {
	return nil, fmt.Errorf("routing table: %w", errors.ErrUnsupported)
}
