package literal

// A sampler looks for long literals without reading every byte: of a literal of at least window bytes, one piece of gram bytes lies at a
// multiple of step, wherever the literal stands. So only these places are looked at, in a table of the pieces of all literals;
// what the table names is then compared whole. It finds exactly what an automaton over the same literals finds.
type sampler struct {
	step    int
	table   *[1 << tableBits]uint16 // number of a bucket by hash of a piece; 0: none
	buckets [][]piece
}

// piece is a place in a literal where the sampler may fall upon it.
type piece struct {
	text   string // the literal
	before int    // bytes of it that stand before the piece
	set    uint32
}

const (
	gram      = 4  // bytes of a piece
	tableBits = 13 // 16 KiB: fits the fastest cache
	minWindow = 6  // shorter literals are left to the automaton: too many places would have to be looked at
	maxWindow = 12
)

// window is the length that a sampler can rely on: of the patterns that require long literals at all, the longest of the shortest.
func window(patterns []Required) int {
	w := 0
	for _, r := range patterns {
		longest := 0
		for _, s := range r.Sets {
			longest = max(longest, s.shortest())
		}
		if longest = min(longest, maxWindow); longest >= minWindow && (w == 0 || longest < w) {
			w = longest
		}
	}
	return w
}

// fold packs a piece without regard to case. It takes some other characters for one, too: comparing tells them apart.
func fold(s string) uint32 {
	return (uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24) | 0x20202020
}

func hash(piece uint32) uint32 { return piece * 0x9e3779b1 >> (32 - tableBits) }

// newSampler takes the sets at the numbers given; each of their strings is at least window bytes long.
func newSampler(sets []Set, numbers []uint32, window int) *sampler {
	s := &sampler{step: window - gram + 1, table: new([1 << tableBits]uint16), buckets: make([][]piece, 1)}
	common := map[uint32]int{}
	for _, n := range numbers {
		for _, l := range sets[n] {
			for i := 0; i+gram <= len(l); i++ {
				common[fold(l[i:])]++
			}
		}
	}
	for _, n := range numbers {
		for _, l := range sets[n] {
			from := rarest(l, window, common)
			for i := from; i < from+s.step; i++ {
				s.add(piece{l, i, n})
			}
		}
	}
	return s
}

// rarest is where the window in a literal begins whose pieces are the fewest other literals': a word that many patterns share is one
// that many lines hold.
func rarest(l string, window int, common map[uint32]int) (from int) {
	least := 0
	for at := 0; at+window <= len(l); at++ {
		n := 0
		for i := at; i+gram <= at+window; i++ {
			n += common[fold(l[i:])]
		}
		if at == 0 || n < least {
			from, least = at, n
		}
	}
	return from
}

func (s *sampler) add(p piece) {
	h := hash(fold(p.text[p.before:]))
	if s.table[h] == 0 {
		if len(s.buckets) == 1<<16 {
			return // cannot be: there are fewer places in the table
		}
		s.table[h] = uint16(len(s.buckets))
		s.buckets = append(s.buckets, nil)
	}
	b := &s.buckets[s.table[h]]
	*b = append(*b, p)
}

// sample finds the literals in a text.
func (s *Scan) sample(text string) {
	p := s.m.sampler
	step, table := p.step, p.table
	i := 0
	for ; i+3*step+gram <= len(text); i += 4 * step { // four at a time: mostly none of them is there
		a, b, c, d := text[i:], text[i+step:], text[i+2*step:], text[i+3*step:]
		ha, hb, hc, hd := table[hash(fold(a))], table[hash(fold(b))], table[hash(fold(c))], table[hash(fold(d))]
		if ha|hb|hc|hd == 0 {
			continue
		}
		for k, h := range [...]uint16{ha, hb, hc, hd} {
			if h != 0 {
				s.compare(p.buckets[h], text, i+k*step)
			}
		}
	}
	for ; i+gram <= len(text); i += step {
		if h := table[hash(fold(text[i:]))]; h != 0 {
			s.compare(p.buckets[h], text, i)
		}
	}
}

// compare checks the literals that may lie around a place.
func (s *Scan) compare(bucket []piece, text string, at int) {
	for i := range bucket {
		b := &bucket[i]
		if from := at - b.before; from >= 0 && len(text)-from >= len(b.text) && hasPrefixFold(text[from:], b.text) {
			s.hit(b.set)
		}
	}
}

// hasPrefixFold compares without the case of ASCII letters; prefix is in lower case and no longer than text.
func hasPrefixFold(text, prefix string) bool {
	text = text[:len(prefix)]
	for i := range len(prefix) {
		if c := text[i]; c != prefix[i] && lower(c) != prefix[i] {
			return false
		}
	}
	return true
}

// across finds the literals that begin in a and end in b.
func (s *Scan) across(a, b string) {
	var joined [2 * (maxLength - 1)]byte // stays on the stack
	n := copy(joined[:maxLength-1], a[max(0, len(a)-maxLength+1):])
	n += copy(joined[n:], b[:min(len(b), maxLength-1)])
	s.sample(string(joined[:n]))
}

func (s Set) shortest() int {
	n := maxLength
	for _, l := range s {
		n = min(n, len(l))
	}
	return n
}
