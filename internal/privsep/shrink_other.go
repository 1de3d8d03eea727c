//go:build !linux

package privsep

import (
	"runtime"
	"runtime/debug"
)

// Shrink gives memory back that was only needed for the start.
func Shrink() {
	debug.SetGCPercent(20)
	runtime.GOMAXPROCS(1)
	debug.FreeOSMemory()
}
