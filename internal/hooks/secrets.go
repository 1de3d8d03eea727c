package hooks

import (
	"regexp"
	"slices"
	"strings"
)

// secrets are the values of an action's options that its commands may print, and nobody else may read.
type secrets []string

// secretsOf takes those options that are called something like password, token, key or the address of a web hook. What is shorter than four bytes
// would be found everywhere.
func secretsOf(options map[string]string) (list secrets) {
	called := regexp.MustCompile(`(?i)pass|secret|token|key|auth|cred|hook|url|uri`)
	for name, v := range options {
		if v = strings.Trim(v, "\"' "); len(v) >= 4 && called.MatchString(name) {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) }) // one may be part of another
	return list
}

// hide makes an error that shows none of them of one that holds what a command printed.
func (s secrets) hide(err error) error {
	if err == nil || len(s) == 0 {
		return err
	}
	text := err.Error()
	for _, v := range s {
		text = strings.ReplaceAll(text, v, "(secret)")
		for n := len(v) - 1; n >= 4; n-- { // what a command printed is cut somewhere
			if rest, ok := strings.CutSuffix(text, v[:n]); ok {
				text = rest + "(secret)"
				break
			}
		}
	}
	if text == err.Error() {
		return err
	}
	return &hidden{err, text}
}

// hidden is an error that says something else.
type hidden struct {
	error
	text string
}

func (h *hidden) Error() string { return h.text }
func (h *hidden) Unwrap() error { return h.error }
