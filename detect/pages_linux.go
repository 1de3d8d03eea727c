package detect

import (
	"syscall"
	"unsafe"
)

const (
	largePage      = 2 << 20
	adviseHuge     = 14 // MADV_HUGEPAGE: madvise(2)
	adviseCollapse = 25 // MADV_COLLAPSE, since Linux 6.1: now, and not when the kernel comes round to it
)

// largePages asks for large pages under b, as far as it covers whole ones. A packet of many sources touches the tables in four places at random,
// and with pages of 4 KiB the processor looks up the place of each of these in memory as well. What it says is advice: faults are none of ours.
func largePages(b []byte) {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	skip := -start % largePage
	if uintptr(len(b)) < skip+largePage {
		return
	}
	b = b[skip : skip+(uintptr(len(b))-skip)/largePage*largePage]
	if syscall.Madvise(b, adviseHuge) == nil {
		_ = syscall.Madvise(b, adviseCollapse) // older kernels do it by and by
	}
}
