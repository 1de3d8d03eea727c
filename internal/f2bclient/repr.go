// Package f2bclient is how fail2ban-client talks to people: it words the answers of a server as that program does, byte for byte where
// other programs read them. It asks nobody and changes nothing.
package f2bclient

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pair is one entry of a dictionary that keeps its order.
type Pair struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// Dict is a dictionary that keeps its order.
type Dict []Pair

// Repr writes a value as Python's repr does: what JSON knows, whole numbers as int, Dict as dict.
func Repr(v any) string {
	var b strings.Builder
	repr(&b, v)
	return b.String()
}

func repr(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		if v {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case int:
		b.WriteString(strconv.Itoa(v))
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			fmt.Fprintf(b, "%.0f", v)
		} else {
			b.WriteString(strconv.FormatFloat(v, 'g', -1, 64))
		}
	case string:
		quote(b, v)
	case []string:
		list(b, len(v), func(i int) { quote(b, v[i]) })
	case []any:
		list(b, len(v), func(i int) { repr(b, v[i]) })
	case Dict:
		b.WriteByte('{')
		for i, p := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			quote(b, p.Key)
			b.WriteString(": ")
			repr(b, p.Value)
		}
		b.WriteByte('}')
	default:
		fmt.Fprint(b, v)
	}
}

func list(b *strings.Builder, n int, one func(int)) {
	b.WriteByte('[')
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		one(i)
	}
	b.WriteByte(']')
}

// quote writes a string in single quotes, or in double ones if it holds single quotes only.
func quote(b *strings.Builder, s string) {
	q := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		q = '"'
	}
	b.WriteByte(q)
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(b, `\udc%02x`, s[0])
		case r == rune(q) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(b, `\x%02x`, r)
		case r < 0x7f || unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			fmt.Fprintf(b, `\U%08x`, r)
		}
		s = s[n:]
	}
	b.WriteByte(q)
}

const (
	prettyWidth  = 1000 // of a line of Pretty
	prettyIndent = 2
)

// Pretty writes a list as Python's pprint does with lines of 1000 characters: what is longer is broken after each item.
func Pretty(v any) string {
	var b strings.Builder
	pretty(&b, v, 0, 0)
	return b.String()
}

// pretty writes v at an indentation; behind is what follows it on its last line.
func pretty(b *strings.Builder, v any, indent, behind int) {
	text := Repr(v)
	list, ok := v.([]any)
	if words, isWords := v.([]string); isWords {
		ok = true
		for _, w := range words {
			list = append(list, w)
		}
	}
	if !ok || len(list) == 0 || utf8.RuneCountInString(text) <= prettyWidth-indent-behind {
		b.WriteString(text)
		return
	}
	indent += prettyIndent
	b.WriteString("[" + strings.Repeat(" ", prettyIndent-1))
	for i, x := range list {
		if i > 0 {
			b.WriteString(",\n" + strings.Repeat(" ", indent))
		}
		after := 1
		if i == len(list)-1 {
			after = behind + 1
		}
		pretty(b, x, indent, after)
	}
	b.WriteByte(']')
}
