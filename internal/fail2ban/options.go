package fail2ban

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// pair is one option given in brackets.
type pair struct{ key, value string }

// extractOptions takes "name[key=value, key="value"][key='value']" apart. The last of two equal keys wins.
func extractOptions(s string) (name string, given []pair, err error) {
	open := strings.IndexByte(s, '[')
	if open < 0 {
		return s, nil, nil
	}
	body := strings.TrimRightFunc(s, unicode.IsSpace)
	if open == 0 || !strings.HasSuffix(body, "]") || len(body) < open+2 {
		return "", nil, errors.New("unexpected option syntax")
	}
	name, body = s[:open], body[open+1:len(body)-1]
	set := func(key, value string) {
		for i := range given {
			if given[i].key == key {
				given[i].value = value
				return
			}
		}
		given = append(given, pair{key, value})
	}
	for at := 0; at < len(body); {
		rest := body[at:]
		if strings.TrimLeftFunc(strings.TrimPrefix(rest, ","), unicode.IsSpace) == "" {
			break
		}
		lead := len(rest) - len(strings.TrimLeftFunc(rest, unicode.IsSpace))
		keyLen := 0
		for keyLen < len(rest)-lead && isKeyByte(rest[lead+keyLen]) {
			keyLen++
		}
		keyLen += conditionLen(rest[lead+keyLen:])
		if keyLen == 0 || lead+keyLen >= len(rest) || rest[lead+keyLen] != '=' {
			return "", nil, fmt.Errorf("expected option, wrong syntax at %d: %s", at, rest)
		}
		key := rest[lead : lead+keyLen]
		value, used := bracketValue(rest[lead+keyLen+1:])
		set(key, strings.TrimSpace(value))
		at += lead + keyLen + 1 + used
		sep, ok := separator(body[at:])
		if !ok {
			return "", nil, fmt.Errorf("unexpected syntax at %d after option '%s': %s", at, key, body[at:])
		}
		at += sep
	}
	return name, given, nil
}

// BracketOptions reads the options of "name[key=value, …]".
func BracketOptions(s string) (map[string]string, error) {
	_, given, err := extractOptions(s)
	if err != nil {
		return nil, err
	}
	out := make(map[string]string, len(given))
	for _, p := range given {
		out[p.key] = p.value
	}
	return out, nil
}

// conditionLen is the length of the "?family=inet6" of a conditional option.
func conditionLen(s string) int {
	if s == "" || s[0] != '?' {
		return 0
	}
	at := 1
	for at < len(s) && isKeyByte(s[at]) {
		at++
	}
	if at == 1 || at >= len(s) || s[at] != '=' {
		return 0
	}
	from := at + 1
	for at = from; at < len(s) && isKeyByte(s[at]); {
		at++
	}
	if at == from || at >= len(s) || s[at] != '=' {
		return 0
	}
	return at
}

// isKeyByte tells what may stand in a key.
func isKeyByte(c byte) bool {
	return c == '_' || c == '-' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// bracketValue reads a quoted value, or one up to a comma or bracket, and says how many bytes it took.
func bracketValue(s string) (value string, used int) {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		if end := strings.IndexByte(s[1:], s[0]); end >= 0 {
			return s[1 : 1+end], end + 2
		}
	}
	if end := strings.IndexAny(s, ",]"); end >= 0 {
		return s[:end], end
	}
	return s, len(s)
}

// separator accepts the end, a comma, or "][" with white space between.
func separator(s string) (used int, ok bool) {
	switch {
	case s == "":
		return 0, true
	case s[0] == ',':
		return 1, true
	case s[0] == ']':
		rest := strings.TrimLeftFunc(s[1:], unicode.IsSpace)
		if strings.HasPrefix(rest, "[") {
			return len(s) - len(rest) + 1, true
		}
	}
	return 0, false
}

// splitWithOptions splits a list of "name[options]" on white space that stands outside brackets.
func splitWithOptions(s string) []string {
	var out []string
	for at := 0; at < len(s); {
		if isSpace(s[at]) {
			at++
			continue
		}
		end := at
		for end < len(s) && !isSpace(s[end]) && s[end] != '[' {
			end++
		}
		if closed, ok := bracketGroup(s, end); ok && end > at {
			end = closed
		} else {
			for end < len(s) && !isSpace(s[end]) {
				end++
			}
		}
		out = append(out, s[at:end])
		at = end
	}
	return out
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\v' || c == '\f'
}

// bracketGroup finds the end of one or more option groups that begin, perhaps after white space, at a position.
func bracketGroup(s string, at int) (end int, ok bool) {
	for at < len(s) && isSpace(s[at]) {
		at++
	}
	if at >= len(s) || s[at] != '[' {
		return 0, false
	}
	at++
	for at < len(s) {
		switch c := s[at]; {
		case c == ']':
			if next, more := bracketGroup(s, at+1); more {
				return next, true
			}
			return at + 1, true
		case c == '=' && at+1 < len(s) && (s[at+1] == '"' || s[at+1] == '\''):
			close := strings.IndexByte(s[at+2:], s[at+1])
			if close < 0 {
				at += 2
				continue
			}
			at += close + 3
		default:
			at++
		}
	}
	return 0, false
}

// splitWords splits on white space and commas; with comments, "#" and ";" at the start of a line or after white space begin one.
func splitWords(s string, comments bool) []string {
	if comments {
		lines := strings.Split(s, "\n")
		for i, line := range lines {
			for at := range line {
				if (line[at] == '#' || line[at] == ';') && (at == 0 || isSpace(line[at-1])) {
					lines[i] = line[:at]
					break
				}
			}
		}
		s = strings.Join(lines, "\n")
	}
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}
