package pyre

import "strings"

// Scratch is the working memory of searches. One may serve many patterns, but only one search at a time.
type Scratch struct {
	text  string
	caps  []int
	stack []frame
	steps int
	dirty bool // caps holds something of an attempt
}

// frame is what to go back to.
type frame struct {
	pc  int32 // where to go on; -1 - slot: put the capture back to pos
	pos int32
	lim int32 // of a span: how far it can give way (or, if lazy, grow); -1 for others
}

// The work that a search may do before it is left to engines that need not go back: enough for every line that is not made to
// be slow, and little beside what those engines need.
const (
	stepsBase    = 2000
	stepsPerByte = 1
	maxStack     = 50_000
	maxNested    = 50 // look-aheads in look-aheads
)

// search finds the leftmost match. done is false if it was given up, and nothing is known then. The offsets are valid until the
// next search.
func (p *program) search(m *Scratch, text string) (caps []int, done bool) {
	if !p.first[endOfText] && len(text) == 0 {
		return nil, true
	}
	m.text, m.steps = text, stepsBase+stepsPerByte*len(text)
	if n := 2 * p.groups; cap(m.caps) < n {
		m.caps = make([]int, n)
	} else {
		m.caps = m.caps[:n]
	}
	m.dirty = true
	for at := 0; at <= len(text); at++ {
		if at = p.start(text, at); at < 0 {
			return nil, true
		}
		if m.dirty {
			for i := range m.caps {
				m.caps[i] = -1
			}
			m.dirty = false
		}
		m.stack = m.stack[:0]
		end := p.run(m, 0, at, 0)
		if m.steps < 0 {
			return nil, false
		}
		if end >= 0 {
			m.caps[0], m.caps[1] = at, end
			return m.caps, true
		}
		if p.anchored {
			break
		}
		m.steps--
	}
	return nil, true
}

// start is the next place where a match can begin, or -1.
func (p *program) start(text string, at int) int {
	switch {
	case p.anchored:
		if p.prefix != "" && !strings.HasPrefix(text, p.prefix) {
			return -1
		}
	case p.prefix != "":
		i := strings.Index(text[at:], p.prefix)
		if i < 0 {
			return -1
		}
		return at + i
	default:
		for at < len(text) && !p.first[text[at]] {
			at++
		}
	}
	if !p.first[byteAt(text, at)] {
		return -1
	}
	return at
}

func byteAt(text string, pos int) int {
	if pos < len(text) {
		return int(text[pos])
	}
	return endOfText
}

// run matches from pc and pos on and returns where the match ends, or -1. It leaves the frames of a match on the stack.
func (p *program) run(m *Scratch, pc int32, pos, depth int) int {
	text, code, base := m.text, p.code, len(m.stack)
	for {
		in := &code[pc]
		ok := true
		switch in.op {
		case opMatch:
			return pos
		case opString:
			if ok = len(text)-pos >= len(in.text) && text[pos:pos+len(in.text)] == in.text; ok {
				pos += len(in.text)
			}
		case opFold:
			if ok = hasPrefixFold(text[pos:], in.text); ok {
				pos += len(in.text)
			}
		case opSet:
			if ok = in.set[byteAt(text, pos)]; ok {
				pos++
			}
		case opSpan:
			end := in.end(text, pos)
			m.steps -= (end - pos) >> 5
			if lo := pos + int(in.min); end < lo {
				ok = false
			} else if in.atomic {
				pos = end
			} else {
				pos, ok = in.choose(m, pc, lo, end)
			}
		case opJump:
			pc = in.x
			continue
		case opSplit:
			c := byteAt(text, pos)
			if in.set[c] {
				if in.follow[c] {
					m.stack = append(m.stack, frame{in.y, int32(pos), -1})
				}
				pc = in.x
				continue
			}
			if in.follow[c] {
				pc = in.y
				continue
			}
			ok = false
		case opCondition:
			pc = in.y
			if m.caps[2*in.n+1] >= 0 {
				pc = in.x
			}
			continue
		case opSave:
			if in.text != "" {
				m.steps -= (len(text) - pos) >> 5
				if ok = strings.Contains(text[pos:], in.text); !ok {
					break
				}
			}
			if depth > 0 || len(m.stack) > 0 { // else there is nothing to go back to that could miss the old value
				m.stack = append(m.stack, frame{-1 - in.n, int32(m.caps[in.n]), -1})
			}
			m.caps[in.n], m.dirty = pos, true
		case opLook, opAtomic:
			end := p.inner(m, in, pos, depth)
			if in.op == opAtomic {
				if ok = end >= 0; ok {
					pos = end
				}
			} else {
				ok = (end >= 0) != in.negated
			}
			if ok {
				pc = in.y
				continue
			}
		case opAhead:
			ok = strings.HasPrefix(text[pos:], in.text) != in.negated
		case opBackref:
			pos, ok = m.again(in, pos)
		default:
			ok = in.holds(text, pos)
		}
		if ok {
			pc++
			continue
		}
		if pc, pos = p.back(m, base); pc < 0 {
			return -1
		}
	}
}

// back takes up the last choice left; pc is -1 if there is none or the search has used up its steps.
func (p *program) back(m *Scratch, base int) (pc int32, pos int) {
	for len(m.stack) > base {
		f := m.stack[len(m.stack)-1]
		m.stack = m.stack[:len(m.stack)-1]
		if f.pc < 0 {
			m.caps[-1-f.pc] = int(f.pos)
			continue
		}
		if m.steps--; m.steps < 0 || len(m.stack) > maxStack {
			m.steps = -1
			return -1, 0
		}
		if f.lim < 0 {
			return f.pc, int(f.pos)
		}
		in := &p.code[f.pc]
		lo, end := int(f.lim), int(f.pos)
		if in.lazy {
			lo, end = end, lo
		}
		m.steps -= (end - lo) >> 5
		if pos, ok := in.choose(m, f.pc, lo, end); ok {
			return f.pc + 1, pos
		}
	}
	return -1, 0
}

// inner matches a look-ahead or an atomic group: once it has matched, only its captures stay.
func (p *program) inner(m *Scratch, in *inst, pos, depth int) int {
	base := len(m.stack)
	if depth > maxNested {
		m.steps = -1
		return -1
	}
	end := p.run(m, in.x, pos, depth+1)
	if end < 0 {
		return -1
	}
	kept := m.stack[:base]
	for _, f := range m.stack[base:] {
		if f.pc < 0 {
			kept = append(kept, f)
		}
	}
	m.stack = kept
	if in.negated {
		for len(m.stack) > base {
			f := m.stack[len(m.stack)-1]
			m.stack = m.stack[:len(m.stack)-1]
			m.caps[-1-f.pc] = int(f.pos)
		}
	}
	return end
}

// end is how far a span can go.
func (in *inst) end(text string, pos int) int {
	limit := len(text)
	if in.max >= 0 && limit-pos > int(in.max) {
		limit = pos + int(in.max)
	}
	if in.until != "" {
		if i := strings.Index(text[pos:], in.until); i >= 0 {
			limit = min(limit, pos+i)
		}
	}
	if in.stop >= 0 {
		if i := strings.IndexByte(text[pos:limit], byte(in.stop)); i >= 0 {
			return pos + i
		}
		return limit
	}
	set := in.set
	for pos < limit && set[text[pos]] {
		pos++
	}
	return pos
}

// choose takes the best end of a span between lo and end after which the pattern may go on, and remembers the others.
func (in *inst) choose(m *Scratch, pc int32, lo, end int) (pos int, ok bool) {
	text := m.text
	switch {
	case in.lazy && in.next != "":
		i := strings.Index(text[lo:min(len(text), end+len(in.next))], in.next)
		if i < 0 {
			return 0, false
		}
		pos = lo + i
	case in.lazy:
		pos = lo
		if in.follow != nil {
			for pos <= end && !in.follow[byteAt(text, pos)] {
				pos++
			}
		}
		if pos > end {
			return 0, false
		}
	case in.next != "":
		i := strings.LastIndex(text[lo:min(len(text), end+len(in.next))], in.next)
		if i < 0 {
			return 0, false
		}
		pos = lo + i
	default:
		pos = end
		if in.follow != nil {
			for pos >= lo && !in.follow[byteAt(text, pos)] {
				pos--
			}
		}
		if pos < lo {
			return 0, false
		}
	}
	if in.lazy && pos < end {
		m.stack = append(m.stack, frame{pc, int32(pos + 1), int32(end)})
	} else if !in.lazy && pos > lo {
		m.stack = append(m.stack, frame{pc, int32(pos - 1), int32(lo)})
	}
	return pos, true
}

// again matches what a group matched before.
func (m *Scratch) again(in *inst, pos int) (int, bool) {
	from, to := m.caps[2*in.n], m.caps[2*in.n+1]
	if from < 0 || to < from || len(m.text)-pos < to-from {
		return pos, false
	}
	earlier, here := m.text[from:to], m.text[pos:pos+to-from]
	return pos + to - from, earlier == here || in.fold && strings.EqualFold(earlier, here)
}

// holds answers what looks at a place only.
func (in *inst) holds(text string, pos int) bool {
	switch in.op {
	case opBegin:
		return pos == 0
	case opLineBegin:
		return pos == 0 || text[pos-1] == '\n'
	case opEnd:
		return pos == len(text) || pos == len(text)-1 && text[pos] == '\n'
	case opLineEnd:
		return pos == len(text) || text[pos] == '\n'
	case opTextEnd:
		return pos == len(text)
	case opWord:
		before := pos > 0 && asciiCategory('w', text[pos-1])
		after := pos < len(text) && asciiCategory('w', text[pos])
		return (before != after) != in.negated
	}
	return false
}

// hasPrefixFold compares ASCII without case; lower is in lower case.
func hasPrefixFold(text, lower string) bool {
	if len(text) < len(lower) {
		return false
	}
	for i := range len(lower) {
		c := text[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
