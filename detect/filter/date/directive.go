// Package date finds and reads the time stamps of log lines, in fail2ban's datepattern dialect: strptime directives inside
// a regular expression, a list of default formats, and a detector that puts the formats a log uses to the front.
// The usual formats are read by hand; the patterns stay the reference that tests compare them with.
package date

import (
	"fmt"
	"strings"
)

const (
	zoneOffset = `Z|UTC|GMT|[+-][01]\d(?::?\d{2})?`
	zoneName   = `Z|[A-Z]{3,5}`
	// zoneAbbreviation takes the letters of military zones as well.
	zoneAbbreviation = `[A-Z](?:[A-Z]{2,4})?`
	months           = `jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec`
	monthsLong       = `january|february|march|april|may|june|july|august|september|october|november|december`
	days             = `mon|tue|wed|thu|fri|sat|sun`
	daysLong         = `monday|tuesday|wednesday|thursday|friday|saturday|sunday`
)

// directive expands what stands after a percent sign. fold says that it holds words, so that case must not matter.
func directive(name string, decades string) (regex string, fold, ok bool) {
	group := func(name, body string) string { return "(?P<" + name + ">" + body + ")" }
	switch name {
	case "%":
		return "%", false, true
	case "Y":
		return group("Y", `\d{4}`), false, true
	case "y", "Exy":
		return group("y", `\d{2}`), false, true
	case "m":
		return group("m", `0?[1-9]|1[0-2]`), false, true
	case "d":
		return group("d", `[1-2]\d|[0 ]?[1-9]|3[0-1]`), false, true
	case "H":
		return group("H", `[0-1]?\d|2[0-3]`), false, true
	case "I":
		return group("I", `1[0-2]|0[1-9]|[1-9]`), false, true
	case "k":
		return ` ?` + group("H", `[0-2]?\d`), false, true
	case "l":
		return ` ?` + group("I", `1?\d`), false, true
	case "M":
		return group("M", `[0-5]?\d`), false, true
	case "S":
		return group("S", `[0-5]?\d|6[0-1]`), false, true
	case "f":
		return group("f", `[0-9]{1,6}`), false, true
	case "j":
		return group("j", `36[0-6]|3[0-5]\d|[1-2]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|0[1-9]|[1-9]`), false, true
	case "U", "W":
		return group(name, `5[0-3]|[0-4]\d|\d`), false, true
	case "w":
		return group("w", `[0-6]`), false, true
	case "z":
		return group("z", zoneOffset), false, true
	case "Z":
		return group("Z", zoneName), false, true
	case "a":
		return group("a", days), true, true
	case "A":
		return group("A", daysLong), true, true
	case "b", "h":
		return group("b", months), true, true
	case "B":
		return group("B", monthsLong), true, true
	case "p":
		return group("p", `am|pm`), true, true
	case "ExY":
		return group("Y", decades+`\d`), false, true
	case "Exm":
		return group("m", `0[1-9]|1[0-2]`), false, true
	case "Exd":
		return group("d", `[1-2]\d|0[1-9]|3[0-1]`), false, true
	case "ExH":
		return group("H", `[0-1]\d|2[0-3]`), false, true
	case "Exk":
		return ` ?` + group("H", `[0-1]?\d|2[0-3]`), false, true
	case "Exl":
		return ` ?` + group("I", `1[0-2]|\d`), false, true
	case "ExM":
		return group("M", `[0-5]\d`), false, true
	case "ExS":
		return group("S", `[0-5]\d|6[0-1]`), false, true
	case "Exz":
		return group("z", `(?:`+zoneAbbreviation+`)?[+-][01]\d(?::?\d{2})?|`+zoneAbbreviation), false, true
	case "ExZ":
		return group("Z", zoneAbbreviation), false, true
	}
	return "", false, false
}

var compound = map[string]string{ // in the C locale
	"c": `%a %b %d %H:%M:%S %Y`, "x": `%m/%d/%y`, "X": `%H:%M:%S`, "T": `%H:%M:%S`, "D": `%m/%d/%y`, "F": `%Y-%m-%d`, "R": `%H:%M`,
}

// expand replaces all directives of a pattern.
func expand(pattern, decades string) (regex string, fold bool, err error) {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '%' {
			b.WriteByte(pattern[i])
			continue
		}
		rest := pattern[i+1:]
		name := rest[:min(1, len(rest))]
		if len(rest) >= 3 && rest[:2] == "Ex" {
			name = rest[:3]
		}
		if whole, ok := compound[name]; ok {
			inner, innerFold, err := expand(whole, decades)
			if err != nil {
				return "", false, err
			}
			fold = fold || innerFold
			b.WriteString(inner)
			i += len(name)
			continue
		}
		body, words, ok := directive(name, decades)
		if !ok {
			return "", false, fmt.Errorf("unknown directive %%%s in date pattern %q", name, pattern)
		}
		fold = fold || words
		b.WriteString(body)
		i += len(name)
	}
	return b.String(), fold, nil
}

// defaults are fail2ban's default formats, in its order. Those marked are meant for the beginning of a line only.
var defaults = []struct {
	pattern string
	begin   bool
	fast    matcher
}{
	{pattern: `%ExY(?P<_sep>[-/.])%m(?P=_sep)%d(?:T|  ?)%H:%M:%S(?:[.,]%f)?(?:\s*%z)?`, fast: matchISO},
	{pattern: `(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?`, fast: matchSyslog},
	{pattern: `(?:%a )?%b %d %ExY %k:%M:%S(?:\.%f)?`},
	{pattern: `%d(?P<_sep>[-/])%m(?P=_sep)(?:%ExY|%Exy) %k:%M:%S`},
	{pattern: `%d(?P<_sep>[-/])%b(?P=_sep)%ExY[ :]?%H:%M:%S(?:\.%f)?(?: %z)?`, fast: matchCommonLog},
	{pattern: `%m/%d/%ExY:%H:%M:%S`},
	{pattern: `%m-%d-%ExY %k:%M:%S(?:\.%f)?`},
	{pattern: `EPOCH`},
	{pattern: `{^LN-BEG}%H:%M:%S`, begin: true},
	{pattern: `^<%m/%d/%Exy@%H:%M:%S>`, begin: true},
	{pattern: `%Exy%Exm%Exd  ?%H:%M:%S`},
	{pattern: `%b %d, %ExY %I:%M:%S %p`},
	{pattern: `^%b-%d-%Exy %k:%M:%S`, begin: true},
	{pattern: `%ExY%Exm%Exd(?:T|  ?)%ExH%ExM%ExS(?:[.,]%f)?(?:\s*%z)?`},
	{pattern: `(?:%Z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?`},
	{pattern: `(?:%z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?`},
	{pattern: `TAI64N`},
}
