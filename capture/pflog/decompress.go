package pflog

import (
	"errors"
	"fmt"
	"io"

	"pfwarden/capture/internal/unpack"
)

// decompress looks at the first bytes of in, which it goes on to read from. If they are those of a compression it returns the plain
// stream, which has to be closed; else nil, and in is left as it was.
func decompress(in *input) (*unpack.Reader, error) {
	b, err := in.peek(unpack.MagicLen)
	if err != nil && len(b) == 0 {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return nil, err
	}
	if len(b) >= 2 && b[0] == 0x1f && b[1] == 0x9d {
		return nil, fmt.Errorf("%w: compress(1) is not understood; pipe it through zcat", ErrFormat)
	}
	format := unpack.Detect(b)
	if format == unpack.Plain {
		return nil, nil
	}
	return unpack.New(format, &remains{in})
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
