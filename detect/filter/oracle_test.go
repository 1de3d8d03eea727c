package filter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/capture"
)

// oracleDefinitions cover what the literal pass could get wrong: alternations, case, classes, optional parts, Unicode,
// patterns without any literal, prefixes, look-arounds.
func oracleDefinitions() []Definition {
	return []Definition{
		{Failregex: []string{`^ \S+ sshd\[\d+\]: Failed (?:password|none) for (?:invalid user )?<F-USER>.*</F-USER> from <ADDR> port \d+ ssh2$`, `Invalid user \S* from <HOST>$`}},
		{Prefregex: `^ \S+ (?:app|sshd)\[\d+\]: <F-CONTENT>.+</F-CONTENT>$`, Failregex: []string{`^[Ff]ailed .* from <ADDR>`, `^(?i)KICK <HOST>`, `^\d+ <ADDR>$`}, Ignoreregex: []string{`root`}},
		{Failregex: []string{`(?i)straße <HOST>`, `K\w+ <ADDR>`, `^\W?<IP4>\b`, `user (?!root)\w+ .*<ADDR>`, `a{0,3}bc*d <ADDR>`}},
		{Prefregex: `^ \S+ <F-MLFID>sshd\[\d+\]</F-MLFID>: <F-CONTENT>.+</F-CONTENT>$`, Failregex: []string{`^<F-NOFAIL>Connection</F-NOFAIL> from <ADDR>`, `^Failed password`, `^<F-MLFFORGET>bye</F-MLFFORGET>`}},
		{Failregex: []string{`(?:one|two|three|four) <ADDR>`, `x(?:y|) <ADDR>`, `\[<F-USER>[^\]]*</F-USER>\] <ADDR>`, `^\s*$|<ADDR>x`}, Loginregex: []string{`^ \S+ sshd\[\d+\]: Accepted \S+ for <F-USER>.*</F-USER> from <ADDR>`}},
		{Prefregex: `^ \S+ <F-MLFID>sshd\[\d+\]</F-MLFID>: <F-CONTENT>.+</F-CONTENT>$`, Failregex: []string{`^<F-MLFFORGET><F-MLFGAINED>Accepted \w+</F-MLFGAINED></F-MLFFORGET>.* <ADDR>`,
			`^<F-NOFAIL><F-MLFFORGET>(?:bye|Connection)</F-MLFFORGET></F-NOFAIL>(?: for <F-USER>\w+</F-USER>)?(?: from <ADDR>)?`, `^(?:Failed|Invalid) .*user <F-USER>\w+</F-USER>(?:.* <ADDR>)?`}},
		{Prefregex: `^<F-MLFID>\s*(?:\S+\s+)?(?:sshd\[\d+\]:\s+)?</F-MLFID>(?:error: )?<F-CONTENT>.+</F-CONTENT>$`, Failregex: []string{`^<F-MLFFORGET><F-MLFGAINED>Accepted \w+</F-MLFGAINED></F-MLFFORGET>.* <ADDR>`,
			`^<F-NOFAIL><F-MLFFORGET>(?:bye|Connection)</F-MLFFORGET></F-NOFAIL>(?: for <F-USER>\w+</F-USER>)?(?: from <ADDR>)?`, `^(?:Failed|Invalid) .*user <F-USER>\w+</F-USER>(?:.* <ADDR>)?`}},
		{MaxLines: 3, Failregex: []string{`begin (?P<__k>\d+)<SKIPLINES>.*end (?P=__k) <ADDR>`}},
	}
}

var oracleWords = []string{"Failed", "failed", "FAILED", "password", "for", "invalid", "user", "root", "from", "port", "22", "ssh2", "1.2.3.4", "192.0.2.7",
	"2001:db8::1", "sshd[12]:", "app[7]:", "host", "KICK", "kick", "\u212aick", "straße", "STRASSE", "ſtraße", "Connection", "bye", "one", "three", "x", "xy", "begin 5", "end 5", "[bob]",
	"bc", "aabcd", "Accepted", "publickey", "\xff\xfe", "é", "\t", "\v", "Invalid", "example.com", "%", "12"}

func compileAll(t testing.TB, defs []Definition, o Options) []*Filter {
	t.Helper()
	var out []*Filter
	for i, d := range defs {
		f, err := Compile(d, o)
		if err != nil {
			t.Fatalf("definition %d: %v", i, err)
		}
		out = append(out, f)
	}
	return out
}

func collect(s *Set, line string, now time.Time) []string {
	var out []string
	s.Match(capture.Line{Text: line, Number: 1}, now, func(jail int, c Candidate) {
		out = append(out, fmt.Sprint(jail, " ", c.Regex, c.Login, c.ID, c.Host, c.Addr, c.Time.Unix(), c.Lines, c.Fields, c.Lists))
	})
	return out
}

func TestLiteralPassChangesNothing(t *testing.T) {
	t.Parallel()
	o := Options{Location: time.UTC, Year: 2026}
	fast := NewSet(compileAll(t, oracleDefinitions(), o))
	exhaustive := o
	exhaustive.Exhaustive = true
	slow := NewSet(compileAll(t, oracleDefinitions(), exhaustive))
	rng := rand.New(rand.NewPCG(1, 2))
	now := time.Date(2026, 11, 22, 15, 20, 0, 0, time.UTC)
	matched := 0
	for range 4_000 {
		words := []string{"Nov 22 15:20:08"}
		if rng.IntN(4) > 0 {
			words = append(words, "host", []string{"sshd[12]:", "app[7]:", "sshd[13]:"}[rng.IntN(3)])
		}
		for range rng.IntN(9) {
			words = append(words, oracleWords[rng.IntN(len(oracleWords))])
		}
		line := strings.Join(words, " ")
		got, want := collect(fast, line, now), collect(slow, line, now)
		if len(want) > 0 {
			matched++
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q (-all regexes +literal pass):\n%s", line, cmp.Diff(want, got))
		}
	}
	if matched < 300 {
		t.Errorf("only %d of the lines matched: the test shows little", matched)
	}
}

func FuzzSetMatch(f *testing.F) {
	for i := range oracleWords {
		f.Add("Nov 22 15:20:08 host sshd[12]: " + strings.Join(oracleWords[i:], " "))
	}
	f.Add("2026-11-22T15:20:08.1+01:00 host sshd[12]: Failed password for \xff from 1.2.3.4 port 2 ssh2")
	f.Add("\x00[] 1.2.3.4")
	o := Options{Location: time.UTC, Year: 2026, MatchTimeout: time.Second}
	now := time.Date(2026, 11, 22, 15, 20, 0, 0, time.UTC)
	exhaustive := o
	exhaustive.Exhaustive = true
	one, two := compileAll(f, oracleDefinitions(), o), compileAll(f, oracleDefinitions(), exhaustive)
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\n") || len(line) > 300 { // the twin backtracks over all of it
			t.Skip()
		}
		for _, flt := range slices.Concat(one, two) { // the same line must always do the same
			flt.memory, flt.buffer = memory{}, nil
		}
		fast, slow := NewSet(one), NewSet(two)
		for range 2 {
			if got, want := collect(fast, line, now), collect(slow, line, now); !slices.Equal(got, want) {
				t.Fatalf("%q (-all regexes +literal pass):\n%s", line, cmp.Diff(want, got))
			}
		}
	})
}

func FuzzTags(f *testing.F) {
	for _, s := range []string{"<HOST>", "<F-USER>x</F-USER> <ADDR>", "</F-USER>", "<F-ID/> <F-user>", "<SKIPLINES><SKIPLINES>", "<F-A-B>x</F-A-B><IP4>", "<SUBNET>", "<F-<HOST>>", "((?i)x)<DNS>"} {
		f.Add(s, "Nov 22 15:20:08 1.2.3.4 x")
	}
	f.Fuzz(func(t *testing.T, regex, line string) {
		if len(regex) > 200 {
			t.Skip()
		}
		flt, err := Compile(Definition{Failregex: []string{regex}}, Options{Location: time.UTC, Year: 2026})
		if err != nil {
			return
		}
		collect(NewSet([]*Filter{flt}), line, time.Unix(1795360800, 0))
	})
}
