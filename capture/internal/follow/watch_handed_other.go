//go:build !linux

package follow

import (
	"errors"

	"pfwarden/capture"
)

func newHandedWatcher(func() (capture.FileWatch, error)) (Watcher, error) {
	return nil, errors.ErrUnsupported
}
