package hooks

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// secrets are the values of an action's options that its commands may print, and nobody else may read. The longest come first, since one may be
// part of another.
type secrets []string

const (
	// leastSecret is the length in bytes from which on a value is looked for: what is shorter would be found everywhere.
	leastSecret = 4
	// anywhere is the length from which on it is no accident where a value stands within a longer word.
	anywhere = 8
	hiddenBy = "(secret)"
)

// secretsOf takes those options that are called something like password, token, key or the address of a web hook.
func secretsOf(options map[string]string) (list secrets) {
	called := secretNames()
	for name, v := range options {
		if v = strings.Trim(v, "\"' "); len(v) >= leastSecret && called(name) && !harmless(v) {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	return list
}

// secretNames tells names of options apart. Words that are hardly part of others count wherever they stand in the name, short ones at its end or between
// underscores: smtp_password, cftoken, webhook-url, but neither author nor security. What only describes a secret is none: keyfile, auth_method.
func secretNames() func(name string) bool {
	surely := regexp.MustCompile(`(?i)passw|passphrase|secret|token|apikey|api_key|credential|webhook`)
	short := regexp.MustCompile(`(?i)(pass|key|auth|cred|hook|url|uri)s?[0-9]*$|(^|[_.-])(pass|key|auth|cred|hook|url|uri)[0-9]*[_.-]`)
	describes := regexp.MustCompile(`(?i)(file|type|method|mode|length|size|bits|timeout)$`)
	return func(name string) bool {
		return !describes.MatchString(name) && (surely.MatchString(name) || short.MatchString(name))
	}
}

// harmless tells of a value that it says how something is done, or where, and not by which secret.
func harmless(v string) bool {
	switch strings.ToLower(v) {
	case "true", "false", "none", "null", "auto", "default", "basic", "digest", "plain", "login", "bearer", "input", "output", "forward", "http", "https":
		return true
	}
	u, err := url.Parse(v)
	return err == nil && u.Host != "" && u.User == nil && strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == ""
}

// cutMark ends what a command said where there was more of it.
const cutMark = " …"

// hide makes an error that shows none of them of one that holds what a command printed.
func (s secrets) hide(err error) error {
	if err == nil || len(s) == 0 {
		return err
	}
	text := err.Error()
	if head, cut := strings.CutSuffix(text, cutMark); cut {
		text = s.blotTail(head) + cutMark
	}
	for _, v := range s {
		text = blot(text, v)
	}
	if text == err.Error() {
		return err
	}
	return &hidden{err, text}
}

// blot replaces v in a text. A short one is only replaced where it is a word of its own: within another one it would be an accident, and what is left of that
// word would tell it.
func blot(text, v string) string {
	if len(v) >= anywhere {
		return strings.ReplaceAll(text, v, hiddenBy)
	}
	var b strings.Builder
	for from := 0; ; {
		at := strings.Index(text[from:], v)
		if at < 0 {
			b.WriteString(text[from:])
			return b.String()
		}
		at += from
		end := at + len(v)
		if begins(text[:at], v) && ends(v, text[end:]) {
			b.WriteString(text[from:at])
			b.WriteString(hiddenBy)
			from = end
			continue
		}
		_, size := utf8.DecodeRuneInString(text[at:])
		b.WriteString(text[from : at+size])
		from = at + size
	}
}

// begins tells whether v is the beginning of a word behind before: also behind the letter of an option, as in -psecret.
func begins(before, v string) bool {
	first, _ := utf8.DecodeRuneInString(v)
	last, size := utf8.DecodeLastRuneInString(before)
	if !inWord(first) || !inWord(last) || size == 0 {
		return true
	}
	rest := before[:len(before)-size]
	if !strings.HasSuffix(rest, "-") {
		return false
	}
	far, _ := utf8.DecodeLastRuneInString(rest[:len(rest)-1])
	return !inWord(far)
}

// ends tells whether v is the end of a word before after.
func ends(v, after string) bool {
	last, _ := utf8.DecodeLastRuneInString(v)
	first, size := utf8.DecodeRuneInString(after)
	return size == 0 || !inWord(last) || !inWord(first)
}

func inWord(r rune) bool {
	return r == '_' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// blotTail replaces the beginning of a secret at the end of a text that was cut.
func (s secrets) blotTail(text string) string {
	for _, v := range s {
		for n := len(v) - 1; n >= leastSecret; n-- {
			if head, ok := strings.CutSuffix(text, v[:n]); ok {
				return head + hiddenBy
			}
		}
	}
	return text
}

// hidden is an error that says something else.
type hidden struct {
	error
	text string
}

func (h *hidden) Error() string { return h.text }
func (h *hidden) Unwrap() error { return h.error }
