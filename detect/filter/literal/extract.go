// Package literal answers, in one pass over a text, which of many regular expressions can match it at all.
//
// From each pattern the sets of strings are taken of which at least one must occur in every match ("required literals").
// All strings of all patterns go into one Aho-Corasick automaton; a pattern is a candidate if each of its sets was hit.
// Candidates are then verified by the pattern itself, so the pass may err only by naming too many.
// ASCII letters are compared without case.
package literal

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxStrings = 64 // in one set
	maxProduct = 16 // of joined sets
	maxLength  = 16 // bytes of a string
	maxSets    = 2  // of a pattern
	minLength  = 2  // a set with a shorter string is hit by almost every line
)

// Set is a set of strings, sorted and in lower case.
type Set []string

// Required are sets of which each has a member in every text that the pattern matches.
type Required struct {
	Sets []Set
	// ASCIIOnly: the sets hold for ASCII text only, since a letter of the pattern also stands for one outside of ASCII.
	ASCIIOnly bool
}

// Extract finds what the pattern, in Go's syntax, requires. No set at all means that nothing is known.
func Extract(pattern string) Required {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return Required{}
	}
	x := &extractor{}
	f := x.walk(re.Simplify())
	sets := f.sets
	if f.exact != nil {
		sets = append(sets, f.exact)
	}
	return Required{Sets: choose(sets), ASCIIOnly: x.folded}
}

// Merge joins the requirements of two patterns that must both match.
func Merge(a, b Required) Required {
	return Required{Sets: choose(slices.Concat(a.Sets, b.Sets)), ASCIIOnly: a.ASCIIOnly || b.ASCIIOnly}
}

// choose trims the sets and keeps the few that promise to be hit the least.
func choose(sets []Set) []Set {
	var good []Set
	for _, s := range sets {
		if s = trim(s); s != nil && !slices.ContainsFunc(good, func(g Set) bool { return slices.Equal(g, s) }) {
			good = append(good, s)
		}
	}
	slices.SortStableFunc(good, func(a, b Set) int { return b.rarity() - a.rarity() })
	return good[:min(len(good), maxSets)]
}

func (s Set) rarity() int {
	shortest := maxLength
	for _, l := range s {
		shortest = min(shortest, len(l))
	}
	return 4*shortest - len(s)
}

func trim(s Set) Set {
	if len(s) == 0 || len(s) > maxStrings {
		return nil
	}
	out := make(Set, 0, len(s))
	for _, l := range s {
		if len(l) < minLength {
			return nil
		}
		out = append(out, l[max(0, len(l)-maxLength):])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// found is what is known of a part of a pattern: all that it can match, or else sets that it requires.
type found struct {
	exact Set // nil: not a small finite set
	sets  []Set
}

type extractor struct{ folded bool }

func (x *extractor) walk(re *syntax.Regexp) found {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return found{exact: Set{""}}
	case syntax.OpLiteral:
		return x.literal(re)
	case syntax.OpCharClass:
		return x.class(re)
	case syntax.OpCapture:
		return x.walk(re.Sub[0])
	case syntax.OpConcat:
		return x.concat(re.Sub)
	case syntax.OpAlternate:
		return x.alternate(re.Sub)
	case syntax.OpQuest:
		if f := x.walk(re.Sub[0]); f.exact != nil {
			return found{exact: union(f.exact, Set{""})}
		}
	case syntax.OpPlus:
		return x.once(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return x.once(re.Sub[0])
		}
	}
	return found{}
}

// once is what a part requires that is there at least once.
func (x *extractor) once(re *syntax.Regexp) found {
	f := x.walk(re)
	if f.exact != nil {
		f.sets = append(f.sets, f.exact)
	}
	return found{sets: f.sets}
}

func (x *extractor) literal(re *syntax.Regexp) found {
	fold := re.Flags&syntax.FoldCase != 0
	var parts []Set
	whole, run := true, []byte(nil)
	for _, r := range re.Rune {
		if r >= utf8.RuneSelf || r == '\n' {
			parts, run, whole = append(parts, Set{string(run)}), nil, false
			continue
		}
		x.folded = x.folded || fold && strings.ContainsRune("kKsS", r)
		run = append(run, lower(byte(r)))
	}
	if whole {
		return found{exact: Set{string(run)}}
	}
	return found{sets: append(parts, Set{string(run)})}
}

func (x *extractor) class(re *syntax.Regexp) found {
	var s Set
	for i := 0; i < len(re.Rune); i += 2 {
		if re.Rune[i+1]-re.Rune[i] > 8 || len(s) > 8 {
			return found{}
		}
		for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
			if r == 0x17f || r == 0x212a { // what s and k fold to
				x.folded = true
				continue
			}
			if r >= utf8.RuneSelf || r == '\n' {
				return found{}
			}
			s = union(s, Set{string(lower(byte(r)))})
		}
	}
	if len(s) > 4 {
		return found{}
	}
	return found{exact: s}
}

func (x *extractor) concat(subs []*syntax.Regexp) found {
	var sets []Set
	whole, run := true, Set{""}
	for _, sub := range subs {
		f := x.walk(sub)
		switch {
		case f.exact == nil:
			sets = append(append(sets, run), f.sets...)
			whole, run = false, Set{""}
		case len(run)*len(f.exact) > maxProduct:
			sets = append(sets, run)
			whole, run = false, f.exact
		default:
			run = product(run, f.exact)
		}
	}
	if whole {
		return found{exact: run}
	}
	return found{sets: append(sets, run)}
}

func product(a, b Set) Set {
	var out Set
	for _, x := range a {
		for _, y := range b {
			out = append(out, x+y)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func union(a, b Set) Set {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// alternate takes the best set of each branch: one of their members must be there, whichever branch matches.
func (x *extractor) alternate(subs []*syntax.Regexp) found {
	exact, any, all := Set(nil), Set(nil), true
	for _, sub := range subs {
		f := x.walk(sub)
		if f.exact == nil {
			all = false
		} else {
			exact = union(exact, f.exact)
			f.sets = append(f.sets, f.exact)
		}
		best := choose(f.sets)
		if len(best) == 0 {
			any = Set{""}
			continue
		}
		any = union(any, best[0])
	}
	if all && len(exact) <= maxStrings {
		return found{exact: exact}
	}
	if len(any) > maxStrings || slices.Contains(any, "") {
		return found{}
	}
	return found{sets: []Set{any}}
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
