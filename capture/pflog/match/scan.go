package match

import (
	"fmt"
	"strings"
)

type kind uint8

const (
	word kind = iota
	quoted
	and
	or
	not
	open
	closing
	end
)

// token is a word or sign of an expression.
type token struct {
	kind   kind
	text   string
	offset int
}

func (t token) String() string {
	if t.kind == end {
		return "the end"
	}
	return fmt.Sprintf("%q", t.text)
}

// scan cuts an expression into tokens; the last one is of kind end.
func scan(s string) ([]token, error) {
	var tokens []token
	for i := 0; i < len(s); {
		start := i
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case c == '(':
			i++
			tokens = append(tokens, token{open, "(", start})
		case c == ')':
			i++
			tokens = append(tokens, token{closing, ")", start})
		case c == '!':
			i++
			tokens = append(tokens, token{not, "!", start})
		case c == '&' || c == '|':
			if i+1 == len(s) || s[i+1] != c {
				return nil, &Error{s, start, fmt.Sprintf("a single %q; write %q", c, strings.Repeat(string(c), 2))}
			}
			i += 2
			tokens = append(tokens, token{map[byte]kind{'&': and, '|': or}[c], s[start:i], start})
		case c == '"':
			length := strings.IndexByte(s[i+1:], '"')
			if length < 0 {
				return nil, &Error{s, start, "this quote is not closed"}
			}
			i += length + 2
			tokens = append(tokens, token{quoted, s[start+1 : i-1], start})
		default:
			for i < len(s) && !strings.ContainsRune(" \t\n\r()!&|\"", rune(s[i])) {
				i++
			}
			t := token{word, s[start:i], start}
			switch t.text {
			case "and":
				t.kind = and
			case "or":
				t.kind = or
			case "not":
				t.kind = not
			}
			tokens = append(tokens, t)
		}
	}
	return append(tokens, token{end, "", len(s)}), nil
}
