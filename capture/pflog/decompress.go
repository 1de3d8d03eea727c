package pflog

import (
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// maxWindow bounds the memory that a compressed file may ask for: 128 MiB, the window of zstd --long=27, twice that of xz -9.
const maxWindow = 128 << 20

// decompress looks at the first bytes of in, which it goes on to read from. If they are those of a compression it returns the plain stream and what has to be
// closed with it; else nothing, and in is left as it was.
func decompress(in *input) (io.Reader, io.Closer, error) {
	b, err := in.peek(6)
	if err != nil && len(b) == 0 {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return nil, nil, err
	}
	rest := &remains{in}
	switch {
	case bytes.HasPrefix(b, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(rest)
		if err != nil {
			return nil, nil, fmt.Errorf("gzip: %w", err)
		}
		return named{z, "gzip"}, z, nil
	case bytes.HasPrefix(b, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(rest, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, fmt.Errorf("zstd: %w", err)
		}
		return named{z, "zstd"}, z.IOReadCloser(), nil
	case bytes.HasPrefix(b, []byte("BZh")):
		return named{bzip2.NewReader(rest), "bzip2"}, nil, nil
	case bytes.HasPrefix(b, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		z, err := xz.NewReader(&xzGuard{r: rest})
		if err != nil {
			return nil, nil, fmt.Errorf("xz: %w", err)
		}
		return named{z, "xz"}, nil, nil
	case bytes.HasPrefix(b, []byte{0x1f, 0x9d}):
		return nil, nil, fmt.Errorf("%w: compress(1) is not understood; pipe it through zcat", ErrFormat)
	}
	return nil, nil, nil
}

// remains reads what an input has not consumed.
type remains struct{ in *input }

func (r *remains) Read(p []byte) (int, error) {
	if r.in.start == r.in.end {
		if r.in.err != nil {
			return 0, r.in.err
		}
		return r.in.r.Read(p)
	}
	n := copy(p, r.in.buf[r.in.start:r.in.end])
	r.in.skip(n)
	return n, nil
}

// named says in errors which decompressor failed.
type named struct {
	r    io.Reader
	name string
}

func (n named) Read(p []byte) (int, error) {
	got, err := n.r.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a wrapped EOF is an error of the stream
		err = fmt.Errorf("%s: %w", n.name, err)
	}
	return got, err
}
