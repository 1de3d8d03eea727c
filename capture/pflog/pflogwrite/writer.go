// Package pflogwrite writes PF's log as pflogd(8) and tcpdump(8) do: pcap files of link type 117 (or 17) with records in every
// dialect of the pflog header. It exists for samples, the simulator and tests; what it writes is what capture/pflog reads.
//
//	w, err := pflogwrite.NewWriter(f, pflogwrite.Format{Snaplen: 160})
//	err = w.Write(at, &pflogwrite.Record{Dialect: 100, Action: capture.ActionBlock, Direction: capture.In, Interface: "em0",
//		Rule: 7, Subrule: capture.NoRule, UID: pflogwrite.NoUID, PID: pflogwrite.NoPID,
//		Packet: pflogwrite.TCPPacket(pflogwrite.IP{Source: a, Destination: b}, pflogwrite.TCP{SourcePort: 40000, DestinationPort: 22, Flags: capture.FlagSYN})})
//	err = w.Flush()
package pflogwrite

import (
	"bufio"
	"encoding/binary"
	"io"
	"time"
)

// Link types of pflog.
const (
	LinkPflog    = 117
	LinkOldPflog = 17
)

// Format is the shape of a pcap file. The zero value is what pflogd writes on a little-endian machine, with a large snaplen.
type Format struct {
	BigEndian   bool   // the writer's byte order, of the file and of the ids within the records
	Nanoseconds bool   // instead of microseconds
	Snaplen     uint32 // bytes kept of each record; 0 is 262144. pflogd's default is 160 on OpenBSD, 116 elsewhere
	LinkType    uint32 // 0 is LinkPflog; LinkOldPflog for records of DialectOld
}

// Order returns the byte order of the format.
func (f Format) Order() binary.ByteOrder {
	if f.BigEndian {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// Header returns the 24 bytes at the start of the file.
func (f Format) Header() []byte {
	f = f.withDefaults()
	magic := uint32(0xa1b2c3d4)
	if f.Nanoseconds {
		magic = 0xa1b23c4d
	}
	b, order := make([]byte, 24), f.Order()
	order.PutUint32(b[0:], magic)
	order.PutUint16(b[4:], 2)
	order.PutUint16(b[6:], 4)
	order.PutUint32(b[16:], f.Snaplen)
	order.PutUint32(b[20:], f.LinkType)
	return b
}

func (f Format) withDefaults() Format {
	if f.Snaplen == 0 {
		f.Snaplen = 262144
	}
	if f.LinkType == 0 {
		f.LinkType = LinkPflog
	}
	return f
}

// AppendRecord appends the 16-byte record header and the record, cut to the snaplen, to dst.
func (f Format) AppendRecord(dst []byte, at time.Time, r *Record) ([]byte, error) {
	f = f.withDefaults()
	order := f.Order()
	start := len(dst)
	dst = append(dst, make([]byte, 16)...)
	dst, err := r.Append(dst, order)
	if err != nil {
		return dst[:start], err
	}
	wire := len(dst) - start - 16
	kept := min(wire, int(f.Snaplen))
	h := dst[start:]
	fraction := at.Nanosecond()
	if !f.Nanoseconds {
		fraction /= 1000
	}
	order.PutUint32(h[0:], uint32(at.Unix()))
	order.PutUint32(h[4:], uint32(fraction))
	order.PutUint32(h[8:], uint32(kept))
	order.PutUint32(h[12:], uint32(wire))
	return dst[:start+16+kept], nil
}

// Writer writes one pcap file. It is not safe for concurrent use.
type Writer struct {
	w      *bufio.Writer
	format Format
	buf    []byte
}

// NewWriter writes the file's header to w. Call Flush when all records are written.
func NewWriter(w io.Writer, f Format) (*Writer, error) {
	f = f.withDefaults()
	b := bufio.NewWriterSize(w, 64<<10)
	if _, err := b.Write(f.Header()); err != nil {
		return nil, err
	}
	return &Writer{w: b, format: f}, nil
}

// Write adds a record that was logged at the given time.
func (w *Writer) Write(at time.Time, r *Record) error {
	b, err := w.format.AppendRecord(w.buf[:0], at, r)
	if err != nil {
		return err
	}
	w.buf = b
	_, err = w.w.Write(b)
	return err
}

// Flush hands all that was written to the underlying writer.
func (w *Writer) Flush() error { return w.w.Flush() }
