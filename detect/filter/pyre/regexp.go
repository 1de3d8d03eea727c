package pyre

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// ErrTimeout says that the backtracking engine was stopped: whether the text matches is not known.
var ErrTimeout = errors.New("pattern took too long")

// DefaultTimeout bounds one search of the backtracking engine.
const DefaultTimeout = 40 * time.Millisecond

// Options of Compile.
type Options struct {
	MultiLine bool          // Python's re.MULTILINE
	FoldCase  bool          // Python's re.IGNORECASE
	Timeout   time.Duration // of one search by the backtracking engine; 0 = DefaultTimeout
}

// Regexp is a compiled pattern. It may be used by several goroutines.
type Regexp struct {
	source  string
	tree    *node
	names   []string
	hard    bool // only the backtracking engine is exact
	refused bool // RE2 takes the pattern not even relaxed
	word    bool // has \b or \B, which RE2 takes for ASCII
	dollar  bool // has a $ without multi-line mode
	timeout time.Duration

	// The engines behind the machine are made when a text first needs them: most patterns never do.
	ascii   func() *regexp.Regexp // exact, or relaxed if hard; nil if RE2 refuses even that
	unicode func() *regexp.Regexp
	slow    func() (*regexp2.Regexp, error)
	program *program // exact for ASCII text, unless it gives up; nil if it cannot do the pattern
}

// Compile parses a pattern of Python's re syntax. Its errors are *Error, or what the engines behind it refuse.
func Compile(pattern string, o Options) (*Regexp, error) {
	var f flags
	if o.MultiLine {
		f |= multiLine
	}
	if o.FoldCase {
		f |= ignoreCase
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	tree, p, err := parse(pattern, f)
	if err != nil {
		return nil, err
	}
	re := &Regexp{source: pattern, tree: tree, names: p.names, hard: hard(tree), timeout: o.Timeout,
		word: uses(tree, kWord, 0) || uses(tree, kNotWord, 0), dollar: uses(tree, kEnd, multiLine)}
	re.slow = sync.OnceValues(func() (*regexp2.Regexp, error) {
		slow, err := regexp2.Compile(emit(tree, forBacktracking), regexp2.None)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", pattern, err)
		}
		slow.MatchTimeout = re.timeout
		return slow, nil
	})
	lazily := func(t target) func() *regexp.Regexp {
		return sync.OnceValue(func() *regexp.Regexp {
			r, err := regexp.Compile(emit(tree, t))
			if err != nil {
				return nil
			}
			return r
		})
	}
	re.ascii, re.unicode = lazily(forASCII), lazily(forUnicode)
	if !tame(tree) && re.ascii() == nil {
		re.hard, re.refused = true, true
	}
	re.program = assemble(tree, len(p.names))
	if re.hard {
		if _, err := regexp2.Compile(emit(tree, forTrial), regexp2.None); err != nil {
			return nil, fmt.Errorf("pattern %q: %w", pattern, err)
		}
	}
	return re, nil
}

// String is the pattern as it was given to Compile.
func (re *Regexp) String() string { return re.source }

// Names are the groups' names by number; [0] and unnamed groups are "".
func (re *Regexp) Names() []string { return re.names }

// Linear reports whether every search runs in time linear in the text's length (Unicode \b excepted).
func (re *Regexp) Linear() bool { return !re.hard }

// Relaxed is the RE2 pattern for ASCII text that matches wherever this one does, or "" if there is none.
func (re *Regexp) Relaxed() string {
	if re.refused {
		return ""
	}
	return emit(re.tree, forASCII)
}

// Anchored reports whether the pattern can match only at the beginning of the text (or of a line, in multi-line mode).
func (re *Regexp) Anchored() bool { return anchored(re.tree) }

func anchored(n *node) bool {
	switch n.kind {
	case kBegin, kText:
		return true
	case kGroup, kAtomic:
		return anchored(n.subs[0])
	case kConcat:
		for _, s := range n.subs {
			if s.kind == kLook {
				continue
			}
			return anchored(s)
		}
	case kAlt:
		for _, s := range n.subs {
			if !anchored(s) {
				return false
			}
		}
		return true
	}
	return false
}

// Search is Find for callers that know whether the text is ASCII and keep the working memory. The offsets are valid until the next
// search with the same Scratch.
func (re *Regexp) Search(m *Scratch, text string, ascii bool) ([]int, error) {
	if ascii && re.program != nil && len(text) < maxMachine {
		if caps, done := re.program.search(m, text); done {
			return caps, nil
		}
	}
	return re.find(text, ascii)
}

// maxMachine is the longest text that the machine takes.
const maxMachine = 1 << 24

// Find searches text as Python's re.search does and returns the byte offsets of all groups in pairs (-1 where a group took
// no part), or nil if there is no match. text must be valid UTF-8. The only error is ErrTimeout.
func (re *Regexp) Find(text string) ([]int, error) {
	m, err := re.Search(&Scratch{}, text, IsASCII(text))
	return slices.Clone(m), err
}

// find searches with the engines that take whatever the machine does not.
func (re *Regexp) find(text string, ascii bool) ([]int, error) {
	compiled, exact := re.ascii, !re.hard
	if !ascii {
		compiled, exact = re.unicode, exact && !re.word
	}
	var fast *regexp.Regexp
	if ascii || !re.word { // RE2's \b could miss a match beyond ASCII
		fast = compiled()
	}
	if re.dollar && innerNewline(text) {
		exact = false
	}
	if fast != nil {
		m := fast.FindStringSubmatchIndex(text)
		if m == nil || exact {
			return m, nil
		}
	}
	return re.FindFrom(text, 0)
}

// FindFrom searches by the backtracking engine from byte offset start on; what stands before start is seen by ^, \b and
// look-behinds only. A match that begins before start is not found.
func (re *Regexp) FindFrom(text string, start int) ([]int, error) {
	slow, err := re.slow()
	if err != nil {
		return nil, nil // RE2 took the pattern and the other engine did not: there is no second opinion
	}
	m, err := slow.FindStringMatchStartingAt(text, start)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrTimeout, re.source)
	}
	if m == nil {
		return nil, nil
	}
	offsets := make([]int, 2*len(re.names))
	bytesAt := byteOffsets(text)
	offsets[0], offsets[1] = bytesAt(m.Index), bytesAt(m.Index+m.Length)
	for i := 1; i < len(re.names); i++ {
		offsets[2*i], offsets[2*i+1] = -1, -1
		if g := m.GroupByName(fmt.Sprintf("g%d", i)); g != nil && len(g.Captures) > 0 {
			offsets[2*i], offsets[2*i+1] = bytesAt(g.Index), bytesAt(g.Index+g.Length)
		}
	}
	return offsets, nil
}

// byteOffsets turns regexp2's rune offsets into byte offsets.
func byteOffsets(text string) func(int) int {
	if IsASCII(text) {
		return func(i int) int { return i }
	}
	table := make([]int, 0, len(text)+1)
	for i := range text {
		table = append(table, i)
	}
	table = append(table, len(text))
	return func(i int) int { return table[i] }
}

// IsASCII tells whether text holds ASCII only, which makes a search cheaper.
func IsASCII(s string) bool {
	for ; len(s) >= 8; s = s[8:] {
		word := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		if word&0x8080808080808080 != 0 { // the compiler makes one load of it
			return false
		}
	}
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func innerNewline(s string) bool {
	i := strings.IndexByte(s, '\n')
	return i >= 0 && i < len(s)-1
}
