//go:build amd64 || arm64

package detect

import "unsafe"

// prefetch asks for the cache line of p without waiting for it.
//
//go:noescape
func prefetch(p unsafe.Pointer)

// prefetch3 asks for three, by one call.
//
//go:noescape
func prefetch3(p, q, r unsafe.Pointer)
