//go:build !darwin && !dragonfly && !freebsd && !netbsd && !openbsd

package privsep

import (
	"errors"
	"fmt"
	"os"

	"pfwarden/capture/pflog"
)

func openCapture(string) func(string, int) (Captured, error) {
	return func(string, int) (Captured, error) {
		return Captured{}, fmt.Errorf("there is no bpf(4) here: %w", errors.ErrUnsupported)
	}
}

func setCapture(*os.File, string, int) (uint32, error) {
	return 0, fmt.Errorf("there is no bpf(4) here: %w", errors.ErrUnsupported)
}

func attach(Captured) (pflog.Handle, error) { return nil, errors.ErrUnsupported }
