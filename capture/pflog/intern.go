package pflog

import (
	"bytes"
	"encoding/binary"
)

// Bounds of an interner. A host has tens of interfaces and anchors; a file with more names than this is made up.
const (
	internSlots = 64
	internNames = 1024
)

// interner turns the 16-byte name fields of records into strings without allocating for a name that it knows. In front of its
// map stands a small table indexed by a mix of the bytes. It keeps at most internNames names; further ones are allocated anew.
type interner struct {
	slots [internSlots]internSlot
	names map[[16]byte]string
}

type internSlot struct {
	low, high uint64
	name      string
}

// name returns the NUL-terminated name in a field of 16 bytes.
func (in *interner) name(field []byte) string {
	field = field[:16]
	low, high := binary.LittleEndian.Uint64(field), binary.LittleEndian.Uint64(field[8:])
	if field[0] == 0 {
		return ""
	}
	mixed := (low ^ high<<7 ^ high>>57) * 0x9e3779b97f4a7c15
	slot := &in.slots[mixed>>58]
	if slot.low == low && slot.high == high {
		return slot.name
	}
	key := [16]byte(field)
	name, known := in.names[key]
	if !known {
		if end := bytes.IndexByte(field, 0); end >= 0 {
			field = field[:end]
		}
		name = string(field)
		if in.names == nil {
			in.names = make(map[[16]byte]string)
		}
		if len(in.names) < internNames {
			in.names[key] = name
		}
	}
	*slot = internSlot{low, high, name}
	return name
}
