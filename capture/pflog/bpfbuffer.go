package pflog

import (
	"encoding/binary"
	"errors"
	"time"
)

// bpfLayout describes struct bpf_hdr of a system, which stands in front of each packet in what is read from bpf(4). The structs
// differ in the width of their time stamp and in how packets are aligned.
type bpfLayout struct {
	secondsSize int // bytes of tv_sec, at offset 0
	microOffset int // of tv_usec
	microSize   int
	lengths     int // offset of bh_caplen, which bh_datalen and bh_hdrlen follow
	align       int // BPF_ALIGNMENT
	bigEndian   bool
}

var errBPFBuffer = errors.New("bpf: a buffer that makes no sense")

// next takes the first packet off a buffer. It returns the rest, which is empty after the last packet.
func (l bpfLayout) next(buf []byte) (Record, []byte, error) {
	least := l.lengths + 10
	if len(buf) < least {
		return Record{}, nil, errBPFBuffer
	}
	captured, wire := l.number(buf[l.lengths:], 4), l.number(buf[l.lengths+4:], 4)
	header := l.number(buf[l.lengths+8:], 2)
	if header < uint64(least) || header+captured > uint64(len(buf)) {
		return Record{}, nil, errBPFBuffer
	}
	seconds, micro := l.number(buf, l.secondsSize), l.number(buf[l.microOffset:], l.microSize)
	record := Record{
		Time: time.Unix(int64(seconds), int64(micro%1e6)*1000).UTC(),
		Wire: uint32(wire),
		Data: buf[header : header+captured],
	}
	step := (header + captured + uint64(l.align) - 1) &^ (uint64(l.align) - 1)
	return record, buf[min(step, uint64(len(buf))):], nil
}

func (l bpfLayout) number(b []byte, size int) uint64 {
	var order binary.ByteOrder = binary.LittleEndian
	if l.bigEndian {
		order = binary.BigEndian
	}
	switch size {
	case 2:
		return uint64(order.Uint16(b))
	case 4:
		return uint64(order.Uint32(b))
	}
	return order.Uint64(b)
}
