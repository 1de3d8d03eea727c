package literal

import (
	"strings"
)

// Matcher knows the literals of all patterns: the long ones as a sampler, the others as an automaton. It is read-only; each goroutine
// needs its own Scan.
type Matcher struct {
	sampler   *sampler         // nil if there are no long literals
	short     bool             // the automaton has literals
	next      []uint32         // next state by state + class; states are multiplied by stride
	small     *[1 << 16]uint16 // next, where its numbers are small enough: needs no checks of bounds and less of the cache
	classes   [256]uint8       // bytes that no literal tells apart share a class
	stride    uint32
	accepting uint32     // states from here on have outputs
	outputs   [][]uint32 // set numbers, by the number that an accepting state keeps
	patterns  [][]uint32 // patterns by set number
	need      []uint32   // sets by pattern
	always    []uint32   // patterns without any set
	ascii     []bool     // by pattern: sets hold for ASCII text only
}

// New builds the automaton; a pattern is known by its index.
func New(patterns []Required) *Matcher {
	m := &Matcher{need: make([]uint32, len(patterns)), ascii: make([]bool, len(patterns))}
	byText := map[string]uint32{}
	var sets []Set
	w := window(patterns)
	for p, r := range patterns {
		m.ascii[p] = r.ASCIIOnly
		if len(r.Sets) == 0 {
			m.always = append(m.always, uint32(p))
		}
		for _, s := range r.long(w) {
			key := strings.Join(s, "\x00")
			id, known := byText[key]
			if !known {
				id = uint32(len(sets))
				byText[key] = id
				sets = append(sets, s)
				m.patterns = append(m.patterns, nil)
			}
			m.patterns[id] = append(m.patterns[id], uint32(p))
			m.need[p]++
		}
	}
	var long []uint32
	short := make([]Set, len(sets))
	for id, s := range sets {
		if w > 0 && s.shortest() >= w {
			long = append(long, uint32(id))
		} else {
			short[id], m.short = s, true
		}
	}
	if len(long) > 0 {
		m.sampler = newSampler(sets, long, w)
	}
	m.build(short)
	return m
}

// long are the sets that a sampler can look for, or all of them if there are none: short strings say little beside long ones.
func (r Required) long(window int) (sets []Set) {
	for _, s := range r.Sets {
		if window > 0 && s.shortest() >= window {
			sets = append(sets, s)
		}
	}
	if len(sets) == 0 {
		return r.Sets
	}
	return sets
}

type trie struct {
	child map[byte]int
	fail  int
	out   []uint32
}

func (m *Matcher) build(sets []Set) {
	for c := range m.classes {
		m.classes[c] = 0
	}
	count := uint8(1) // at most 255: upper case letters share the class of lower case ones
	nodes := []trie{{child: map[byte]int{}}}
	for id, s := range sets {
		for _, l := range s {
			at := 0
			for i := range len(l) {
				c := l[i]
				if m.classes[c] == 0 {
					m.classes[c] = count
					count++
				}
				to, ok := nodes[at].child[c]
				if !ok {
					to = len(nodes)
					nodes = append(nodes, trie{child: map[byte]int{}})
					nodes[at].child[c] = to
				}
				at = to
			}
			nodes[at].out = append(nodes[at].out, uint32(id))
		}
	}
	for c := 'a'; c <= 'z'; c++ {
		m.classes[c-'a'+'A'] = m.classes[c]
	}
	m.stride = uint32(count) + 1 // after the classes, an accepting state keeps the number of its outputs
	m.number(nodes, m.transitions(nodes))
}

// transitions completes the tree to a table of state × class, breadth first, so that a state's fallback is done before it.
func (m *Matcher) transitions(nodes []trie) [][]int {
	rows := make([][]int, len(nodes))
	queue := []int{0}
	for head := 0; head < len(queue); head++ {
		at := queue[head]
		row := make([]int, m.stride)
		if at != 0 {
			copy(row, rows[nodes[at].fail])
		}
		for c, to := range nodes[at].child {
			class := m.classes[c]
			if at != 0 {
				nodes[to].fail = row[class]
			}
			row[class] = to
			queue = append(queue, to)
		}
		rows[at] = row
		if at != 0 {
			nodes[at].out = append(nodes[at].out, nodes[nodes[at].fail].out...)
		}
	}
	return rows
}

// number puts accepting states last and writes the final table.
func (m *Matcher) number(nodes []trie, rows [][]int) {
	final, n := make([]uint32, len(nodes)), uint32(0)
	for _, accepting := range []bool{false, true} {
		if accepting {
			m.accepting = n * m.stride
		}
		for i := range nodes {
			if (len(nodes[i].out) > 0) == accepting {
				final[i] = n * m.stride
				n++
				if accepting {
					m.outputs = append(m.outputs, nodes[i].out)
					rows[i][m.stride-1] = len(m.outputs) - 1
				}
			}
		}
	}
	m.next = make([]uint32, int(n)*int(m.stride))
	if len(m.next) <= 1<<16 {
		m.small = new([1 << 16]uint16)
	}
	for i, row := range rows {
		for class, to := range row {
			value := uint32(to)
			if class < len(row)-1 {
				value = final[to]
			}
			m.next[final[i]+uint32(class)] = value
			if m.small != nil {
				m.small[final[i]+uint32(class)] = uint16(value)
			}
		}
	}
}

// Scan finds candidates for one text after the other.
type Scan struct {
	m          *Matcher
	round      uint32
	setSeen    []uint32 // round in which a set was last hit
	patSeen    []uint32 // round in which a pattern's count was last begun
	patCount   []uint32
	candidates []uint32
}

// NewScan makes the working memory for m.
func (m *Matcher) NewScan() *Scan {
	return &Scan{m: m, setSeen: make([]uint32, len(m.patterns)), patSeen: make([]uint32, len(m.need)), patCount: make([]uint32, len(m.need))}
}

// Candidates returns the patterns that may match the text that a and b make together, in no special order. The slice is
// valid until the next call. ascii says that the text holds no byte above 0x7f.
func (s *Scan) Candidates(a, b string, ascii bool) []uint32 {
	s.round++
	if s.round == 0 { // wrapped: old marks would look new
		clear(s.setSeen)
		clear(s.patSeen)
		s.round = 1
	}
	s.candidates = append(s.candidates[:0], s.m.always...)
	if !ascii {
		for p, only := range s.m.ascii {
			if only && s.m.need[p] > 0 {
				s.patSeen[p], s.patCount[p] = s.round, s.m.need[p] // counts past its need: not named twice
				s.candidates = append(s.candidates, uint32(p))
			}
		}
	}
	if s.m.sampler != nil {
		if a != "" {
			s.sample(a)
			s.across(a, b)
		}
		s.sample(b)
	}
	if s.m.short {
		s.lanes(s.run(0, a), b)
	}
	return s.candidates
}

// lanes is run on four parts of the text in lock step, so that their memory accesses overlap. Each part begins early enough
// for a string that ends in it; sets that two parts hit count once anyway.
func (s *Scan) lanes(state uint32, text string) {
	const lanes, least, overlap = 4, 16, maxLength - 1
	quarter := (len(text) + lanes - 1) / lanes
	if quarter < least {
		s.run(state, text)
		return
	}
	n := quarter + overlap // steps of every lane; lane 0 reads on into the next part, the last begins earlier
	t0, t1, t2, t3 := text[:n], text[quarter-overlap:][:n], text[2*quarter-overlap:][:n], text[len(text)-n:]
	if s.m.small != nil {
		s.smallLanes(uint16(state), t0, t1, t2, t3)
		return
	}
	next, classes, accepting := s.m.next, &s.m.classes, s.m.accepting
	s0, s1, s2, s3 := state, uint32(0), uint32(0), uint32(0)
	for i := 0; i < n && i < len(t0) && i < len(t1) && i < len(t2) && i < len(t3); i++ {
		s0 = next[s0+uint32(classes[t0[i]])]
		s1 = next[s1+uint32(classes[t1[i]])]
		s2 = next[s2+uint32(classes[t2[i]])]
		s3 = next[s3+uint32(classes[t3[i]])]
		if max(s0, s1, s2, s3) >= accepting {
			for _, st := range [...]uint32{s0, s1, s2, s3} {
				if st >= accepting {
					s.accept(st)
				}
			}
		}
	}
}

// smallLanes steps through four texts of one length.
func (s *Scan) smallLanes(state uint16, t0, t1, t2, t3 string) {
	next, classes := s.m.small, &s.m.classes
	accepting := uint16(min(s.m.accepting, 1<<16-1))
	s0, s1, s2, s3 := state, uint16(0), uint16(0), uint16(0)
	t1, t2, t3 = t1[:len(t0)], t2[:len(t0)], t3[:len(t0)]
	for i := range len(t0) {
		s0 = next[s0+uint16(classes[t0[i]])]
		s1 = next[s1+uint16(classes[t1[i]])]
		s2 = next[s2+uint16(classes[t2[i]])]
		s3 = next[s3+uint16(classes[t3[i]])]
		if max(s0, s1, s2, s3) >= accepting {
			for _, st := range [...]uint16{s0, s1, s2, s3} {
				if st >= accepting {
					s.accept(uint32(st))
				}
			}
		}
	}
}

func (s *Scan) run(state uint32, text string) uint32 {
	m := s.m
	next, accepting := m.next, m.accepting
	for i := range len(text) {
		state = next[state+uint32(m.classes[text[i]])]
		if state >= accepting {
			s.accept(state)
		}
	}
	return state
}

func (s *Scan) accept(state uint32) {
	for _, set := range s.m.outputs[s.m.next[state+s.m.stride-1]] {
		s.hit(set)
	}
}

// hit notes that a string of a set is there.
func (s *Scan) hit(set uint32) {
	if s.setSeen[set] == s.round {
		return
	}
	s.setSeen[set] = s.round
	for _, p := range s.m.patterns[set] {
		if s.patSeen[p] != s.round {
			s.patSeen[p], s.patCount[p] = s.round, 0
		}
		s.patCount[p]++
		if s.patCount[p] == s.m.need[p] {
			s.candidates = append(s.candidates, p)
		}
	}
}
