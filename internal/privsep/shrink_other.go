//go:build !linux

package privsep

import (
	"runtime"
	"runtime/debug"
)

// smallHeap is what the Go runtime may hold before it collects and gives back at every turn, in bytes.
const smallHeap = 8 << 20

// Shrink gives memory back that was only needed for the start.
func Shrink() {
	debug.SetGCPercent(10)
	debug.SetMemoryLimit(smallHeap)
	runtime.GOMAXPROCS(1)
	debug.FreeOSMemory()
}
