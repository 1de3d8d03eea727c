//go:build cgo && !nopcap

package pflog

import (
	"unsafe"

	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"
)

// ForgetTables gives back the memory of tables that a library behind live capture fills at the start of the program, 6 MB. The process
// must not capture: it is for one that only opens files for another.
func ForgetTables() {
	zero(unsafe.Slice((*byte)(unsafe.Pointer(&layers.EthernetTypeMetadata)), unsafe.Sizeof(layers.EthernetTypeMetadata)))
	zero(unsafe.Slice((*byte)(unsafe.Pointer(&layers.PPPTypeMetadata)), unsafe.Sizeof(layers.PPPTypeMetadata)))
}

// zero makes the whole pages of b zeros that use no memory.
func zero(b []byte) {
	page := uintptr(unix.Getpagesize())
	begin := uintptr(unsafe.Pointer(&b[0]))
	from, to := (begin+page-1)&^(page-1), (begin+uintptr(len(b)))&^(page-1)
	if from < to {
		_ = unix.Madvise(b[from-begin:to-begin], unix.MADV_DONTNEED) // it stays as it is, then
	}
}
