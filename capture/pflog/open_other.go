//go:build (!cgo || nopcap) && !darwin && !dragonfly && !freebsd && !netbsd && !openbsd

package pflog

import (
	"context"
	"errors"
	"fmt"
)

// CaptureKind says what live capture is built on: "libpcap", "bpf" or "none".
func CaptureKind() string { return "none" }

// OpenInterface opens an interface by its name; this build cannot.
func OpenInterface(context.Context, LiveOptions) (Handle, error) {
	return nil, fmt.Errorf("live capture: this build has neither libpcap nor bpf(4): %w", errors.ErrUnsupported)
}
