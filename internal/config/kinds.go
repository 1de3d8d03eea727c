package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// kind is a type of value: how it is read from TOML and how it is written.
type kind[V any] struct {
	read func(value) (V, error)
	show func(V) string
}

// unexpected says what a value is instead of what was expected.
func unexpected(v value, want string) error {
	switch v.kind {
	case stringValue, looseValue:
		return fmt.Errorf("got %q, expected %s", v.text, want)
	case boolValue, intValue, floatValue:
		return fmt.Errorf("got %s, expected %s", v.text, want)
	case listValue:
		return fmt.Errorf("got a list, expected %s", want)
	case noValue:
		return fmt.Errorf("got a section, expected %s", want)
	default:
		return fmt.Errorf("got a date or a table, expected %s", want)
	}
}

func boolean() kind[bool] {
	return kind[bool]{
		read: func(v value) (bool, error) {
			if (v.kind == boolValue || v.kind == looseValue) && (v.text == "true" || v.text == "false") {
				return v.text == "true", nil
			}
			return false, unexpected(v, "true or false")
		},
		show: strconv.FormatBool,
	}
}

// whole is a whole number from low to high.
func whole(low, high int, unit string) kind[int] {
	want := fmt.Sprintf("a whole number of %s from %d to %d", unit, low, high)
	return kind[int]{
		read: func(v value) (int, error) {
			if v.kind != intValue && v.kind != looseValue {
				return 0, unexpected(v, want)
			}
			n, err := strconv.ParseInt(v.text, 0, 64)
			if err != nil || n < int64(low) || n > int64(high) {
				return 0, unexpected(v, want)
			}
			return int(n), nil
		},
		show: strconv.Itoa,
	}
}

// number is a number from low to high, which need not be whole.
func number(low, high float64, unit string) kind[float64] {
	want := fmt.Sprintf("a number of %s from %g to %g", unit, low, high)
	return kind[float64]{
		read: func(v value) (float64, error) {
			if v.kind != intValue && v.kind != floatValue && v.kind != looseValue {
				return 0, unexpected(v, want)
			}
			x, err := strconv.ParseFloat(strings.ReplaceAll(v.text, "_", ""), 64)
			if err != nil || !(x >= low && x <= high) {
				return 0, unexpected(v, want)
			}
			return x, nil
		},
		show: func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) },
	}
}

// duration is a time from low to high.
func duration(low, high time.Duration) kind[time.Duration] {
	return kind[time.Duration]{
		read: func(v value) (time.Duration, error) {
			if v.kind != stringValue && v.kind != looseValue {
				return 0, unexpected(v, `a duration in quotes, such as "10m" or "7d"`)
			}
			d, err := ParseDuration(v.text)
			switch {
			case err != nil:
				return 0, err
			case d < low || d > high:
				return 0, fmt.Errorf("got %q, expected a duration from %s to %s", v.text, FormatDuration(low), FormatDuration(high))
			}
			return d, nil
		},
		show: func(d time.Duration) string { return strconv.Quote(FormatDuration(d)) },
	}
}

// text is a string that check accepts; check says what was expected otherwise.
func text(check func(string) error) kind[string] {
	return kind[string]{
		read: func(v value) (string, error) {
			if v.kind != stringValue && v.kind != looseValue {
				return "", unexpected(v, "a string in quotes")
			}
			if i := strings.IndexFunc(v.text, isControl); i >= 0 {
				return "", fmt.Errorf("got %q: control characters have no place here", v.text)
			}
			return v.text, check(v.text)
		},
		show: Quote,
	}
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// oneOf is one of some words.
func oneOf(words ...string) kind[string] {
	return text(func(s string) error {
		if slices.Contains(words, s) {
			return nil
		}
		quoted := make([]string, len(words))
		for i, w := range words {
			quoted[i] = strconv.Quote(w)
		}
		err := fmt.Errorf("got %q, expected one of %s", s, strings.Join(quoted, ", "))
		if n := nearest(s, words); n != "" {
			err = fmt.Errorf("%w; did you mean %q?", err, n)
		}
		return err
	})
}

// list is a list of one kind of value. On the command line commas stand between the values.
func list[V any](k kind[V], what string) kind[[]V] {
	return kind[[]V]{
		read: func(v value) ([]V, error) {
			items := v.list
			switch {
			case v.kind == looseValue && v.text == "":
			case v.kind == looseValue:
				for s := range strings.SplitSeq(v.text, ",") {
					items = append(items, value{kind: looseValue, text: strings.TrimSpace(s), line: v.line})
				}
			case v.kind != listValue:
				return nil, unexpected(v, fmt.Sprintf("a list of %s in brackets", what))
			}
			var out []V
			var errs []error
			for _, item := range items {
				x, err := k.read(item)
				if err != nil {
					errs = append(errs, at{item.line, err})
				}
				out = append(out, x)
			}
			return out, errors.Join(errs...)
		},
		show: func(xs []V) string {
			parts := make([]string, len(xs))
			for i, x := range xs {
				parts[i] = k.show(x)
			}
			return "[" + strings.Join(parts, ", ") + "]"
		},
	}
}

// distinct refuses a value that a list holds twice.
func distinct[V comparable](k kind[[]V]) kind[[]V] {
	read := k.read
	k.read = func(v value) ([]V, error) {
		xs, err := read(v)
		if err != nil {
			return xs, err
		}
		var errs []error
		seen := make(map[V]bool, len(xs))
		for i, x := range xs {
			if seen[x] {
				line := v.line
				if i < len(v.list) {
					line = v.list[i].line
				}
				errs = append(errs, at{line, fmt.Errorf("%v is given twice", x)})
			}
			seen[x] = true
		}
		return xs, errors.Join(errs...)
	}
	return k
}

// ports is a list of port numbers.
func ports() kind[[]uint16] {
	port := whole(1, 65535, "a port")
	return distinct(list(kind[uint16]{
		read: func(v value) (uint16, error) {
			n, err := port.read(v)
			if err != nil {
				return 0, unexpected(v, "a port number from 1 to 65535")
			}
			return uint16(n), nil // port.read has bounded it
		},
		show: func(p uint16) string { return strconv.Itoa(int(p)) },
	}, "port numbers"))
}

// Quote writes s as a TOML string: a literal one where that saves escapes and can hold it, else a basic one. Bytes that are no UTF-8, which
// TOML cannot hold, become U+FFFD.
func Quote(s string) string {
	if strings.ContainsAny(s, `\"`) && !strings.ContainsFunc(s, func(r rune) bool { return r == '\'' || r == utf8.RuneError || isControl(r) }) {
		return "'" + s + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case isControl(r):
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// nearest returns the word that s was probably meant to be, "" if none is near.
func nearest(s string, words []string) string {
	if len(s) > 64 {
		return ""
	}
	best, at := "", 1+max(1, min(len(s)/3, 3))
	for _, w := range slices.SortedFunc(slices.Values(words), cmp.Compare[string]) {
		if d := distance(strings.ToLower(s), strings.ToLower(w)); d < at {
			best, at = w, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, change or swap with their neighbour that make b of a.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
