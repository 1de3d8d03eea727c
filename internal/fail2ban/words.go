package fail2ban

import (
	"fmt"
	"strings"
)

// ShellWords splits as a shell does, without expanding anything.
func ShellWords(s string) ([]string, error) {
	var (
		words []string
		word  strings.Builder
		open  bool
	)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case isSpace(c):
			if open {
				words, open = append(words, word.String()), false
				word.Reset()
			}
		case c == '\'' || c == '"':
			open = true
			for i++; ; i++ {
				if i >= len(s) {
					return nil, fmt.Errorf("no closing quotation in %s", quoteCut(s))
				}
				if s[i] == c {
					break
				}
				if c == '"' && s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\') {
					i++
				}
				word.WriteByte(s[i])
			}
		case c == '\\':
			if i++; i >= len(s) {
				return nil, fmt.Errorf("no character after \\ in %s", quoteCut(s))
			}
			open = true
			word.WriteByte(s[i])
		default:
			open = true
			word.WriteByte(c)
		}
	}
	if open {
		words = append(words, word.String())
	}
	return words, nil
}
