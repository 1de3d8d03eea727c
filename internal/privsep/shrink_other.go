//go:build !linux

package privsep

import (
	"runtime"
	"runtime/debug"
)

// Shrink gives memory back that was only needed for the start.
func Shrink() {
	debug.SetGCPercent(10)
	runtime.GOMAXPROCS(1)
	limitMemory()
}
