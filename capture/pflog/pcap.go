package pflog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Sizes in a pcap file, in bytes.
const (
	FileHeaderLen   = 24     // in front of all records
	RecordHeaderLen = 16     // in front of each record
	MaxCapture      = 262144 // the longest record that is believed: libpcap's MAXIMUM_SNAPLEN
)

// Link types of pflog, as pcap files name them.
const (
	LinkPflog    = 117
	LinkOldPflog = 17
)

// ErrFormat is wrapped by errors that say that a file is no pflog capture, or is damaged beyond the record that they name.
var ErrFormat = errors.New("not a readable pflog capture")

// ErrUnknown is wrapped, beside ErrFormat, by errors that say that a file does not begin as a capture of any kind.
var ErrUnknown = errors.New("neither pcap nor pcapng nor a known compression")

// FileHeader is what the first 24 bytes of a pcap file say.
type FileHeader struct {
	BigEndian   bool
	Nanoseconds bool // instead of microseconds
	Snaplen     uint32
	LinkType    uint32 // LinkPflog or LinkOldPflog
}

// ParseFileHeader reads the header of a pcap file (draft-ietf-opsawg-pcap) and makes sure that its records are pflog's.
// The error wraps ErrFormat, and ErrUnknown where they are no pcap file's at all.
func ParseFileHeader(b []byte) (FileHeader, error) {
	if len(b) < 4 {
		return FileHeader{}, fmt.Errorf("%w: %d bytes are %w", ErrFormat, len(b), ErrUnknown)
	}
	var h FileHeader
	switch magic := binary.BigEndian.Uint32(b); magic {
	case 0xa1b2c3d4:
		h.BigEndian = true
	case 0xa1b23c4d:
		h.BigEndian, h.Nanoseconds = true, true
	case 0xd4c3b2a1:
	case 0x4d3cb2a1:
		h.Nanoseconds = true
	default:
		return FileHeader{}, fmt.Errorf("%w: it starts with %08x, which is %w", ErrFormat, magic, ErrUnknown)
	}
	if len(b) < FileHeaderLen {
		return FileHeader{}, fmt.Errorf("%w: %d bytes are no pcap header", ErrFormat, len(b))
	}
	if major := h.uint16(b[4:]); major != 2 {
		return FileHeader{}, fmt.Errorf("%w: pcap version %d, want 2", ErrFormat, major)
	}
	h.Snaplen = h.uint32(b[16:])
	h.LinkType = h.uint32(b[20:]) & 0x03ffffff // the upper bits speak of frame check sequences
	if h.LinkType != LinkPflog && h.LinkType != LinkOldPflog {
		return FileHeader{}, fmt.Errorf("%w: link type %d, want %d (pflog)", ErrFormat, h.LinkType, LinkPflog)
	}
	return h, nil
}

// RecordHeader is what the 16 bytes in front of a record say.
type RecordHeader struct {
	Time     time.Time // UTC
	Captured uint32    // bytes of the record in the file, after this header
	Wire     uint32    // bytes that the record had before it was cut to the snaplen
}

// ParseRecordHeader reads the header of a record. It panics if b is shorter than RecordHeaderLen. A Captured above MaxCapture
// says that this is no record header, and that the rest of the file cannot be read.
func (h FileHeader) ParseRecordHeader(b []byte) RecordHeader {
	_ = b[RecordHeaderLen-1]
	seconds, fraction := h.uint32(b), h.uint32(b[4:])
	if !h.Nanoseconds {
		return RecordHeader{time.Unix(int64(seconds), int64(fraction)*1000).UTC(), h.uint32(b[8:]), h.uint32(b[12:])}
	}
	return RecordHeader{time.Unix(int64(seconds), int64(fraction)).UTC(), h.uint32(b[8:]), h.uint32(b[12:])}
}

// Decoder returns a decoder for the file's records.
func (h FileHeader) Decoder() Decoder {
	return Decoder{Old: h.LinkType == LinkOldPflog, BigEndian: h.BigEndian}
}

func (h FileHeader) uint16(b []byte) uint16 {
	if h.BigEndian {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (h FileHeader) uint32(b []byte) uint32 {
	if h.BigEndian {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}
