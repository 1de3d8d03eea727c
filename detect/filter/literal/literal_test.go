package literal

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExtract(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern string
		want    []Set
	}{
		{`^Failed (?:password|none) for .* from \d+$`, []Set{{" from "}, {"d password for ", "failed none for "}}},
		{`(?i)KICK \d`, []Set{{"kick "}}},
		{`a|b`, nil},
		{`(?:one|two)x+y`, []Set{{"one", "two"}}},
		{`[Ff]oo\nbar`, []Set{{"bar"}, {"foo"}}},
		{`x*`, nil},
		{`(abc)?d`, nil},
		{`(abc){2,}`, []Set{{"abcabc"}}},
	} {
		got := Extract(c.pattern).Sets
		for _, w := range c.want {
			found := slices.ContainsFunc(got, func(s Set) bool {
				return len(s) == len(w) && !slices.ContainsFunc(s, func(x string) bool {
					return !slices.ContainsFunc(w, func(y string) bool { return strings.Contains(y, x) || strings.Contains(x, y) })
				})
			})
			if !found {
				t.Errorf("%s: got %q, want %q", c.pattern, got, c.want)
			}
		}
		if c.want == nil && got != nil {
			t.Errorf("%s: got %q, want nothing", c.pattern, got)
		}
	}
	if !Extract(`(?i)kick`).ASCIIOnly || Extract(`kick`).ASCIIOnly {
		t.Error("the Kelvin sign folds to k only without case")
	}
}

// TestCandidates compares the pass with running each pattern: no match may be lost, and texts may be cut anywhere.
func TestCandidates(t *testing.T) {
	t.Parallel()
	patterns := []string{`ab+c`, `(?:foo|bar)[0-9]`, `x.*yz`, `(?i)Hello|world`, `\d+`, `ab`, `bca`, `^foo bar$`, `[ab]c[de]`, `aaaa`}
	required := make([]Required, len(patterns))
	compiled := make([]*regexp.Regexp, len(patterns))
	for i, p := range patterns {
		required[i], compiled[i] = Extract(p), regexp.MustCompile(p)
	}
	scan, large := New(required).NewScan(), New(required).NewScan()
	large.m.small = nil // as automata with many states are
	rng := rand.New(rand.NewPCG(1, 1))
	words := []string{"a", "b", "c", "ab", "foo", "bar", "1", "x", "y", "yz", "HELLO", "world", " ", "d", "aa"}
	named, texts := 0, 50_000
	if testing.Short() {
		texts /= 5
	}
	for range texts {
		var b strings.Builder
		for range rng.IntN(6) * (1 + 6*rng.IntN(2)) { // long ones are read in lanes
			b.WriteString(words[rng.IntN(len(words))])
		}
		text := b.String()
		cut := rng.IntN(len(text) + 1)
		got := slices.Clone(scan.Candidates(text[:cut], text[cut:], true))
		slices.Sort(got)
		if others := slices.Sorted(slices.Values(large.Candidates(text[:cut], text[cut:], true))); !slices.Equal(got, others) {
			t.Fatalf("%q: %v, and %v with large tables", text, got, others)
		}
		if diff := cmp.Diff(slices.Compact(slices.Clone(got)), got); diff != "" {
			t.Fatalf("%q: named twice: %v", text, got)
		}
		named += len(got)
		for i, re := range compiled {
			if re.MatchString(text) && !slices.Contains(got, uint32(i)) {
				t.Fatalf("%q: %s matches and is no candidate", text, patterns[i])
			}
		}
	}
	if named > texts*len(patterns)/2 {
		t.Errorf("%d candidates: the pass rules out too little", named)
	}
}

// TestSampler: long literals are found wherever they stand, and no others, as searching for each of them finds them.
func TestSampler(t *testing.T) {
	t.Parallel()
	sets := []Set{{"failed password", "failed none for "}, {"disconnect from "}, {"invalid user ", "illegal user "}, {"accepted "}, {"ication failure;", "tion failed for "}, {"aaaaaaaaaa"}, {" from "}}
	required := make([]Required, 0, len(sets)+1)
	for _, s := range sets {
		required = append(required, Required{Sets: []Set{s}})
	}
	required = append(required, Required{Sets: []Set{sets[3], sets[5]}}) // both must be there
	scan := New(required).NewScan()
	if scan.m.sampler == nil {
		t.Fatal("there is no sampler")
	}
	rng := rand.New(rand.NewPCG(3, 4))
	words := []string{"Failed password", "failed none for ", "DISCONNECT FROM ", "disconnect frox ", "illegal  user ", "Illegal user ", "accepted ", "acceptedx", "ication failure;", "aaaaaaaaaa", "aaaaa", "failed ", "pass", "x", " from ", "[{`@", "\x00"}
	for range 50_000 {
		var b strings.Builder
		for range rng.IntN(7) {
			b.WriteString(words[rng.IntN(len(words))])
		}
		text := b.String()
		cut := rng.IntN(len(text) + 1)
		has := func(s Set) bool {
			return slices.ContainsFunc(s, func(l string) bool { return strings.Contains(strings.ToLower(text), l) })
		}
		var want []uint32
		for p, r := range required {
			if !slices.ContainsFunc(r.Sets, func(s Set) bool { return !has(s) }) {
				want = append(want, uint32(p))
			}
		}
		got := slices.Sorted(slices.Values(scan.Candidates(text[:cut], text[cut:], true)))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q, cut at %d (-want +got):\n%s", text, cut, diff)
		}
	}
}
