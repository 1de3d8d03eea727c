// Package unpack reads compressed input by its content, never by its name: gzip, zstd, bzip2 and xz are recognised by
// their first bytes, everything else passes through as it is.
//
// Compressed input is taken to be hostile. Unpacking never holds more than a window of 128 MiB, and input that turns out to be
// a decompression bomb ends with ErrBomb.
package unpack

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
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

// maxWindow bounds the memory that a compressed file may ask for: 128 MiB, the window of zstd --long=27, twice that of xz -9.
const maxWindow = 128 << 20

// ErrBomb is wrapped by what reading a decompression bomb ends with: input that unpacks to more than 250 times its size, and to
// more than 256 MiB. Real logs shrink to a tenth, very uniform ones to a hundredth.
var ErrBomb = errors.New("a decompression bomb")

// bounds of how much input may unpack to: more than both is a bomb.
type bounds struct {
	ratio int64 // bytes for each byte of input
	free  int64 // bytes whatever the input
}

var usual = bounds{ratio: 250, free: 256 << 20}

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
	return New(Detect(head), b)
}

// New unpacks r, which is known to be of the format. The result must be closed; r is not closed by that. Errors name the format.
func New(format Format, r io.Reader) (*Reader, error) { return newBounded(format, r, usual) }

func newBounded(format Format, r io.Reader, limit bounds) (*Reader, error) {
	out := &Reader{Reader: r, Format: format, close: func() {}}
	if format == Plain {
		return out, nil
	}
	packed := &counted{r: r}
	guard := &guarded{packed: packed, name: format, bounds: limit}
	switch format {
	case Gzip:
		z, err := gzip.NewReader(packed)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		guard.r = z
	case Zstd:
		z, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		guard.r, out.close = z, z.Close
	case Bzip2:
		guard.r = bzip2.NewReader(packed)
	case XZ:
		z, err := xz.NewReader(&xzGuard{r: packed})
		if err != nil {
			return nil, fmt.Errorf("xz: %w", err)
		}
		guard.r = z
	default:
		return nil, fmt.Errorf("%q: unknown compression", format)
	}
	out.Reader = guard
	return out, nil
}

// Close frees what unpacking holds.
func (r *Reader) Close() error {
	r.close()
	return nil
}

// counted counts the packed bytes.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// guarded ends a bomb, and says in errors which decompressor failed.
type guarded struct {
	r      io.Reader
	packed *counted
	name   Format
	bounds bounds
	n      int64 // bytes unpacked
	ended  error // what reading ended with
}

// Read gives no more bytes once it has given an error, so that nobody who takes the bytes first goes on with a bomb.
func (g *guarded) Read(p []byte) (int, error) {
	if g.ended != nil {
		return 0, g.ended
	}
	n, err := g.r.Read(p)
	g.n += int64(n)
	if g.n > g.bounds.free && g.n/g.bounds.ratio > g.packed.n {
		err = fmt.Errorf("%w: %d bytes so far came of %d; the rest is not read", ErrBomb, g.n, g.packed.n)
	}
	if err != nil && err != io.EOF { //nolint:errorlint // a wrapped EOF is an error of the stream
		err = fmt.Errorf("%s: %w", g.name, err)
	}
	g.ended = err
	return n, err
}
