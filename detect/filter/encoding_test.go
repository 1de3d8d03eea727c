package filter

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"

	"pfwarden/capture"
)

// TestEncodings matches a name with a letter beyond ASCII in logs of several encodings, and names the encodings as Python does.
func TestEncodings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ encoding, line, user string }{
		{"", "Nov 22 15:20:08 app: no Zoë from 203.0.113.7", "Zoë"},
		{"auto", "Nov 22 15:20:08 app: no Zo\xeb from 203.0.113.7", "Zo\uFFFD"},
		{"UTF-8", "Nov 22 15:20:08 app: no Zo\xe2\x82x\xff\xfe from 203.0.113.7", "Zo\uFFFDx\uFFFD\uFFFD"},
		{"latin1", "Nov 22 15:20:08 app: no Zo\xeb from 203.0.113.7", "Zoë"},
		{"iso-8859-1", "Nov 22 15:20:08 app: no Zo\xeb\x85x from 203.0.113.7", ""}, // U+0085 is a space
		{"latin_1", "Nov 22 15:20:08 app: no Zo\xeb from 203.0.113.7", "Zoë"},
		{"cp1252", "Nov 22 15:20:08 app: no \x80uro from 203.0.113.7", "€uro"},
		{"iso8859_15", "Nov 22 15:20:08 app: no \xa4uro from 203.0.113.7", "€uro"},
		{"koi8-r", "Nov 22 15:20:08 app: no \xcd\xc9\xd2 from 203.0.113.7", "мир"},
		{"cp1251", "Nov 22 15:20:08 app: no \xec\xe8\xf0 from 203.0.113.7", "мир"},
		{"cp437", "Nov 22 15:20:08 app: no Zo\x89 from 203.0.113.7", "Zoë"},
		{"gbk", "Nov 22 15:20:08 app: no \xc4\xe3\xba\xc3 from 203.0.113.7", "你好"},
		{"shift_jis", "Nov 22 15:20:08 app: no \x93\xfa\x96{ from 203.0.113.7", "日本"},
		{"euc_jp", "Nov 22 15:20:08 app: no \xc6\xfc\xcb\xdc from 203.0.113.7", "日本"},
		{"ascii", "Nov 22 15:20:08 app: no Zo\xc3\xab from 203.0.113.7", "Zo\uFFFD\uFFFD"},
	} {
		f, err := Compile(Definition{Failregex: []string{`no <F-USER>\S+</F-USER> from <ADDR>$`}, LogEncoding: c.encoding}, Options{Location: time.UTC, NoFindTime: true})
		if err != nil {
			t.Errorf("%s: %v", c.encoding, err)
			continue
		}
		found := ""
		NewSet([]*Filter{f}).Match(capture.Line{Text: c.line}, time.Unix(1795400000, 0), func(_ int, c Candidate) { found = c.Fields["user"] })
		if found != c.user {
			t.Errorf("%s: %q gave user %q, want %q", c.encoding, c.line, found, c.user)
		}
	}
	if _, err := Compile(Definition{Failregex: []string{"<ADDR>"}, LogEncoding: "klingon"}, Options{}); err == nil {
		t.Error("an encoding that nobody knows was accepted")
	}
}

// TestWideEncodings cuts logs of two and four bytes a character at their bytes 0x0A, as a reader of lines does, once with the zero bytes at
// the beginning of a line and once without.
func TestWideEncodings(t *testing.T) {
	t.Parallel()
	const log = "Nov 22 15:20:08 app: no Zoë from 203.0.113.7\r\nNov 22 15:20:09 app: no Ж€ from 2001:db8::7\nNov 22 15:20:10 app: no x from 203.0.113.8\n"
	encoders := map[string]func(string) (string, error){
		"utf-16":    unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewEncoder().String,
		"utf-16-le": unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().String,
		"utf_16_be": unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewEncoder().String,
		"utf-32-le": utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM).NewEncoder().String,
		"utf-32-be": utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM).NewEncoder().String,
	}
	for name, encode := range encoders {
		bytes, err := encode(log)
		if err != nil {
			t.Fatal(err)
		}
		for _, trimmed := range []bool{false, true} {
			f, err := Compile(Definition{Failregex: []string{`no <F-USER>\S+</F-USER> from <ADDR>$`}, LogEncoding: name}, Options{Location: time.UTC, NoFindTime: true})
			if err != nil {
				t.Fatal(err)
			}
			set := NewSet([]*Filter{f})
			var got []string
			lines := strings.Split(bytes, "\n")
			for _, line := range lines[:len(lines)-1] {
				if trimmed {
					line = strings.TrimLeft(line, "\x00")
				}
				set.Match(capture.Line{Text: line}, time.Unix(1795400000, 0), func(_ int, c Candidate) {
					got = append(got, c.Fields["user"]+" "+c.ID+" "+c.Text)
				})
			}
			want := "Zoë 203.0.113.7 Nov 22 15:20:08 app: no Zoë from 203.0.113.7|Ж€ 2001:db8::7 Nov 22 15:20:09 app: no Ж€ from 2001:db8::7|x 203.0.113.8 Nov 22 15:20:10 app: no x from 203.0.113.8"
			if have := strings.Join(got, "|"); have != want {
				t.Errorf("%s, zeros trimmed %v:\n got %q\nwant %q", name, trimmed, have, want)
			}
			if n := set.Stats().Undecoded; n != 0 {
				t.Errorf("%s: %d lines could not be decoded", name, n)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"plain", "Zo\xeb", "\xff\xfeZ\x00", "\x00Z\x00o\x00", "\xe2\x82", "\xf4\x90\x80\x80", ""} {
		f.Add(s)
	}
	names := []string{"utf-8", "latin1", "cp1252", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "gbk", "shift_jis", "iso-2022-jp", "ascii"}
	f.Fuzz(func(t *testing.T, line string) {
		for _, name := range names {
			d, err := checkedEncoding(name)
			if err != nil {
				t.Fatal(err)
			}
			out, _ := d.decode(line, 64)
			if out != strings.ToValidUTF8(out, "") {
				t.Errorf("%s: %q became %q", name, line, out)
			}
		}
	})
}
