package logtail

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pfwarden/capture"
)

// splitSlowly is the oracle: it sees everything at once.
func splitSlowly(data string, limit int) (lines []capture.Line) {
	for offset := 0; offset < len(data); {
		text, _, ended := strings.Cut(data[offset:], "\n")
		offset += len(text)
		if ended {
			offset++
		}
		text = strings.TrimSuffix(strings.TrimLeft(text, "\x00"), "\r")
		line := capture.Line{Text: text, Next: capture.Position{Offset: int64(offset)}}
		if len(text) > limit {
			line.Text, line.Cut = text[:limit], true
		}
		lines = append(lines, line)
	}
	return lines
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte("one\ntwo\r\nthree"), uint8(3), uint8(10))
	f.Add([]byte("\x00\x00\x00one\n\x00\n\n\r\n"), uint8(1), uint8(2))
	f.Add([]byte("12345\r\n123456\r\n1234567\n123456\r"), uint8(4), uint8(6))
	f.Add([]byte("\xff\xfe\n\r\r\n"), uint8(2), uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, step, limit uint8) {
		s := splitter{max: max(1, int(limit))}
		var got []capture.Line
		for offset := 0; offset < len(data); {
			part := data[offset:min(len(data), offset+max(1, int(step)))]
			got = s.split(got, part, int64(offset))
			offset += len(part)
			if len(s.held) > s.max+2 {
				t.Fatalf("%d bytes are held, limit %d", len(s.held), s.max)
			}
		}
		if line, ok := s.finish(int64(len(data))); ok {
			got = append(got, line)
		}
		if diff := cmp.Diff(splitSlowly(string(data), s.max), got); diff != "" {
			t.Errorf("(-slow +fast):\n%s", diff)
		}
	})
}

func BenchmarkSplit(b *testing.B) {
	chunk := []byte(strings.Repeat("Nov 22 10:00:00 gw sshd[4711]: Failed password for root from 192.0.2.7 port 40000 ssh2\n", 750))
	s := splitter{max: DefaultMaxLine}
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	var lines []capture.Line
	for b.Loop() {
		lines = s.split(lines[:0], chunk, 0)
	}
}
