package pftest

import "strings"

// token is one word of a rules file. Tables (<name>) and quoted strings are single tokens, and so is the end of a line.
type token struct {
	text   string
	quoted bool
	table  bool
	line   int
}

const endOfLine = "\n"

// lex splits a rules file. Comments go, a backslash joins lines, macros are replaced. ok is false where a quote does not end.
func lex(text string) (out []token, badLine int) {
	macros := map[string]string{}
	line := 1
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text) && text[i+1] == '\n':
			i += 2
			line++
		case c == '\n':
			out = defineMacro(append(out, token{text: endOfLine, line: line}), macros)
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
				return nil, line
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
				return nil, line
			}
			sub, bad := lex(value)
			if bad != 0 {
				return nil, line
			}
			for _, t := range sub {
				t.line = line
				out = append(out, t)
			}
			i += 1 + n
		default:
			n := wordLen(text[i:])
			if n == 0 {
				return nil, line
			}
			out = append(out, token{text: text[i : i+n], line: line})
			i += n
		}
	}
	return defineMacro(out, macros), 0
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
func defineMacro(ts []token, macros map[string]string) []token {
	end := len(ts)
	if end > 0 && ts[end-1].text == endOfLine && !ts[end-1].quoted {
		end--
	}
	start := end
	for start > 0 && !(ts[start-1].text == endOfLine && !ts[start-1].quoted) {
		start--
	}
	if end-start < 3 || ts[start+1].text != "=" || ts[start].quoted {
		return ts
	}
	var words []string
	for _, t := range ts[start+2 : end] {
		words = append(words, t.text)
	}
	macros[ts[start].text] = strings.Join(words, " ")
	return ts[:start]
}
