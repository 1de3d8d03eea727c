// Package unpack reads compressed input by its content, never by its name: gzip, zstd, bzip2 and xz are recognised by
// their first bytes, everything else passes through as it is.
package unpack

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Format names a compression; Plain is none.
type Format string

// The formats that are recognised.
const (
	Plain Format = ""
	Gzip  Format = "gzip" // RFC 1952, several members may follow each other
	Zstd  Format = "zstd" // RFC 8878, as above
	Bzip2 Format = "bzip2"
	XZ    Format = "xz" // the .xz container, not .lzma
)

// MagicLen is how many bytes Detect needs at most.
const MagicLen = 6

// maxWindow bounds the memory that a hostile file can ask for: zstd's own tools refuse more without --long, too.
const maxWindow = 128 << 20

// Detect tells the format from the first bytes of a file; fewer than MagicLen are enough for a file that short.
func Detect(head []byte) Format {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b, 8}):
		return Gzip
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return Zstd
	case len(head) >= 4 && bytes.HasPrefix(head, []byte("BZh")) && head[3] >= '1' && head[3] <= '9':
		return Bzip2
	case bytes.HasPrefix(head, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		return XZ
	}
	return Plain
}

// Reader yields the unpacked bytes of what it was made from.
type Reader struct {
	io.Reader
	Format Format
	close  func()
}

// NewReader looks at the first bytes of r and unpacks what follows. The result must be closed; r is not closed by that.
func NewReader(r io.Reader) (*Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(MagicLen)
	if err != nil && err != io.EOF { // a shorter file is a file, too
		return nil, fmt.Errorf("read the first bytes: %w", err)
	}
	out := &Reader{Reader: b, Format: Detect(head), close: func() {}}
	switch out.Format {
	case Gzip:
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		out.Reader = z
	case Zstd:
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		out.Reader, out.close = z, z.Close
	case Bzip2:
		out.Reader = bzip2.NewReader(b)
	case XZ:
		z, err := xz.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("xz: %w", err)
		}
		out.Reader = z
	}
	return out, nil
}

// Close frees what unpacking holds.
func (r *Reader) Close() error {
	r.close()
	return nil
}
