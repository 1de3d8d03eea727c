package pflog_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unicode/utf8"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
)

func seeds(f *testing.F) (files [][]byte) {
	f.Helper()
	names, err := filepath.Glob("testdata/vectors/*.pcap")
	if err != nil || len(names) == 0 {
		f.Fatal("no vectors", err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		files = append(files, b)
	}
	return files
}

// FuzzDecode decodes any bytes as one record and prints what comes of it.
func FuzzDecode(f *testing.F) {
	for _, file := range seeds(f) {
		f.Add(file[40:], uint32(len(file)), file[20] == 17 || file[23] == 17, file[0] == 0xa1)
	}
	f.Fuzz(func(t *testing.T, record []byte, wire uint32, old, big bool) {
		for _, partial := range []bool{false, true} {
			d := pflog.Decoder{Old: old, BigEndian: big, Partial: partial}
			var p capture.Packet
			if cause := d.Decode(&p, record, wire); cause != pflog.Accepted {
				continue
			}
			if !partial && (!p.Source.IsValid() || !p.Destination.IsValid() || p.Has&capture.HasTTL == 0) {
				t.Errorf("accepted without addresses: %+v", p)
			}
			for system := pflog.Auto; system <= pflog.Darwin; system++ {
				line := pflog.AppendJSON(nil, &p, system)
				var fields map[string]any
				if err := json.Unmarshal(line, &fields); err != nil || !utf8.Valid(line) {
					t.Errorf("%v: %q", err, line)
				}
				for _, c := range pflog.AppendText(nil, &p, system, time.UTC) {
					if c < ' ' || c > '~' {
						t.Errorf("text with byte %#x", c)
					}
				}
			}
		}
	})
}

// FuzzReader reads any bytes as a file.
func FuzzReader(f *testing.F) {
	for _, file := range seeds(f) {
		f.Add(file)
	}
	f.Add([]byte("\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c\x2b\x1a\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x1c\x00\x00\x00" +
		"\x01\x00\x00\x00\x14\x00\x00\x00\x75\x00\x00\x00\x00\x00\x00\x00\x14\x00\x00\x00"))
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3})
	f.Add([]byte{0xfd, '7', 'z', 'X', 'Z', 0, 0, 4, 0xe6, 0xd6, 0xb4, 0x46, 2, 0, 0x21, 1, 22})
	f.Add([]byte("BZh91AY&SY"))
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 4, 0})
	f.Fuzz(func(t *testing.T, file []byte) {
		rejects := 0
		r, err := pflog.NewReader(bytes.NewReader(file), "fuzz", pflog.Options{OnReject: func(pflog.Rejected) { rejects++ }})
		if err != nil {
			return
		}
		defer r.Close()
		var p capture.Packet
		last := int64(-1)
		for range 100_000 {
			if err = r.Next(&p); err != nil {
				break
			}
			if p.Offset <= last {
				t.Fatalf("offset %d after %d", p.Offset, last)
			}
			last = p.Offset
		}
		if err != nil && err != io.EOF && r.Next(&p) != err {
			t.Error("the error does not stay")
		}
	})
}
