package date

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"pfwarden/detect/filter/pyre"
)

// Options of Compile.
type Options struct {
	// LastYear is the latest year that %ExY accepts, in whole decades; 0 stands for 2029.
	LastYear int

	timeout time.Duration // of a search by the backtracking engine; 0 = pyre.DefaultTimeout. Tests on busy machines need more
}

type family uint8

const (
	calendar family = iota
	epoch
	longEpoch
	tai64n
)

// template is one format. It is immutable.
type template struct {
	name     string // the pattern as given
	family   family
	re       *pyre.Regexp                 // without the checks of its neighbours
	bounded  func() (*pyre.Regexp, error) // with them, for the rare case that the first match fails them
	begin    bool                         // check that no word runs into it
	end      bool                         // check that it does not run into a word
	anchored bool                         // bound to the beginning or end of the line
	weight   float64
	fields   []byte // by group number: the directive's letter, 0 if none
	fast     matcher
	fastSkip int // non-word characters that the fast matcher may skip at the beginning of the line; -1: search everywhere
	quick    func(string) bool
}

const lineBegin = `^(?:\W{0,2})?`

var (
	ownGroup     = regexp.MustCompile(`(?:^|[^\\])\((?:[^?]|$)`)
	anchors      = regexp.MustCompile(`(?s)^((?:\(\?\w+\))?\^?(?:\(\?\w+\))?)(.*?)(\$?)$`)
	beginsBound  = regexp.MustCompile(`^(?:\(\?\w+\))?(?:\^|\(+(?:\?:)?\^|\*\*|\(+(?:\?:)?\*\*)`)
	beginsAnchor = regexp.MustCompile(`^(?:\(\?\w+\))?(?:\^|\(+(?:\?:)?\^)`)
	endsBound    = regexp.MustCompile(`(?:\$|\\[bs]|\*\*)\)*$`)
	endsAnchor   = regexp.MustCompile(`(?:^|[^\\])\$\)*$`)
)

// Format is a compiled list of formats. It may be shared; each log needs its own Detector.
type Format struct {
	templates []*template
}

// defaultFormat is what most filters use; it is compiled once, since a Format never changes.
var defaultFormat = sync.OnceValues(func() (*Format, error) { return compile("", Options{}) })

// Compile reads a datepattern: one pattern a line, "" for the default formats.
func Compile(pattern string, o Options) (*Format, error) {
	if pattern == "" && o == (Options{}) {
		return defaultFormat()
	}
	return compile(pattern, o)
}

func compile(pattern string, o Options) (*Format, error) {
	f := &Format{}
	c := compiler{decades: decades(o.LastYear), timeout: o.timeout, f: f}
	for line := range strings.SplitSeq(pattern, "\n") {
		if line = strings.TrimSpace(line); line == "" && strings.TrimSpace(pattern) != "" {
			continue
		}
		if err := c.line(line); err != nil {
			return nil, err
		}
		if line == "" {
			break
		}
	}
	return f, nil
}

func decades(last int) string {
	d := max(2, (last-2000)/10)
	var b strings.Builder
	for i := range min(d, 9) + 1 {
		b.WriteByte(byte('0' + i))
	}
	return "20[" + b.String() + "]"
}

type compiler struct {
	decades string
	given   []string // the descriptions of what the lines before have given
	timeout time.Duration
	f       *Format
}

// special brings the names of formats that are no patterns to capital letters, and to the one way of binding them to the line's beginning.
func special(line string) string {
	bare := strings.ToUpper(line)
	begin := strings.HasPrefix(bare, "{^LN-BEG}") || strings.HasPrefix(bare, "^")
	bare = strings.TrimPrefix(strings.TrimPrefix(bare, "{^LN-BEG}"), "^")
	switch {
	case bare != "EPOCH" && bare != "LEPOCH" && bare != "TAI64N":
		return line
	case begin:
		return "{^LN-BEG}" + bare
	}
	return bare
}

func (c *compiler) line(line string) error {
	c.given = c.given[:0]
	for _, t := range c.f.templates {
		_, name := Describe(t.name)
		c.given = append(c.given, name)
	}
	line = special(line)
	switch {
	case line == "" || strings.EqualFold(line, "{DEFAULT}"):
		for _, d := range defaults {
			if !d.begin {
				if err := c.addNew("{^LN-BEG}"+d.pattern, 100, d.fast, 2); err != nil {
					return err
				}
			}
		}
		for _, d := range defaults {
			if err := c.addNew(d.pattern, 1, d.fast, -1); err != nil {
				return err
			}
		}
		return nil
	case strings.EqualFold(line, "{^LN-BEG}"):
		for _, begin := range []bool{false, true} {
			for _, d := range defaults {
				if d.begin != begin {
					continue
				}
				pattern := d.pattern
				if !begin {
					pattern = "{^LN-BEG}" + pattern
				}
				if err := c.addNew(pattern, 100, d.fast, 2); err != nil {
					return err
				}
			}
		}
		return nil
	case strings.EqualFold(line, "{NONE}"):
		return c.add("{UNB}^", 1, nil, -1)
	case strings.Contains(line, "{DATE}"):
		for _, d := range defaults {
			inner := strings.TrimLeft(strings.TrimPrefix(d.pattern, "{^LN-BEG}"), "^")
			switch inner {
			case "EPOCH":
				inner = "{EPOCH}"
			case "TAI64N":
				inner = "{TAI64N}"
			}
			if err := c.add(strings.ReplaceAll(line, "{DATE}", inner), 1, nil, -1); err != nil {
				return err
			}
			shown := strings.Replace(strings.TrimPrefix(d.pattern, "{^LN-BEG}"), "EPOCH", "Epoch", 1)
			c.f.templates[len(c.f.templates)-1].name = strings.ReplaceAll(line, "{DATE}", shown)
		}
		return nil
	}
	weight := 1.0
	if _, name := Describe(line); name == "{^LN-BEG}Epoch" || name == "{^LN-BEG}LongEpoch" || name == "{^LN-BEG}TAI64N" {
		weight = 100 // it is one of the default ones
	}
	return c.add(line, weight, nil, -1)
}

// addNew adds one of the default formats unless a line before this one has it.
func (c *compiler) addNew(pattern string, weight float64, fast matcher, skip int) error {
	_, name := Describe(pattern)
	if slices.Contains(c.given, name) {
		return nil
	}
	return c.add(pattern, weight, fast, skip)
}

// add compiles one pattern. skip as in template.fastSkip.
func (c *compiler) add(pattern string, weight float64, fast matcher, skip int) error {
	t := &template{name: pattern, weight: weight, fast: fast, fastSkip: skip, begin: true, end: true}
	body, prefix := pattern, ""
	if strings.HasPrefix(body, "{UNB}") {
		body, t.begin, t.end = body[5:], false, false
	} else if strings.HasPrefix(body, "{^LN-BEG}") {
		body, prefix, t.begin, t.anchored = body[9:], lineBegin, false, true
	}
	regex, fold, err := c.regex(t, body)
	if err != nil {
		return err
	}
	if beginsBound.MatchString(regex) || strings.HasPrefix(body, "EPOCH") || strings.HasPrefix(body, "LEPOCH") || body == "TAI64N" {
		t.begin = false
	}
	if endsBound.MatchString(regex) {
		t.end = false
	}
	t.anchored = t.anchored || beginsAnchor.MatchString(regex) || endsAnchor.MatchString(regex)
	regex = strings.TrimSuffix(strings.TrimPrefix(regex, "**"), "**")
	if !ownGroup.MatchString(regex) {
		regex = anchors.ReplaceAllString(regex, "${1}(${2})${3}")
	}
	regex = prefix + regex
	options := pyre.Options{FoldCase: fold, Timeout: c.timeout}
	if t.re, err = pyre.Compile(regex, options); err != nil {
		return fmt.Errorf("date pattern %q: %w", pattern, err)
	}
	full := regex
	if t.begin {
		full = `(?=^|\b|\W)(?:` + full + `)`
	}
	if t.end {
		full = `(?:` + full + `)(?=\b|\W|$)`
	}
	t.bounded = sync.OnceValues(func() (*pyre.Regexp, error) { return pyre.Compile(full, options) })
	t.fields = make([]byte, len(t.re.Names()))
	for i, name := range t.re.Names() {
		if len(name) == 1 {
			t.fields[i] = name[0]
		}
	}
	t.quick = anything
	if strings.Contains(body, "%") || t.family != calendar {
		t.quick = hasDigit
	}
	if strings.Contains(body, ":%") {
		t.quick = hasClock
	}
	c.f.templates = append(c.f.templates, t)
	return nil
}

const seconds = `\d{10,11}\b(?:\.\d{3,6})?`
const longSeconds = `\d{10,11}(?:\d{3}(?:\.\d{1,6}|\d{3})?)?`

// regex expands a pattern without its {^LN-BEG} or {UNB}.
func (c *compiler) regex(t *template, body string) (regex string, fold bool, err error) {
	number := seconds
	if strings.Contains(body, "LEPOCH") {
		t.family, number = longEpoch, longSeconds
	} else if strings.Contains(body, "EPOCH") {
		t.family = epoch
	}
	switch {
	case body == "TAI64N":
		t.family = tai64n
		return `(@[0-9a-f]{24})`, false, nil
	case (body == "EPOCH" || body == "LEPOCH") && t.anchored: // after {^LN-BEG}
		return `((?P<square>(?<=^\[))?` + number + `)(?(square)(?=\]))`, false, nil
	case body == "EPOCH" || body == "LEPOCH": // at the beginning, in brackets there, or inside of an audit record's stamp
		return `((?:^|(?P<square>(?<=^\[))|(?P<audit>(?<=\baudit\()))` + number + `)(?:(?(audit)(?=:\d+\)))|(?(square)(?=\])))`, false, nil
	}
	regex, fold, err = expand(body, c.decades)
	for _, name := range []string{"{LEPOCH}", "{EPOCH}"} {
		regex = strings.ReplaceAll(regex, name, "(?P<e>"+number+")")
	}
	if strings.Contains(regex, "{TAI64N}") {
		t.family = tai64n
		regex = strings.ReplaceAll(regex, "{TAI64N}", "(?P<t>@[0-9a-f]{24})")
	}
	return regex, fold, err
}

func anything(string) bool { return true }

func hasDigit(s string) bool {
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' || s[i] >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

// hasClock reports whether a colon stands before a digit somewhere.
func hasClock(s string) bool {
	for i := 0; i+1 < len(s); i++ {
		j := strings.IndexByte(s[i:len(s)-1], ':')
		if j < 0 {
			return false
		}
		if i += j; s[i+1] >= '0' && s[i+1] <= '9' || s[i+1] >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

// search finds the template in line[from:to]; what stands before from is seen, what stands after to is not.
func (t *template) search(line string, from, to int) (found, bool) {
	text := line[:to]
	everywhere := t.fast == nil || t.fastSkip < 0
	if everywhere && !t.quick(text[from:]) {
		return found{}, false
	}
	if t.fast != nil {
		if f, verdict := t.searchFast(text, from); verdict != unsure {
			return f, verdict == yes
		}
	}
	if !everywhere && !t.quick(text[from:]) {
		return found{}, false
	}
	var groups []int
	if from == 0 {
		groups, _ = t.re.Find(text)
		if groups == nil {
			return found{}, false
		}
	}
	if from > 0 || t.begin && joined(text, groups[0]) || t.end && joined(text, groups[1]) {
		re, err := t.bounded()
		if err != nil {
			return found{}, false
		}
		if groups, _ = re.FindFrom(text, from); groups == nil {
			return found{}, false
		}
	}
	f := found{start: groups[0], end: groups[1], cut: groups[0], cutEnd: groups[0]}
	if len(groups) > 2 && groups[2] >= 0 {
		f.cut, f.cutEnd = groups[2], groups[3]
	}
	f.valid = t.read(text, groups, &f.stamp)
	return f, true
}

func (t *template) searchFast(text string, from int) (found, verdict) {
	if t.fastSkip < 0 {
		for i := from; i < len(text); i++ {
			f, v := t.fast(text, i)
			if v == unsure || v == yes && !joined(text, i) {
				return f, v
			}
		}
		return found{}, no
	}
	if from > 0 {
		return found{}, unsure
	}
	most := 0
	for most < t.fastSkip && most < len(text) && !wordByte(text[most]) {
		if text[most] >= utf8.RuneSelf {
			return found{}, unsure
		}
		most++
	}
	for skip := most; skip >= 0; skip-- {
		if f, v := t.fast(text, skip); v != no {
			f.start = 0
			return f, v
		}
	}
	return found{}, no
}

func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

// joined reports whether word characters stand on both sides of i.
func joined(s string, i int) bool {
	if i <= 0 || i >= len(s) {
		return false
	}
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	after, _ := utf8.DecodeRuneInString(s[i:])
	return wordRune(before) && wordRune(after)
}

func wordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) }
