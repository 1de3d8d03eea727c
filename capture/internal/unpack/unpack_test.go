package unpack

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// bzipped is "pfwarden\n" through bzip2(1); the standard library only unpacks.
const bzipped = "QlpoOTFBWSZTWcgvGnAAAANBgAAQJwFQgCAAIgGm1CDJiECHzPF3JFOFCQyC8acA"

func packed(t *testing.T, format Format, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	switch format {
	case Gzip:
		w = gzip.NewWriter(&out)
	case Zstd:
		w, err = zstd.NewWriter(&out)
	case XZ:
		w, err = xz.NewWriter(&out)
	default:
		return []byte(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestReaderRecognisesByContent(t *testing.T) {
	text := strings.Repeat("Nov 22 10:00:00 gw sshd[1]: line\n", 10000)
	for _, format := range []Format{Plain, Gzip, Zstd, XZ} {
		r, err := NewReader(bytes.NewReader(packed(t, format, text)))
		if err != nil {
			t.Fatalf("%q: %v", format, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != text || r.Format != format {
			t.Errorf("%q: format %q, %d bytes, %v; want %d bytes", format, r.Format, len(got), err, len(text))
		}
		r.Close()
	}
}

func TestReaderBzip2(t *testing.T) {
	data, err := base64.StdEncoding.DecodeString(bzipped)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "pfwarden\n" || r.Format != Bzip2 {
		t.Errorf("got %q, %v, format %q", got, err, r.Format)
	}
}

func TestReaderTakesSeveralGzipMembers(t *testing.T) {
	two := append(packed(t, Gzip, "one\n"), packed(t, Gzip, "two\n")...)
	r, err := NewReader(bytes.NewReader(two))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "one\ntwo\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestReaderShortAndBroken(t *testing.T) {
	for _, text := range []string{"", "a", "BZ", "BZhx is text", "\x1f\x8b"} {
		r, err := NewReader(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != text {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
		r.Close()
	}
	whole := packed(t, Gzip, strings.Repeat("x", 1000))
	r, err := NewReader(bytes.NewReader(whole[:len(whole)-5]))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); err == nil {
		t.Error("a gzip file without its end was read without an error")
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("plain text\n"))
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3})
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0x58})
	f.Add([]byte{0xfd, '7', 'z', 'X', 'Z', 0, 0, 4})
	if b, err := base64.StdEncoding.DecodeString(bzipped); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := NewReader(bytes.NewReader(data))
		if err != nil {
			return
		}
		defer r.Close()
		_, _ = io.Copy(io.Discard, io.LimitReader(r, 1<<20))
	})
}
