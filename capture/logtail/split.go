package logtail

import (
	"bytes"
	"strings"

	"pfwarden/capture"
)

// splitter cuts the bytes of one file into lines. What it keeps of an incomplete line is bounded by max.
type splitter struct {
	max      int    // bytes of a line that are kept
	held     []byte // the incomplete line so far, at most max+2 bytes: a "\r" too much is no reason to cut
	over     bool   // the incomplete line is longer than that
	open     bool   // there is an incomplete line, even if nothing of it is held
	skipping bool   // the incomplete line began before reading did: it is dropped as a whole
	nuls     uint64 // NUL bytes dropped at the beginnings of lines
}

// split appends the lines that data, at offset in its file, completes. Each Line gets Text, Cut and Next.Offset; the texts
// are substrings of one string, except for the one that began before data.
func (s *splitter) split(lines []capture.Line, data []byte, offset int64) []capture.Line {
	if s.skipping {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			return lines
		}
		s.skipping = false
		data, offset = data[i+1:], offset+int64(i)+1
	}
	if s.open {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			s.hold(data)
			return lines
		}
		s.hold(data[:i])
		lines = append(lines, s.take(offset+int64(i)+1))
		data, offset = data[i+1:], offset+int64(i)+1
	}
	last := bytes.LastIndexByte(data, '\n')
	if last >= 0 {
		chunk := string(data[:last+1])
		for chunk != "" {
			i := strings.IndexByte(chunk, '\n')
			offset += int64(i) + 1
			lines = append(lines, s.line(chunk[:i], false, offset))
			chunk = chunk[i+1:]
		}
		data = data[last+1:]
	}
	if len(data) > 0 {
		s.hold(data)
	}
	return lines
}

// finish gives the incomplete line, if there is one, after which nothing will come. offset is the end of the file.
func (s *splitter) finish(offset int64) (line capture.Line, ok bool) {
	if !s.open {
		return line, false
	}
	return s.take(offset), true
}

// hold keeps a part of an incomplete line. A program that writes on at its old offset after its log was truncated leaves a
// hole, which reads as NUL bytes, maybe gigabytes of them: those at the beginning of a line are not part of it.
func (s *splitter) hold(part []byte) {
	s.open = true
	if len(s.held) == 0 {
		rest := bytes.TrimLeft(part, "\x00")
		s.nuls += uint64(len(part) - len(rest))
		part = rest
	}
	if room := s.max + 2 - len(s.held); len(part) > room {
		part, s.over = part[:room], true
	}
	s.held = append(s.held, part...)
}

func (s *splitter) take(end int64) capture.Line {
	line := s.line(string(s.held), s.over, end)
	s.held, s.over, s.open = s.held[:0], false, false
	if cap(s.held) > 4096 {
		s.held = nil // ten thousand files must not each keep the memory of their longest line
	}
	return line
}

func (s *splitter) line(text string, over bool, end int64) capture.Line {
	if strings.HasPrefix(text, "\x00") {
		rest := strings.TrimLeft(text, "\x00")
		s.nuls += uint64(len(text) - len(rest))
		text = rest
	}
	if !over {
		text = strings.TrimSuffix(text, "\r")
	}
	cut := len(text) > s.max
	if cut {
		text = text[:s.max]
	}
	return capture.Line{Text: text, Cut: cut, Next: capture.Position{Offset: end}}
}
