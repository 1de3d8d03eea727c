package privsep

import (
	"runtime/debug"
	"runtime/metrics"
)

// heapRoom is what the Go runtime may have beyond what it needs at rest, in bytes, before it collects and gives back at every turn. More is got
// where more is needed. With too little it would do so for every ban, which takes milliseconds.
const heapRoom = 3 << 19

// limitMemory gives back what is not needed and sets the memory limit by what remains.
func limitMemory() {
	debug.FreeOSMemory()
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	for _, x := range s {
		if x.Value.Kind() != metrics.KindUint64 {
			return // a runtime that does not say
		}
	}
	debug.SetMemoryLimit(int64(s[0].Value.Uint64()-s[1].Value.Uint64()) + heapRoom) //nolint:gosec // some megabytes
}
