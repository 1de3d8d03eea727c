//go:build !amd64 && !arm64

package detect

import "unsafe"

// prefetch asks for the cache line of p without waiting for it, where the processor has such an instruction.
func prefetch(unsafe.Pointer) {}

func prefetch3(p, q, r unsafe.Pointer) {}
