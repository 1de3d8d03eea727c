//go:build cgo && !nopcap

package pflog

import (
	"reflect"
	"unsafe"

	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"
)

// ForgetTables frees the tables, 7 MB, that a library behind live capture fills when the program starts. The process
// must not capture: it is for one that only opens files for another.
func ForgetTables() {
	forget(layers.EthernetTypeMetadata[:])
	forget(layers.PPPTypeMetadata[:])
}

// forget gives back a table, and the array of decoders that its entries point to, by which the library says that it knows no other: it can be found
// through the entries alone.
func forget(table []layers.EnumMetadata) {
	first, last := 1, len(table)-2 // some numbers at the ends are those of real protocols
	from, to := decoder(&table[first]), decoder(&table[last])
	if size := uintptr(last - first); from != nil && to != nil && uintptr(to)-uintptr(from) == size*unsafe.Sizeof(int(0)) {
		zero(unsafe.Slice((*byte)(from), uintptr(to)-uintptr(from)))
	}
	zero(unsafe.Slice((*byte)(unsafe.Pointer(&table[0])), uintptr(len(table))*unsafe.Sizeof(table[0])))
}

// decoder is where an entry's decoder lies; nil if it is no number, or was given back before.
func decoder(m *layers.EnumMetadata) unsafe.Pointer {
	v := reflect.ValueOf(m.DecodeWith)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Int {
		return nil
	}
	return v.UnsafePointer()
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
