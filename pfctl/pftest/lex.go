package pftest

import (
	"maps"
	"strings"
)

// token is one word of a rules file. Tables (<name>) and quoted strings are single tokens, and so is the end of a line.
type token struct {
	text   string
	quoted bool
	table  bool
	line   int
}

const endOfLine = "\n"

// lex splits a rules file. Comments go, a backslash joins lines, macros are replaced; those of given cannot be defined again. defined lists
// what -v prints of macros.
func lex(text string, given map[string]string) (out []token, defined []string, bad *syntaxError) {
	macros := map[string]string{}
	maps.Copy(macros, given)
	line := 1
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text) && text[i+1] == '\n':
			i += 2
			line++
		case c == '\n':
			var def string
			if out, def = defineMacro(append(out, token{text: endOfLine, line: line}), macros, given); def != "" {
				defined = append(defined, def)
			}
			line++
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case c == '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case c == '"':
			end := strings.IndexByte(text[i+1:], '"')
			if end < 0 {
				return nil, nil, &syntaxError{line, "syntax error"}
			}
			out = append(out, token{text: text[i+1 : i+1+end], quoted: true, line: line})
			line += strings.Count(text[i+1:i+1+end], "\n")
			i += end + 2
		case c == '<' || c == '>':
			n, t := lexAngle(text[i:])
			t.line = line
			out = append(out, t)
			i += n
		case c == '!' && strings.HasPrefix(text[i:], "!="):
			out = append(out, token{text: "!=", line: line})
			i += 2
		case strings.IndexByte("{}(),=!", c) >= 0:
			out = append(out, token{text: string(c), line: line})
			i++
		case c == '$':
			n := wordLen(text[i+1:])
			value, known := macros[text[i+1:i+1+n]]
			if !known {
				return nil, nil, &syntaxError{line, "macro '" + text[i+1:i+1+n] + "' not defined"}
			}
			sub, _, bad := lex(value, nil)
			if bad != nil {
				return nil, nil, &syntaxError{line, "syntax error"}
			}
			for _, t := range sub {
				t.line = line
				out = append(out, t)
			}
			i += 1 + n
		default:
			n := wordLen(text[i:])
			if n == 0 {
				return nil, nil, &syntaxError{line, "syntax error"}
			}
			out = append(out, token{text: text[i : i+n], line: line})
			i += n
		}
	}
	out, def := defineMacro(out, macros, given)
	if def != "" {
		defined = append(defined, def)
	}
	return out, defined, nil
}

// lexAngle reads <table>, or an operator of ports.
func lexAngle(s string) (int, token) {
	if s[0] == '<' {
		if end := strings.IndexByte(s, '>'); end > 1 && wordLen(s[1:end]) == end-1 {
			return end + 1, token{text: s[1:end], table: true}
		}
	}
	for _, op := range []string{"<>", "><", "<=", ">="} {
		if strings.HasPrefix(s, op) {
			return 2, token{text: op}
		}
	}
	return 1, token{text: s[:1]}
}

func wordLen(s string) int {
	n := strings.IndexAny(s, " \t\r\n{}()<>=!,\"#$\\")
	if n < 0 {
		return len(s)
	}
	return n
}

// defineMacro takes a finished line of the form name = "value" out of the tokens.
func defineMacro(ts []token, macros, given map[string]string) (rest []token, defined string) {
	end := len(ts)
	if end > 0 && ts[end-1].text == endOfLine && !ts[end-1].quoted {
		end--
	}
	start := end
	for start > 0 && !(ts[start-1].text == endOfLine && !ts[start-1].quoted) {
		start--
	}
	if end-start < 3 || ts[start+1].text != "=" || ts[start].quoted {
		return ts, ""
	}
	var words []string
	for _, t := range ts[start+2 : end] {
		words = append(words, t.text)
	}
	name, value := ts[start].text, strings.Join(words, " ")
	if _, fixed := given[name]; !fixed {
		macros[name] = value
	}
	return ts[:start], name + " = \"" + value + "\""
}
