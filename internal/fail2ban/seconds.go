package fail2ban

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// units are fail2ban's, in the order in which it looks for them; a unit must stand after a digit or white space.
var units = []struct {
	re     *regexp.Regexp
	factor string
}{
	{regexp.MustCompile(`(?i)([\d\s])(?:years?|yea?|yy?)\b`), "31557600.0"},
	{regexp.MustCompile(`(?i)([\d\s])(?:months?|mon?)\b`), "2629800.0"},
	{regexp.MustCompile(`(?i)([\d\s])(?:weeks?|wee?|ww?)\b`), "604800"},
	{regexp.MustCompile(`(?i)([\d\s])(?:days?|da|dd?)\b`), "86400"},
	{regexp.MustCompile(`(?i)([\d\s])(?:hours?|hou?|hh?)\b`), "3600"},
	{regexp.MustCompile(`(?i)([\d\s])(?:minutes?|min?|mm?)\b`), "60"},
	{regexp.MustCompile(`(?i)([\d\s])(?:seconds?|sec?|ss?)\b`), "1"},
}

var (
	unitThenDigit = regexp.MustCompile(`([a-zA-Z])(\d)`)
	digitGap      = regexp.MustCompile(`(\d)\s+(\d)`)
)

// Seconds evaluates a time expression such as "1d 12h", "60*60" or "1y-6mo". Negative means for ever.
func Seconds(s string) (float64, error) {
	if len(s) > 1000 {
		return 0, fmt.Errorf("time expression of %d characters, expected at most 1000", len(s))
	}
	text := unitThenDigit.ReplaceAllString(s, "$1 $2")
	for _, u := range units {
		text = u.re.ReplaceAllString(text, "${1}*"+u.factor)
	}
	for digitGap.MatchString(text) {
		text = digitGap.ReplaceAllString(text, "$1+$2")
	}
	v, err := evaluate(text)
	if err != nil {
		return 0, fmt.Errorf("time expression %q: %w", s, err)
	}
	return v, nil
}

// evaluate computes an expression of numbers, + - * / // % ** and parentheses.
func evaluate(s string) (float64, error) {
	p := &expression{rest: s}
	v, err := p.sum(0)
	if err != nil {
		return 0, err
	}
	if p.peek(); p.rest != "" {
		return 0, fmt.Errorf("unexpected %s", quoteCut(p.rest))
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, errors.New("no finite number")
	}
	return v, nil
}

type expression struct{ rest string }

func (p *expression) peek() byte {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n\v\f")
	if p.rest == "" {
		return 0
	}
	return p.rest[0]
}

func (p *expression) sum(depth int) (float64, error) {
	v, err := p.product(depth)
	for err == nil {
		op := p.peek()
		if op != '+' && op != '-' {
			return v, nil
		}
		p.rest = p.rest[1:]
		var w float64
		if w, err = p.product(depth); op == '-' {
			w = -w
		}
		v += w
	}
	return v, err
}

func (p *expression) product(depth int) (float64, error) {
	v, err := p.factor(depth)
	for err == nil {
		op := p.peek()
		if op != '*' && op != '/' && op != '%' || strings.HasPrefix(p.rest, "**") {
			return v, nil
		}
		floor := strings.HasPrefix(p.rest, "//")
		p.rest = p.rest[1:]
		if floor {
			p.rest = p.rest[1:]
		}
		var w float64
		if w, err = p.factor(depth); err != nil {
			break
		}
		switch {
		case op == '*':
			v *= w
		case w == 0:
			return 0, errors.New("division by zero")
		case op == '%':
			v -= w * math.Floor(v/w)
		case floor:
			v = math.Floor(v / w)
		default:
			v /= w
		}
	}
	return v, err
}

func (p *expression) factor(depth int) (float64, error) {
	if depth > 50 {
		return 0, errors.New("nested too deeply")
	}
	switch c := p.peek(); {
	case c == '-' || c == '+':
		p.rest = p.rest[1:]
		v, err := p.factor(depth + 1)
		if c == '-' {
			v = -v
		}
		return v, err
	case c == '(':
		p.rest = p.rest[1:]
		v, err := p.sum(depth + 1)
		if err == nil && p.peek() != ')' {
			err = errors.New("missing )")
		}
		if err != nil {
			return 0, err
		}
		p.rest = p.rest[1:]
		return p.power(v, depth)
	case c >= '0' && c <= '9' || c == '.':
		end := 0
		for end < len(p.rest) && (p.rest[end] >= '0' && p.rest[end] <= '9' || p.rest[end] == '.') {
			end++
		}
		v, err := strconv.ParseFloat(p.rest[:end], 64)
		if err != nil {
			return 0, fmt.Errorf("bad number %s", quoteCut(p.rest[:end]))
		}
		p.rest = p.rest[end:]
		return p.power(v, depth)
	case c == 0:
		return 0, errors.New("ends too early")
	}
	return 0, fmt.Errorf("unexpected %s", quoteCut(p.rest))
}

func (p *expression) power(v float64, depth int) (float64, error) {
	p.peek()
	if !strings.HasPrefix(p.rest, "**") {
		return v, nil
	}
	p.rest = p.rest[2:]
	w, err := p.factor(depth + 1)
	return math.Pow(v, w), err
}
