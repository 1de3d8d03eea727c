package pyre

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// both runs the machine and the engine that was found equal to Python's re on all of fail2ban's searches.
func machineAndEngine(t *testing.T, re *Regexp, text string) (got, want []int, comparable bool) {
	t.Helper()
	if re.program == nil {
		return nil, nil, false
	}
	got, done := re.program.search(&Scratch{}, text)
	if !done {
		return nil, nil, false
	}
	want, err := re.FindFrom(text, 0)
	return got, want, err == nil
}

var machinePatterns = []string{
	`^a.*b.*c$`, `a+?b`, `(a|ab)(c|bcd)(d*)`, `(?:a|b)*c`, `(?P<x>a)?b(?(x)c|d)`, `(?!ab)\w+`, `(?:(?! from ).)*? from (\S+)`, `(?:(?!ab).)+`,
	`(?=.*b)(a+)\1`, `(['"])(.*?)\1`, `(?i)Ab[c-e]+`, `(?>a+)b`, `a++b`, `(?:x(?:y|z)?){2,3}`, `[^a-c\s]+\b`, `\Bb\S`, `(?m)^b.$`, `b\Z`, `(a)|(b)`, `((a)|b)+`, `(?:ab?){0,2}b`,
	`\d{1,3}(?:\.\d{1,3}){3}`, `(?:[0-9a-f]{1,4}::?|:){1,7}(?:[0-9a-f]{1,4}|:)`, `a.{2,3}?c`, `^$|x`, `(?:a{2}|b)??c`, `\w*a\w*`, `(?=(a|ab))\w`, `(?!(a)b)(?:a|b)`, `(.*)(\d+)`, `(?s)a.b`,
	`(?P<x>a+)?b*(?P<y>\w|.)*?(?(x)c|$)`, `((?P<x>a\w*)|\w+?)[^c]*(?(x) c|b)`, `(?:(?P<x>a)|b)*.*?(?(x)cd|.)`, `(?=(?P<x>a))?\w(?(x)c|b)`, `(?>(?P<x>a)|ab)?.(?(x)cd|b)`, `(?P<x>\w+) (?:from(?(x) 1\.2|))`,
}

var machineTexts = []string{"", "a", "abcd", "aab", "xyxzx", "ab from cd from 1.2.3.4", "'a\"b' c", "AbCdE", "b\nbx\nb\n", "1.22.333.4 x", "::1 fe80::1:2", "aXXc aaXc", "abab aba", "a\nb\n", "  bc_b- 9"}

// TestMachine: the machine finds what the engine finds, with all groups.
func TestMachine(t *testing.T) {
	t.Parallel()
	for _, pattern := range machinePatterns {
		re, err := Compile(pattern, Options{Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range machineTexts {
			got, want, ok := machineAndEngine(t, re, text)
			if !ok {
				t.Fatalf("%q is not for the machine", pattern)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q on %q (-engine +machine):\n%s", pattern, text, diff)
			}
		}
	}
}

// TestMachineGivesUp: the work of a search is bounded, and Find then answers by other means.
func TestMachineGivesUp(t *testing.T) {
	t.Parallel()
	re, err := Compile(`^(?:a+)+(?:b|a)*$`, Options{})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("a", 200) + "!"
	if _, done := re.program.search(&Scratch{}, text); done {
		t.Error("the search was not given up")
	}
	if m, err := re.Find(text); m != nil || err != nil {
		t.Errorf("found %v, %v", m, err)
	}
}

func FuzzMachine(f *testing.F) {
	for _, p := range machinePatterns {
		for _, text := range machineTexts[:6] {
			f.Add(p, text)
		}
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 60 || len(text) > 60 || !IsASCII(text) || !IsASCII(pattern) {
			t.Skip()
		}
		re, err := Compile(pattern, Options{Timeout: 100 * time.Millisecond})
		if err != nil {
			return
		}
		if got, want, ok := machineAndEngine(t, re, text); ok {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q on %q (-engine +machine):\n%s", pattern, text, diff)
			}
		}
	})
}
