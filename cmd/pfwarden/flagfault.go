package main

import (
	"errors"
	"strconv"
	"strings"
)

// flagFault says what is wrong with a flag; where its value is no number, in words instead of the name of the function that read it.
func flagFault(err error) string {
	var number *strconv.NumError
	if !errors.As(err, &number) {
		return err.Error()
	}
	want := "a number"
	switch number.Func {
	case "ParseInt", "Atoi":
		want = "a whole number"
	case "ParseUint":
		want = "a whole number, not below 0"
	case "ParseBool":
		want = "true or false"
	}
	if errors.Is(number, strconv.ErrRange) {
		return strings.Replace(err.Error(), number.Error(), "out of range", 1)
	}
	return strings.Replace(err.Error(), number.Error(), "expected "+want, 1)
}
