package filter

import (
	"maps"
	"slices"
	"strings"
	"time"

	"pfwarden/capture"
)

// part is a line with its time stamp taken out.
type part struct {
	before, stamp, after string
}

func (p part) text() string { return p.before + p.after + "\n" }

// work is one line for one filter.
type work struct {
	line       *capture.Line
	part       part
	jail       int
	when       Resolution
	now        time.Time
	candidates []uint32
	refs       []patternRef
	filter     int
	emit       func(int, Candidate)
	trace      *Trace
	content    int // where the text that failregexes see begins in the line without its time stamp; -1 if that is lost
}

// spans tells the trace where the groups of a match lie in the line as it was read.
func (w *work) spans(p *pattern, m []int, offset int) {
	if w.trace == nil || offset < 0 {
		return
	}
	place := func(i int) int {
		if i += offset; i > len(w.part.before) {
			i += w.trace.DateEnd - w.trace.DateStart
		}
		return min(i, len(w.part.before)+len(w.part.stamp)+len(w.part.after))
	}
	for i, name := range p.Names() {
		if name != "" && name != "content" && m[2*i] >= 0 {
			w.trace.Spans = append(w.trace.Spans, Span{name, place(m[2*i]), place(m[2*i+1])})
		}
	}
}

// may reports whether the literal pass lets a pattern match.
func (w *work) may(index int, login bool) bool {
	for _, c := range w.candidates {
		if r := w.refs[c]; r.filter == w.filter && r.index == index && r.login == login {
			return true
		}
	}
	return false
}

// process runs the filter's patterns over a line in fail2ban's order, and reports whether an ignoreregex spoke.
func (f *Filter) process(w *work) (ignored bool) {
	if w.when.TooOld {
		f.stats.TooOld++
		return false
	}
	text := f.lines(w)
	if f.MaxLines > 1 {
		w.content = -1
	}
	if f.early && f.ignores(text) {
		return true
	}
	var base map[string]string
	var pre []int
	whole := text
	if f.pre != nil {
		m, err := f.pre.findPrefix(text)
		if m == nil || err != nil {
			f.gaveUp(err, -1)
			return false
		}
		pre = m
		w.spans(f.pre, m, w.content)
		text = f.content(w, text, m)
	}
	done := false
	for i, p := range f.fail {
		if f.MaxLines == 1 && !w.may(i, false) {
			continue
		}
		m, err := f.find(p, i, text)
		if err != nil {
			f.gaveUp(err, i)
			return false
		}
		if m == nil {
			continue
		}
		f.stats.Hits[i]++
		if !f.early && f.ignores(f.matched(text, m)) {
			if f.options.AllRegex {
				ignored = true
				continue
			}
			return true
		}
		if !w.when.OK {
			f.stats.NoTime++
			continue
		}
		done = true
		if base == nil {
			base = f.base(whole, pre)
		}
		w.spans(p, m, w.content)
		next := text
		lines := 1
		if f.MaxLines > 1 {
			next, lines = f.consume(p, text, m)
		}
		f.report(w, p, i, text, m, base, lines)
		text = next
		if !f.options.AllRegex {
			return ignored
		}
	}
	if !done && w.when.OK {
		f.logins(w, text, whole, pre)
	}
	return ignored
}

// find runs a failregex, and times it where a profile is asked for.
func (f *Filter) find(p *pattern, index int, text string) ([]int, error) {
	if f.profile == nil {
		return p.Find(text)
	}
	start := f.profile()
	m, err := p.Find(text)
	f.spent[index] += f.profile().Sub(start)
	f.runs[index]++
	return m, err
}

// content is what failregexes see behind a prefregex: the group F-CONTENT, or all of it if that is empty.
func (f *Filter) content(w *work, text string, m []int) string {
	for i, name := range f.pre.Names() {
		if name == "content" && m[2*i] >= 0 && m[2*i] < m[2*i+1] {
			if w.content >= 0 {
				w.content += m[2*i]
			}
			if m[2*i+1] == len(text)-1 {
				return text[m[2*i]:]
			}
			return text[m[2*i]:m[2*i+1]] + "\n"
		}
	}
	return text
}

// base are the fields that the prefregex found.
func (f *Filter) base(text string, m []int) map[string]string {
	base := map[string]string{}
	if m != nil {
		f.pre.fields(text, m, base)
		delete(base, "content")
		if f.pre.alternatives {
			f.pre.merge(base)
		}
	}
	return base
}

func (f *Filter) gaveUp(err error, regex int) {
	if err == nil {
		return
	}
	f.stats.Timeouts++
	if regex >= 0 {
		f.stats.SlowRegex[regex]++
	}
}

func (f *Filter) ignores(text string) bool {
	for i, p := range f.ignore {
		m, err := p.Find(text)
		if err != nil {
			f.gaveUp(err, -1)
			return true
		}
		if m != nil {
			f.stats.IgnoreHits[i]++
			return true
		}
	}
	return false
}

// report makes a candidate of a match, after joining it with what is known of its multi-line id.
func (f *Filter) report(w *work, p *pattern, index int, text string, m []int, base map[string]string, lines int) {
	own := &failure{fields: maps.Clone(base), matches: lines}
	p.fields(text, m, own.fields)
	if p.alternatives {
		own.lists = p.merge(own.fields)
	}
	for _, g := range p.skips {
		delete(own.fields, p.Names()[g])
	}
	_, ifNone := own.fields["ifnone"]
	delete(own.fields, "ifnone")
	result := own
	id := own.fields["mlfid"]
	if id != "" {
		own.matches = 0
		result = f.memory.merge(id, own, lines, f.clock(w), f.FreshAddress)
	}
	c := Candidate{Regex: index, Lines: result.matches, Attempts: repeats(own.fields)}
	fields := maps.Clone(result.fields)
	if !c.identify(fields, f.UseDNS) {
		if id != "" && fields["dns"] == "" {
			result.pending = true
		}
		return
	}
	if id == "" && f.options.AllRegex && fields["nofail"] != "" {
		return // fail2ban's tests pass over it; its daemon counts it, since nothing can follow
	}
	if id != "" && (result.quiet || result.gained || result.reported && ifNone) {
		return
	}
	result.reported = true
	if id != "" && len(result.users) > 0 {
		if c.Lists == nil {
			c.Lists = map[string][]string{}
		}
		c.Lists["users"] = slices.Clone(result.users)
	}
	for k, v := range result.lists {
		if c.Lists == nil {
			c.Lists = map[string][]string{}
		}
		c.Lists[k] = slices.Clone(v)
	}
	f.send(w, &c, fields)
}

// clock is what ages the memory: the present, or in replay the records' time.
func (f *Filter) clock(w *work) time.Time {
	if f.options.Replay {
		return w.when.Time
	}
	return w.now
}

func (f *Filter) send(w *work, c *Candidate, fields map[string]string) {
	c.Time, c.HasTime = w.when.Time, w.when.OK
	c.Fields = make(map[string]string, len(fields))
	for k, v := range fields { // not to keep the whole chunk that the line stands in
		c.Fields[k] = strings.Clone(v)
	}
	c.ID, c.Host = strings.Clone(c.ID), strings.Clone(c.Host)
	c.Text = strings.Clone(cut(w.line.Text, maxTextKept))
	c.Proven = f.Proof == "tcp" && c.Addr.IsValid() && c.Host == "" && c.ID == c.Addr.String()
	w.emit(w.jail, *c)
}

// logins looks for a successful log-in.
func (f *Filter) logins(w *work, text, whole string, pre []int) {
	for i, p := range f.login {
		if f.MaxLines == 1 && !w.may(i, true) {
			continue
		}
		m, err := p.Find(text)
		if err != nil {
			f.gaveUp(err, -1)
			return
		}
		if m == nil {
			continue
		}
		fields := f.base(whole, pre)
		p.fields(text, m, fields)
		c := Candidate{Regex: i, Login: true, Attempts: 1, Lines: 1}
		if p.alternatives {
			c.Lists = p.merge(fields)
		}
		if c.identify(fields, f.UseDNS) {
			f.send(w, &c, fields)
		}
		return
	}
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}
