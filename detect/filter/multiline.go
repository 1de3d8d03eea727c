package filter

import "strings"

// lines is the text that the patterns see: this line, or the last MaxLines of them, each without its time stamp.
func (f *Filter) lines(w *work) string {
	if f.MaxLines == 1 {
		return f.scratch.join(w.part)
	}
	w.part = part{before: strings.Clone(w.part.before), stamp: strings.Clone(w.part.stamp), after: strings.Clone(w.part.after)}
	f.buffer = append(f.buffer, w.part)
	if n := len(f.buffer) - f.MaxLines; n > 0 {
		f.buffer = append(f.buffer[:0], f.buffer[n:]...)
	}
	return joinParts(f.buffer)
}

func joinParts(parts []part) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.before)
		b.WriteString(p.after)
		b.WriteByte('\n')
	}
	return b.String()
}

// matched is what a late ignoreregex sees: the text, or in multi-line mode the matched lines.
func (f *Filter) matched(text string, m []int) string {
	if f.MaxLines == 1 {
		return text
	}
	from := strings.LastIndexByte(text[:m[0]], '\n') + 1
	to := m[1]
	if to == 0 || text[to-1] != '\n' {
		if i := strings.IndexByte(text[to:], '\n'); i >= 0 {
			to += i + 1
		} else {
			to = len(text)
		}
	}
	return text[from:to]
}

// consume takes the matched lines out of the buffer; those that SKIPLINES passed over go back. It returns the text left and
// how many lines the failure consists of.
func (f *Filter) consume(p *pattern, text string, m []int) (rest string, lines int) {
	lineAt := func(offset int) int { return strings.Count(text[:offset], "\n") }
	first, last := lineAt(m[0]), lineAt(max(m[0], m[1]-1))
	if m[1] <= m[0] {
		last = first
	}
	skipped := map[int]bool{}
	for _, g := range p.skips {
		if m[2*g] < 0 || m[2*g] == m[2*g+1] {
			continue
		}
		for i := lineAt(m[2*g]); i <= lineAt(m[2*g+1]-1); i++ {
			skipped[i] = true
		}
	}
	if f.pre != nil && strings.Count(text, "\n") != len(f.buffer) { // only the content was matched: the buffer is spent
		n := len(f.buffer)
		f.buffer = f.buffer[:0]
		return "", n
	}
	kept := f.buffer[:0:0]
	for i, b := range f.buffer {
		if i < first || i > last || skipped[i] {
			kept = append(kept, b)
		} else {
			lines++
		}
	}
	f.buffer = kept
	return joinParts(kept), lines
}
