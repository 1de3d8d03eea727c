package filter

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"pfwarden/detect/filter/pyre"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// decoder turns the bytes of a line into UTF-8. Bytes that mean nothing in their encoding become U+FFFD each, as fail2ban has it.
type decoder struct {
	name  string
	from  encoding.Encoding
	ascii bool // bytes below 0x80 are ASCII, and mean nothing else after other bytes
	// A log is cut at bytes 0x0A. Where a character has several bytes, what a newline has before that byte stands at the end of its line, and what
	// it has after it at the beginning of the next.
	width int // bytes of a newline
	tail  int // of these after the 0x0A
}

// errEncoding is the fault of a log encoding that nobody knows.
var errEncoding = errors.New("no such encoding: expected auto, or a name such as utf-8, iso-8859-1, windows-1252, koi8-r, utf-16-le")

// KnownEncoding tells whether logs in the encoding of that name can be read.
func KnownEncoding(name string) bool {
	_, err := checkedEncoding(name)
	return err == nil
}

// checkedEncoding makes the decoder of a name, as Python or IANA know it; nil is UTF-8, which "auto" and "" are too.
func checkedEncoding(name string) (*decoder, error) {
	n := strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), "_", "-"), " ", "-")
	switch n {
	case "", "auto", "utf-8", "utf8", "u8", "utf", "utf-8-sig", "cp65001":
		return nil, nil
	case "ascii", "us-ascii", "646", "ansi-x3.4-1968":
		return &decoder{name: "ascii", ascii: true}, nil
	case "utf-16", "utf16", "u16", "utf-16-le", "utf-16le", "utf16le":
		return &decoder{name: "utf-16", from: unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), width: 2, tail: 1}, nil
	case "utf-16-be", "utf-16be", "utf16be":
		return &decoder{name: "utf-16-be", from: unicode.UTF16(unicode.BigEndian, unicode.UseBOM), width: 2}, nil
	case "utf-32", "utf32", "u32", "utf-32-le", "utf-32le", "utf32le":
		return &decoder{name: "utf-32", from: utf32.UTF32(utf32.LittleEndian, utf32.UseBOM), width: 4, tail: 3}, nil
	case "utf-32-be", "utf-32be", "utf32be":
		return &decoder{name: "utf-32-be", from: utf32.UTF32(utf32.BigEndian, utf32.UseBOM), width: 4}, nil
	}
	if from, ok := pythonNames()[n]; ok {
		return &decoder{name: n, from: from, ascii: true}, nil
	}
	for _, try := range []string{
		n, strings.Replace(n, "iso8859-", "iso-8859-", 1), strings.Replace(n, "cp", "windows-", 1), strings.Replace(n, "cp", "ibm", 1),
		strings.ReplaceAll(n, "-", "_"),
	} {
		from, err := ianaindex.IANA.Encoding(try)
		if err != nil || from == nil {
			continue
		}
		switch from {
		case encoding.Nop, unicode.UTF8:
			return nil, nil
		case simplifiedchinese.HZGB2312, japanese.ISO2022JP:
			return &decoder{name: n, from: from}, nil
		}
		return &decoder{name: n, from: from, ascii: true}, nil
	}
	return nil, fmt.Errorf("log encoding %q: %w", name, errEncoding)
}

// pythonNames are names of encodings that Python knows and IANA does not.
func pythonNames() map[string]encoding.Encoding {
	return map[string]encoding.Encoding{
		"latin-1": charmap.ISO8859_1, "latin": charmap.ISO8859_1, "l1": charmap.ISO8859_1, "8859": charmap.ISO8859_1, "cp819": charmap.ISO8859_1,
		"iso-8859-1": charmap.ISO8859_1, "iso8859": charmap.ISO8859_1, "mac-roman": charmap.Macintosh, "mac-cyrillic": charmap.MacintoshCyrillic,
		"cp932": japanese.ShiftJIS, "ms932": japanese.ShiftJIS, "sjis": japanese.ShiftJIS, "shiftjis": japanese.ShiftJIS, "ujis": japanese.EUCJP,
		"eucjp": japanese.EUCJP, "cp936": simplifiedchinese.GBK, "936": simplifiedchinese.GBK, "gb2312": simplifiedchinese.GBK, "euc-cn": simplifiedchinese.GBK,
		"cp949": korean.EUCKR, "uhc": korean.EUCKR, "euckr": korean.EUCKR, "cp874": charmap.Windows874, "tis-620": charmap.Windows874,
	}
}

// decode gives a line as UTF-8, at most limit bytes of what was read of it, and whether all of it meant something.
func (d *decoder) decode(text string, limit int) (decoded string, clean bool) {
	if d == nil {
		return validUTF8(text)
	}
	if d.ascii && pyre.IsASCII(text) {
		return text, true
	}
	if d.width > 0 {
		text = d.align(text)
	}
	if longest := limit * max(d.width, 1); len(text) > longest {
		text = text[:longest]
	}
	if d.from == nil {
		return replaceHigh(text), false
	}
	out, err := d.from.NewDecoder().String(text)
	if err != nil { // no decoder of these gives up; if one does, what it had is what there is
		return strings.ToValidUTF8(out, "\uFFFD"), false
	}
	return strings.TrimPrefix(out, "\uFEFF"), !strings.Contains(out, "\uFFFD")
}

// align cuts off what newlines left at both ends of a line, and puts back the zero bytes at its beginning that the reader of logs takes for
// a hole in the file.
func (d *decoder) align(text string) string {
	over := len(text) % d.width
	if d.tail > 0 { // little-endian: the rest of the newline before stands at the beginning
		if lead := min(d.tail, over); lead > 0 && strings.Trim(text[:lead], "\x00") == "" {
			text = text[lead:]
		}
		return text[:len(text)-len(text)%d.width]
	}
	if missing := d.width - 1 - over; missing > 0 && over > 0 || missing > 0 && strings.HasSuffix(text, "\x00") {
		text = strings.Repeat("\x00", missing) + text
	}
	return text[:len(text)-len(text)%d.width]
}

func replaceHigh(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if text[i] < utf8.RuneSelf {
			b.WriteByte(text[i])
		} else {
			b.WriteString("\uFFFD")
		}
	}
	return b.String()
}

// validUTF8 puts U+FFFD in the place of each longest beginning of a character that is no character (Unicode 16, section 3.9), as Python does.
func validUTF8(text string) (valid string, clean bool) {
	if utf8.ValidString(text) {
		return text, true
	}
	var b strings.Builder
	b.Grow(len(text) + 8)
	for text != "" {
		r, n := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && n <= 1 {
			n = broken(text)
		}
		b.WriteRune(r)
		text = text[n:]
	}
	return b.String(), false
}

// broken is how many bytes at the beginning of text could begin a character, at least one.
func broken(text string) int {
	low, high, most := byte(0x80), byte(0xbf), 1
	switch c := text[0]; {
	case 0xc2 <= c && c <= 0xdf:
		most = 2
	case 0xe0 <= c && c <= 0xef:
		most = 3
		switch c {
		case 0xe0:
			low = 0xa0
		case 0xed:
			high = 0x9f
		}
	case 0xf0 <= c && c <= 0xf4:
		most = 4
		switch c {
		case 0xf0:
			low = 0x90
		case 0xf4:
			high = 0x8f
		}
	}
	n := 1
	for n < most && n < len(text) && low <= text[n] && text[n] <= high {
		low, high = 0x80, 0xbf
		n++
	}
	return n
}

// label sets decoders apart.
func (d *decoder) label() string {
	if d == nil {
		return ""
	}
	return d.name
}

// decode gives a line of a log that is not in UTF-8.
func (g *group) decode(s *Set, text string) string {
	text, clean := g.encoding.decode(text, g.options.MaxLine+1)
	s.broken = s.broken || !clean
	return text
}

// valid gives a line as UTF-8 whatever its log holds.
func (g *group) valid(s *Set, text string) string {
	text, clean := validUTF8(text)
	s.broken = s.broken || !clean
	return text
}
