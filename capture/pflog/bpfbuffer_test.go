package pflog

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"
)

// bpfLayouts are struct bpf_hdr and BPF_ALIGNMENT as net/bpf.h of each system has them.
var bpfLayouts = map[string]bpfLayout{
	"openbsd":           {secondsSize: 4, microOffset: 4, microSize: 4, lengths: 8, align: 4},
	"openbsd/sparc64":   {secondsSize: 4, microOffset: 4, microSize: 4, lengths: 8, align: 4, bigEndian: true},
	"freebsd/amd64":     {secondsSize: 8, microOffset: 8, microSize: 8, lengths: 16, align: 8},
	"freebsd/386":       {secondsSize: 4, microOffset: 4, microSize: 4, lengths: 8, align: 4},
	"netbsd/amd64":      {secondsSize: 8, microOffset: 8, microSize: 8, lengths: 16, align: 8},
	"dragonfly/amd64":   {secondsSize: 8, microOffset: 8, microSize: 8, lengths: 16, align: 8},
	"darwin/arm64":      {secondsSize: 4, microOffset: 4, microSize: 4, lengths: 8, align: 4},
	"freebsd/powerpc64": {secondsSize: 8, microOffset: 8, microSize: 8, lengths: 16, align: 8, bigEndian: true},
}

// appendTo writes a packet as the kernel does. bh_hdrlen is such that the packet after a link header is aligned; pflog has none.
func (l bpfLayout) appendTo(buf []byte, r Record) []byte {
	for len(buf)%l.align != 0 {
		buf = append(buf, 0)
	}
	header := (l.lengths + 10 + l.align - 1) &^ (l.align - 1)
	h := make([]byte, header)
	put := func(b []byte, size int, n uint64) {
		var order binary.ByteOrder = binary.LittleEndian
		if l.bigEndian {
			order = binary.BigEndian
		}
		switch size {
		case 2:
			order.PutUint16(b, uint16(n))
		case 4:
			order.PutUint32(b, uint32(n))
		default:
			order.PutUint64(b, n)
		}
	}
	put(h, l.secondsSize, uint64(r.Time.Unix()))
	put(h[l.microOffset:], l.microSize, uint64(r.Time.Nanosecond()/1000))
	put(h[l.lengths:], 4, uint64(len(r.Data)))
	put(h[l.lengths+4:], 4, uint64(r.Wire))
	put(h[l.lengths+8:], 2, uint64(header))
	return append(append(buf, h...), r.Data...)
}

// TestBPFBuffer walks buffers of several packets, whose lengths make every alignment necessary.
func TestBPFBuffer(t *testing.T) {
	t.Parallel()
	for name, layout := range bpfLayouts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var buf []byte
			var want []Record
			for n := range 20 {
				r := Record{Time: time.Unix(1700000000+int64(n), 123456000).UTC(), Wire: uint32(1000 + n), Data: fmt.Appendf(nil, "%0*d", n, n)}
				want = append(want, r)
				buf = layout.appendTo(buf, r)
			}
			for i, w := range want {
				r, rest, err := layout.next(buf)
				if err != nil {
					t.Fatalf("packet %d: %v", i, err)
				}
				if !r.Time.Equal(w.Time) || r.Wire != w.Wire || string(r.Data) != string(w.Data) {
					t.Errorf("packet %d: %v, want %v", i, r, w)
				}
				buf = rest
			}
			if len(buf) != 0 {
				t.Errorf("%d bytes left", len(buf))
			}
		})
	}
}

func FuzzBPFBuffer(f *testing.F) {
	for _, layout := range bpfLayouts {
		f.Add(layout.appendTo(layout.appendTo(nil, Record{Wire: 5, Data: []byte("hello")}), Record{Wire: 9, Data: []byte("you")}))
	}
	f.Fuzz(func(t *testing.T, buf []byte) {
		for name, layout := range bpfLayouts {
			for rest := buf; len(rest) > 0; {
				_, next, err := layout.next(rest)
				if err != nil {
					break
				}
				if len(next) >= len(rest) {
					t.Fatalf("%s: no progress", name)
				}
				rest = next
			}
		}
	})
}
