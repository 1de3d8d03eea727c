package warden

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// number is a Python number: an int, or a float.
type number struct {
	i       int64
	f       float64
	isFloat bool
}

func intNumber(i int64) number     { return number{i: i} }
func floatNumber(f float64) number { return number{f: f, isFloat: true} }

// floatOrInt keeps whole values as ints, as fail2ban's options are.
func floatOrInt(f float64) number {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return intNumber(int64(f))
	}
	return floatNumber(f)
}

func (n number) float() float64 {
	if n.isFloat {
		return n.f
	}
	return float64(n.i)
}

func (n number) truth() bool { return n.float() != 0 }

func truth(b bool) number {
	if b {
		return intNumber(1)
	}
	return intNumber(0)
}

// expression is a parsed Python expression of numbers.
type expression struct{ root node }

type node func(env map[string]number) (number, error)

func (e *expression) evaluate(env map[string]number) (number, error) { return e.root(env) }

const (
	maxExpression = 2048 // bytes
	maxDepth      = 100
)

// parseExpression understands the part of Python's expressions that ban time formulas are made of.
func parseExpression(text string) (*expression, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("expression of %d bytes: at most %d", len(text), maxExpression)
	}
	p := &expressionParser{text: text}
	if err := p.scan(); err != nil {
		return nil, err
	}
	root, err := p.conditional(0)
	if err != nil {
		return nil, err
	}
	if p.peek() != "" {
		return nil, fmt.Errorf("expression %q: unexpected %q", text, p.peek())
	}
	return &expression{root}, nil
}

type expressionParser struct {
	text   string
	tokens []string
	at     int
}

// scan splits the text into words, numbers and operators.
func (p *expressionParser) scan() error {
	for s := strings.TrimSpace(p.text); s != ""; s = strings.TrimLeftFunc(s, unicode.IsSpace) {
		n := wordLength(s)
		if n == 0 {
			n = operatorLength(s)
		}
		if n == 0 {
			return fmt.Errorf("expression %q: cannot read %q", p.text, s)
		}
		p.tokens, s = append(p.tokens, s[:n]), s[n:]
	}
	return nil
}

// wordLength measures a name with dots or a number at the start of s.
func wordLength(s string) int {
	n := 0
	number := s[0] >= '0' && s[0] <= '9' || s[0] == '.'
	for n < len(s) {
		c := s[n]
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '.':
		case number && (c == '+' || c == '-') && n > 0 && (s[n-1] == 'e' || s[n-1] == 'E'):
		default:
			return n
		}
		n++
	}
	return n
}

func operatorLength(s string) int {
	for _, o := range [...]string{"**", "//", "<<", ">>", "<=", ">=", "==", "!="} {
		if strings.HasPrefix(s, o) {
			return 2
		}
	}
	if strings.ContainsRune("+-*/%<>(),&|^~", rune(s[0])) {
		return 1
	}
	return 0
}

func (p *expressionParser) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return ""
}

func (p *expressionParser) take(tokens ...string) string {
	for _, t := range tokens {
		if p.peek() == t {
			p.at++
			return t
		}
	}
	return ""
}

func (p *expressionParser) need(token string) error {
	if p.take(token) == "" {
		return fmt.Errorf("expression %q: expected %q, found %q", p.text, token, p.peek())
	}
	return nil
}

// conditional: or-test ["if" or-test "else" conditional]
func (p *expressionParser) conditional(depth int) (node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("expression %q: nested too deeply", p.text)
	}
	yes, err := p.binary(0, depth)
	if err != nil || p.take("if") == "" {
		return yes, err
	}
	test, err := p.binary(0, depth)
	if err != nil {
		return nil, err
	}
	if err := p.need("else"); err != nil {
		return nil, err
	}
	no, err := p.conditional(depth + 1)
	if err != nil {
		return nil, err
	}
	return func(env map[string]number) (number, error) {
		t, err := test(env)
		if err != nil {
			return t, err
		}
		if t.truth() {
			return yes(env)
		}
		return no(env)
	}, nil
}

// levels of Python's binary operators, the loosest first. Comparisons are not chained.
var levels = [...][]string{
	{"or"}, {"and"}, {"<=", ">=", "==", "!=", "<", ">"}, {"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "//", "/", "%"},
}

func (p *expressionParser) binary(level, depth int) (node, error) {
	if level == len(levels) {
		return p.unary(depth)
	}
	if level == 2 && p.take("not") != "" {
		if depth > maxDepth {
			return nil, fmt.Errorf("expression %q: nested too deeply", p.text)
		}
		operand, err := p.binary(level, depth+1)
		if err != nil {
			return nil, err
		}
		return func(env map[string]number) (number, error) {
			v, err := operand(env)
			return truth(!v.truth()), err
		}, nil
	}
	left, err := p.binary(level+1, depth)
	if err != nil {
		return nil, err
	}
	for {
		op := p.take(levels[level]...)
		if op == "" {
			return left, nil
		}
		right, err := p.binary(level+1, depth)
		if err != nil {
			return nil, err
		}
		left = apply(op, left, right)
	}
}

func apply(op string, left, right node) node {
	return func(env map[string]number) (number, error) {
		a, err := left(env)
		if err != nil {
			return a, err
		}
		if op == "or" && a.truth() || op == "and" && !a.truth() {
			return a, nil
		}
		b, err := right(env)
		if err != nil {
			return b, err
		}
		return operate(op, a, b)
	}
}

// unary: ("-" | "+" | "~") unary | power
func (p *expressionParser) unary(depth int) (node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("expression %q: nested too deeply", p.text)
	}
	op := p.take("-", "+", "~")
	if op == "" {
		return p.power(depth)
	}
	operand, err := p.unary(depth + 1)
	if err != nil {
		return nil, err
	}
	return func(env map[string]number) (number, error) {
		v, err := operand(env)
		switch {
		case err != nil || op == "+":
			return v, err
		case op == "~":
			if v.isFloat {
				return v, errors.New("~ of a float")
			}
			return intNumber(^v.i), nil
		}
		return operate("-", intNumber(0), v)
	}, nil
}

// power: atom ["**" unary]
func (p *expressionParser) power(depth int) (node, error) {
	base, err := p.atom(depth)
	if err != nil || p.take("**") == "" {
		return base, err
	}
	exponent, err := p.unary(depth + 1)
	if err != nil {
		return nil, err
	}
	return apply("**", base, exponent), nil
}

func (p *expressionParser) atom(depth int) (node, error) {
	t := p.peek()
	p.at++
	switch {
	case t == "":
		return nil, fmt.Errorf("expression %q: ends too early", p.text)
	case t == "(":
		inner, err := p.conditional(depth + 1)
		if err != nil {
			return nil, err
		}
		return inner, p.need(")")
	case t[0] >= '0' && t[0] <= '9' || t[0] == '.':
		if i, err := strconv.ParseInt(t, 10, 64); err == nil {
			return constant(intNumber(i)), nil
		}
		f, err := strconv.ParseFloat(t, 64)
		if err != nil {
			return nil, fmt.Errorf("expression %q: %q is no number", p.text, t)
		}
		return constant(floatNumber(f)), nil
	case p.take("(") != "":
		return p.call(t, depth)
	}
	switch t {
	case "math.pi":
		return constant(floatNumber(math.Pi)), nil
	case "math.e":
		return constant(floatNumber(math.E)), nil
	case "True", "False":
		return constant(truth(t == "True")), nil
	case "ban.Time", "ban.Count", "banFactor":
		return func(env map[string]number) (number, error) {
			v, ok := env[t]
			if !ok {
				return v, fmt.Errorf("%s is not known here", t)
			}
			return v, nil
		}, nil
	}
	return nil, fmt.Errorf("expression %q: %q is not known: expected ban.Time, ban.Count, banFactor, a number or a function of math", p.text, t)
}

func constant(n number) node {
	return func(map[string]number) (number, error) { return n, nil }
}

func (p *expressionParser) call(name string, depth int) (node, error) {
	var args []node
	for p.peek() != ")" {
		a, err := p.conditional(depth + 1)
		if err != nil {
			return nil, err
		}
		if args = append(args, a); p.take(",") == "" {
			break
		}
	}
	if err := p.need(")"); err != nil {
		return nil, err
	}
	f := function(name)
	if f.call == nil {
		return nil, fmt.Errorf("expression %q: function %q is not known", p.text, name)
	}
	if len(args) < f.least || len(args) > f.most {
		return nil, fmt.Errorf("expression %q: %s takes %d to %d values, not %d", p.text, name, f.least, f.most, len(args))
	}
	return func(env map[string]number) (number, error) {
		values := make([]number, len(args))
		for i, a := range args {
			v, err := a(env)
			if err != nil {
				return v, err
			}
			values[i] = v
		}
		return f.call(values)
	}, nil
}
