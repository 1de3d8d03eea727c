package warden

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

var errDivision = errors.New("division by zero")

// operate does what Python's operator does with two numbers. Ints that outgrow 64 bits become floats.
func operate(op string, a, b number) (number, error) {
	switch op {
	case "or", "and": // the left one did not decide
		return b, nil
	case "<":
		return truth(a.float() < b.float()), nil
	case ">":
		return truth(a.float() > b.float()), nil
	case "<=":
		return truth(a.float() <= b.float()), nil
	case ">=":
		return truth(a.float() >= b.float()), nil
	case "==":
		return truth(a.float() == b.float()), nil
	case "!=":
		return truth(a.float() != b.float()), nil
	case "/":
		if b.float() == 0 {
			return a, errDivision
		}
		return floatNumber(a.float() / b.float()), nil
	case "**":
		return power(a, b), nil
	}
	if a.isFloat || b.isFloat {
		return operateFloats(op, a.float(), b.float())
	}
	return operateInts(op, a.i, b.i)
}

func operateFloats(op string, a, b float64) (number, error) {
	switch op {
	case "+":
		return floatNumber(a + b), nil
	case "-":
		return floatNumber(a - b), nil
	case "*":
		return floatNumber(a * b), nil
	case "//", "%":
		if b == 0 {
			return number{}, errDivision
		}
		whole := math.Floor(a / b)
		if op == "//" {
			return floatNumber(whole), nil
		}
		return floatNumber(a - whole*b), nil
	}
	return number{}, fmt.Errorf("%s of floats", op)
}

func operateInts(op string, a, b int64) (number, error) {
	switch op {
	case "+":
		if s := a + b; (s > a) == (b > 0) {
			return intNumber(s), nil
		}
		return floatNumber(float64(a) + float64(b)), nil
	case "-":
		if s := a - b; (s < a) == (b > 0) {
			return intNumber(s), nil
		}
		return floatNumber(float64(a) - float64(b)), nil
	case "*":
		return multiply(a, b), nil
	case "<<", ">>":
		return shift(op, a, b)
	case "&":
		return intNumber(a & b), nil
	case "|":
		return intNumber(a | b), nil
	case "^":
		return intNumber(a ^ b), nil
	case "//", "%":
		if b == 0 {
			return number{}, errDivision
		}
		q, r := a/b, a%b
		if r != 0 && (r < 0) != (b < 0) { // Python rounds down
			q, r = q-1, r+b
		}
		if op == "//" {
			return intNumber(q), nil
		}
		return intNumber(r), nil
	}
	return number{}, fmt.Errorf("operator %s is not known", op)
}

func multiply(a, b int64) number {
	ua, ub := absolute(a), absolute(b)
	high, low := bits.Mul64(ua, ub)
	if high != 0 || low > math.MaxInt64 {
		return floatNumber(float64(a) * float64(b))
	}
	if (a < 0) != (b < 0) {
		return intNumber(-int64(low))
	}
	return intNumber(int64(low))
}

func absolute(i int64) uint64 {
	if i < 0 {
		return -uint64(i)
	}
	return uint64(i)
}

func shift(op string, a, b int64) (number, error) {
	switch {
	case b < 0:
		return number{}, errors.New("negative shift count")
	case op == ">>":
		return intNumber(a >> min(b, 63)), nil
	case a == 0 || b < 62 && a <= math.MaxInt64>>b && a >= math.MinInt64>>b:
		return intNumber(a << b), nil
	}
	return floatNumber(math.Ldexp(float64(a), int(min(b, 2000)))), nil
}

// power is exact for ints that fit.
func power(a, b number) number {
	if a.isFloat || b.isFloat || b.i < 0 {
		return floatNumber(math.Pow(a.float(), b.float()))
	}
	if p := math.Pow(float64(a.i), float64(b.i)); math.Abs(p) >= 1<<62 {
		return floatNumber(p)
	}
	result := int64(1)
	for base, e := a.i, b.i; e > 0; e >>= 1 {
		if e&1 == 1 {
			result *= base
		}
		base *= base
	}
	return intNumber(result)
}

// pythonFunc is one of Python's functions of numbers, and how many values it takes.
type pythonFunc struct {
	call        func([]number) (number, error)
	least, most int
}

// function finds one of Python's functions of numbers; its call is nil if there is none of that name.
func function(name string) pythonFunc {
	switch name {
	case "min":
		return pythonFunc{best(func(a, b float64) bool { return a < b }), 1, 64}
	case "max":
		return pythonFunc{best(func(a, b float64) bool { return a > b }), 1, 64}
	case "int", "math.trunc":
		return pythonFunc{whole(math.Trunc), 1, 1}
	case "math.floor":
		return pythonFunc{whole(math.Floor), 1, 1}
	case "math.ceil":
		return pythonFunc{whole(math.Ceil), 1, 1}
	case "round":
		return pythonFunc{whole(math.RoundToEven), 1, 1}
	case "float":
		return pythonFunc{func(v []number) (number, error) { return floatNumber(v[0].float()), nil }, 1, 1}
	case "abs":
		return pythonFunc{magnitude, 1, 1}
	case "pow":
		return pythonFunc{func(v []number) (number, error) { return power(v[0], v[1]), nil }, 2, 2}
	case "math.pow":
		return pythonFunc{func(v []number) (number, error) { return floatNumber(math.Pow(v[0].float(), v[1].float())), nil }, 2, 2}
	case "math.log":
		return pythonFunc{logarithm, 1, 2}
	}
	if f := floatFunction(name); f != nil {
		return pythonFunc{ofFloat(name, f), 1, 1}
	}
	return pythonFunc{}
}

// floatFunction finds a function of the module math that makes a float of a float; nil if there is none of that name.
func floatFunction(name string) func(float64) float64 {
	switch name {
	case "math.exp":
		return math.Exp
	case "math.sqrt":
		return math.Sqrt
	case "math.log2":
		return math.Log2
	case "math.log10":
		return math.Log10
	case "math.sin":
		return math.Sin
	case "math.cos":
		return math.Cos
	case "math.tan":
		return math.Tan
	case "math.fabs":
		return math.Abs
	}
	return nil
}

// ofFloat calls g, and reports where it has no value.
func ofFloat(name string, g func(float64) float64) func([]number) (number, error) {
	return func(v []number) (number, error) {
		r := g(v[0].float())
		if math.IsNaN(r) && !math.IsNaN(v[0].float()) {
			return number{}, fmt.Errorf("%s: value outside its domain", name)
		}
		return floatNumber(r), nil
	}
}

// whole rounds to an int by g; a float that no int can hold stays a float.
func whole(g func(float64) float64) func([]number) (number, error) {
	return func(v []number) (number, error) {
		if !v[0].isFloat {
			return v[0], nil
		}
		r := g(v[0].f)
		if math.IsNaN(r) || math.Abs(r) >= 1<<63 {
			return floatNumber(r), nil
		}
		return intNumber(int64(r)), nil
	}
}

// best gives the first of the values than which no other is better.
func best(better func(a, b float64) bool) func([]number) (number, error) {
	return func(v []number) (number, error) {
		r := v[0]
		for _, n := range v[1:] {
			if better(n.float(), r.float()) {
				r = n
			}
		}
		return r, nil
	}
}

func magnitude(v []number) (number, error) {
	if v[0].truth() && v[0].float() < 0 {
		return operate("-", intNumber(0), v[0])
	}
	return v[0], nil
}

// logarithm is the natural one, or that to the base of a second value.
func logarithm(v []number) (number, error) {
	r := math.Log(v[0].float())
	if len(v) == 2 {
		r /= math.Log(v[1].float())
	}
	if math.IsNaN(r) || math.IsInf(r, 0) {
		return number{}, errors.New("math.log: value outside its domain")
	}
	return floatNumber(r), nil
}
