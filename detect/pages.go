package detect

import "unsafe"

// pagesFrom is how many sources are known when the tables ask for large pages: before, little of them is in use, and small pages save memory.
const pagesFrom = 1 << 15

// crowd is told that a source was admitted.
func (s *scan) crowd() {
	if s.crowded || s.table.used < pagesFrom {
		return
	}
	s.crowded = true
	largePages(bytesOf(s.table.slot))
	largePages(bytesOf(s.spill.buckets))
	largePages(bytesOf(s.door.blocks))
}

func bytesOf[T any](s []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), uintptr(len(s))*unsafe.Sizeof(*new(T)))
}

func wordsOf[T any](s []T) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(s))), uintptr(len(s))*unsafe.Sizeof(*new(T))/8)
}
