package unpack

import (
	"encoding/binary"
	"fmt"
	"io"
)

// xzGuard stands between an .xz file and its decompressor, which would allocate whatever dictionary a block header asks for, up
// to 4 GiB. It follows the structure of the file (The .xz File Format, version 1.2.1) and refuses blocks above maxWindow.
// What it does not understand it lets pass: the decompressor knows better what is wrong with it.
type xzGuard struct {
	r     io.Reader
	step  func(*xzGuard) error // what to do when want bytes have come in
	want  int                  // bytes to gather
	got   []byte               // gathered
	skip  int64                // bytes to let pass before gathering
	check int64                // bytes of the check after each block
	data  int64                // bytes of the block's data so far
	count uint64               // numbers of the index that are still to come
	index int64                // bytes of the index so far
	lost  bool                 // the structure is not understood
}

func (g *xzGuard) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	for b := p[:n]; len(b) > 0 && !g.lost; {
		if g.step == nil {
			g.gather(12, (*xzGuard).streamHeader)
		}
		if g.skip > 0 {
			step := min(g.skip, int64(len(b)))
			g.skip -= step
			b = b[step:]
			continue
		}
		step := min(g.want-len(g.got), len(b))
		g.got = append(g.got, b[:step]...)
		b = b[step:]
		if len(g.got) == g.want {
			if err := g.step(g); err != nil {
				return 0, err
			}
		}
	}
	return n, err
}

// gather asks for n bytes, to be handed to step in g.got.
func (g *xzGuard) gather(n int, step func(*xzGuard) error) {
	g.want, g.step, g.got = n, step, g.got[:0]
}

func (g *xzGuard) streamHeader() error {
	if binary.BigEndian.Uint32(g.got) == 0 { // padding between streams
		g.got = append(g.got[:0], g.got[4:]...)
		return nil
	}
	if string(g.got[:6]) != "\xfd7zXZ\x00" {
		g.lost = true
		return nil
	}
	g.check = 0
	if kind := g.got[7] & 15; kind > 0 {
		g.check = 4 << ((kind - 1) / 3)
	}
	g.gather(1, (*xzGuard).blockOrIndex)
	return nil
}

func (g *xzGuard) blockOrIndex() error {
	if g.got[0] == 0 {
		g.index, g.count = 1, 0
		g.gather(1, (*xzGuard).indexCount)
		return nil
	}
	g.gather((int(g.got[0])+1)*4-1, (*xzGuard).blockHeader)
	return nil
}

func (g *xzGuard) blockHeader() error {
	flags, b := g.got[0], g.got[1:]
	number := func() (n uint64) {
		n, size := binary.Uvarint(b)
		b = b[max(size, 0):]
		return n
	}
	for _, present := range []byte{0x40, 0x80} {
		if flags&present != 0 {
			number()
		}
	}
	for range flags&3 + 1 {
		id, size := number(), number()
		if size > uint64(len(b)) {
			g.lost = true
			return nil
		}
		if id == 0x21 && size == 1 { // LZMA2
			if bits := b[0] & 0x3f; bits > 40 || dictionary(bits) > maxWindow {
				return fmt.Errorf("a dictionary above %d MiB is refused", maxWindow>>20)
			}
		}
		b = b[size:]
	}
	g.data = 0
	g.gather(1, (*xzGuard).chunk)
	return nil
}

// dictionary returns the bytes that an LZMA2 property asks for (section 5.3.1).
func dictionary(bits byte) uint64 {
	if bits == 40 {
		return 1<<32 - 1
	}
	return uint64(2|bits&1) << (bits/2 + 11)
}

// chunk reads the first byte of an LZMA2 chunk.
func (g *xzGuard) chunk() error {
	g.data++
	switch control := g.got[0]; {
	case control == 0:
		g.skip = (4-g.data%4)%4 + g.check
		g.gather(1, (*xzGuard).blockOrIndex)
	case control <= 2:
		g.gather(2, func(g *xzGuard) error { g.body(2, g.got); return nil })
	case control < 0x80:
		g.lost = true
	case control < 0xc0:
		g.gather(4, func(g *xzGuard) error { g.body(4, g.got[2:]); return nil })
	default: // with a byte of new properties
		g.gather(5, func(g *xzGuard) error { g.body(5, g.got[2:]); return nil })
	}
	return nil
}

// body lets a chunk's data pass, of which header bytes were read and whose length is in size.
func (g *xzGuard) body(header int64, size []byte) {
	g.skip = int64(binary.BigEndian.Uint16(size)) + 1
	g.data += header + g.skip
	g.gather(1, (*xzGuard).chunk)
}

// indexCount reads the number of records of the index, byte by byte.
func (g *xzGuard) indexCount() error {
	g.index++
	last := g.got[len(g.got)-1]
	if last&0x80 != 0 {
		if g.want++; g.want > 9 {
			g.lost = true
		}
		return nil
	}
	n, _ := binary.Uvarint(g.got)
	g.count = 2 * n
	g.indexEnd()
	return nil
}

// indexNumber reads a byte of a number of the index.
func (g *xzGuard) indexNumber() error {
	g.index++
	if g.got[0]&0x80 == 0 {
		g.count--
	}
	g.indexEnd()
	return nil
}

func (g *xzGuard) indexEnd() {
	if g.count > 0 {
		g.gather(1, (*xzGuard).indexNumber)
		return
	}
	g.skip = (4-g.index%4)%4 + 4 + 12 // padding, its check and the stream's footer
	g.gather(12, (*xzGuard).streamHeader)
}
