//go:build !linux

package privsep

import "runtime/debug"

// Shrink gives memory back that was only needed for the start.
func Shrink() {
	debug.SetGCPercent(20)
	debug.FreeOSMemory()
}
