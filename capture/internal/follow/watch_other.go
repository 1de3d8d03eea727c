//go:build !(linux || openbsd || freebsd || netbsd || dragonfly || darwin)

package follow

import (
	"errors"
	"fmt"
	"log/slog"
)

func newWatcher(_ *slog.Logger) (Watcher, error) {
	return nil, fmt.Errorf("watching files: %w", errors.ErrUnsupported)
}
