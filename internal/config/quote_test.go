package config

import (
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// FuzzQuote: what Quote writes is read as the same string.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "plain", `^\s*"<HOST>"$`, `it's \d`, "tab\there", "a\nb\\", "\\d\x01", "\x7f\"", "\xff\\", "\u0085'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got struct{ K string }
		if err := toml.Unmarshal([]byte("k = "+Quote(s)), &got); err != nil {
			t.Fatalf("%q was written as %s: %v", s, Quote(s), err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); got.K != want && got.K != string([]rune(s)) {
			t.Errorf("%q was written as %s and read as %q", s, Quote(s), got.K)
		}
	})
}
