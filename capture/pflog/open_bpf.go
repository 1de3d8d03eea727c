//go:build (!cgo || nopcap) && (darwin || dragonfly || freebsd || netbsd || openbsd)

package pflog

import "context"

// CaptureKind says what live capture is built on: "libpcap", "bpf" or "none".
func CaptureKind() string { return "bpf" }

// OpenInterface opens an interface by its name.
func OpenInterface(_ context.Context, options LiveOptions) (Handle, error) { return OpenBPF(options) }
