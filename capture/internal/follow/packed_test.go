package follow

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"pfwarden/capture/internal/unpack"
)

// TestPackedBombEnds: a log that rotation left compressed, and that unpacks to far more than it is, is given up; what came of it before is read.
func TestPackedBombEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("unpacks 256 MiB")
	}
	t.Parallel()
	const size = 400 << 20
	name := filepath.Join(t.TempDir(), "authlog.0.zst")
	out, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(out)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range size >> 20 {
		if _, err := z.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), out.Close()); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	f, err := new(path).newPacked(in, 0, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer f.src.Close()
	buf := make([]byte, 1<<20)
	read := 0
	for {
		data, err := f.next(buf)
		read += len(data)
		if errors.Is(err, unpack.ErrBomb) {
			break
		}
		if err != nil || len(data) == 0 {
			t.Fatalf("after %d bytes: %d, %v", read, len(data), err)
		}
	}
	if read < 256<<20 || read > 300<<20 {
		t.Errorf("it was given up after %d bytes", read)
	}
}
