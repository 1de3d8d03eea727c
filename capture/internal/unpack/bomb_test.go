package unpack

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// TestBombEnds: what unpacks to far more than it is ends, in every format, and says why.
func TestBombEnds(t *testing.T) {
	limit := bounds{ratio: 20, free: 100_000}
	for _, format := range []Format{Gzip, Zstd, XZ} {
		t.Run(string(format), func(t *testing.T) {
			bomb := packed(t, format, strings.Repeat("\x00", 10_000_000))
			r, err := newBounded(format, bytes.NewReader(bomb), limit)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			n, err := io.Copy(io.Discard, r)
			if !errors.Is(err, ErrBomb) || !strings.HasPrefix(err.Error(), string(format)+": ") {
				t.Errorf("error %v", err)
			}
			if n < limit.free || n > 5_000_000 {
				t.Errorf("%d bytes came before it ended", n)
			}
			if n, again := r.Read(make([]byte, 10)); n > 0 || !errors.Is(again, ErrBomb) {
				t.Errorf("reading on: %d bytes, %v", n, again)
			}
		})
	}
}

// TestUsualBounds holds the bounds against a file as an attacker would make it, and against a log as uniform as a flood makes it.
func TestUsualBounds(t *testing.T) {
	zeros := packed(t, Gzip, strings.Repeat("\x00", 4<<20))
	for _, c := range []struct {
		name    string
		member  []byte
		members int
		want    error
	}{
		{"ten gigabytes of nothing", zeros, 2500, ErrBomb},
		{"less than is always allowed", zeros, 60, nil},
		{"ever the same line", packed(t, Gzip, strings.Repeat("2026-11-22T10:00:00 gw sshd[1]: Failed password for root from 192.0.2.1 port 4711 ssh2\n", 100)), 32_000, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			readers := make([]io.Reader, c.members)
			for i := range readers {
				readers[i] = bytes.NewReader(c.member)
			}
			r, err := NewReader(io.MultiReader(readers...))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			n, err := io.Copy(io.Discard, r)
			if !errors.Is(err, c.want) || c.want != nil && n > usual.free+1<<20 {
				t.Errorf("%d bytes, then %v; want %v", n, err, c.want)
			}
		})
	}
}
