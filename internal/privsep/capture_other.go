//go:build !darwin && !dragonfly && !freebsd && !netbsd && !openbsd

package privsep

import (
	"errors"
	"fmt"
	"os"

	"pfwarden/capture/pflog"
)

func openCapture(string, int) (*os.File, error) {
	return nil, fmt.Errorf("there is no bpf(4) here: %w", errors.ErrUnsupported)
}

func attach(*os.File) (pflog.Handle, error) { return nil, errors.ErrUnsupported }
