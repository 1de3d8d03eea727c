package filter

import (
	"slices"
	"strings"
	"time"
	"unsafe"

	"pfwarden/detect/filter/pyre"
)

// part is a line with its time stamp taken out.
type part struct {
	before, stamp, after string
}

// work is one line for one filter.
type work struct {
	raw     string // the line as it was read
	part    part
	ascii   bool
	jail    int
	when    resolution
	now     time.Time
	fail    []int // failregexes that may match, by the literal pass
	login   []int
	emit    func(int, Candidate)
	matched bool // something was emitted
	forged  bool // nginx reports errors in the log
	trace   *Trace
	exam    *Examination // every pattern is tried, and every match told; nil = only what matters
	content int          // where the text that failregexes see begins in the line without its time stamp; -1 if that is lost
}

// scratch is what a filter's work on a line needs, kept from one line to the next.
type scratch struct {
	pre, fail, ignore pyre.Scratch
	text              []byte // the line without its time stamp
	base, out         fields
	own               failure
}

// join makes the text that patterns see of a line. It is written over by the next: what is kept longer must be cloned.
func (s *scratch) join(p part) string {
	s.text = append(append(append(s.text[:0], p.before...), p.after...), '\n')
	return unsafe.String(unsafe.SliceData(s.text), len(s.text))
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

// process runs the filter's patterns over a line in fail2ban's order, and reports whether an ignoreregex spoke.
func (f *Filter) process(w *work) (ignored bool) {
	if w.when.TooOld {
		f.stats.TooOld++
		return false
	}
	if w.exam == nil && f.unknown(w) {
		return false
	}
	text := f.lines(w)
	ascii, fails := w.ascii, w.fail
	if f.MaxLines > 1 {
		w.content, ascii, fails = -1, pyre.IsASCII(text), f.allFails
	}
	if f.early && f.ignores(w, text, ascii) {
		return true
	}
	var pre []int
	whole, based := text, false
	if f.pre != nil {
		m, err := f.pre.Search(&f.scratch.pre, text, ascii)
		if m == nil || err != nil {
			f.gaveUp(err, -1)
			return false
		}
		if w.exam != nil {
			w.exam.prefix(f.pre, text, m)
		} else if w.when.OK && f.idle(w, text, m) {
			return false
		}
		pre = m
		w.spans(f.pre, m, w.content)
		text = f.content(w, text, m)
	}
	done := false
	for _, i := range fails {
		p := f.fail[i]
		m, err := f.find(p, i, text, ascii)
		if err != nil {
			f.gaveUp(err, i)
			return false
		}
		if m == nil {
			continue
		}
		f.stats.Hits[i]++
		if !f.early && f.ignores(w, f.matched(text, m), ascii) {
			if f.options.AllRegex {
				ignored = true
				continue
			}
			return true
		}
		if !w.when.OK && !w.when.Bare {
			f.stats.NoTime++
			if w.exam == nil {
				continue
			}
		}
		done = true
		if !based {
			f.base(whole, pre)
			based = true
		}
		w.spans(p, m, w.content)
		next := text
		lines := 1
		if f.MaxLines > 1 {
			before := f.buffer
			next, lines = f.consume(p, text, m)
			w.exam.consumed(before, f.buffer)
		}
		f.report(w, p, i, text, m, lines)
		text = next
		if !f.options.AllRegex {
			return ignored
		}
	}
	if !done && w.when.OK {
		f.logins(w, text, whole, pre, ascii)
	}
	return ignored
}

// idle reports whether nothing that this line can match would change anything.
func (f *Filter) idle(w *work, text string, pre []int) bool {
	if !f.harmless(w.fail) {
		return false
	}
	for _, g := range f.pre.groups {
		if g.name == "mlfid" {
			from, to := pre[g.slot], pre[g.slot+1]
			return from >= 0 && from < to && f.memory.get(text[from:to], f.clock(w)) == nil
		}
	}
	return false
}

// unknown reports whether nothing that this line can match would change anything, as far as can be told without running the prefregex:
// it begins with no multi-line id that is known, nor can the id be empty and the line match all the same.
func (f *Filter) unknown(w *work) bool {
	text := w.part.after
	return f.leads && w.ascii && w.when.OK && w.part.before == "" && text != "" && !f.noID[text[0]&0x7f] && f.harmless(w.fail) && !f.memory.index.mayBegin(text)
}

// harmless reports whether none of these failregexes changes anything where the multi-line id is not known.
func (f *Filter) harmless(regexes []int) bool {
	for _, i := range regexes {
		if !f.fail[i].harmless {
			return false
		}
	}
	return len(regexes) > 0
}

// find runs a failregex, and times it where a profile is asked for.
func (f *Filter) find(p *pattern, index int, text string, ascii bool) ([]int, error) {
	if f.profile == nil {
		return p.Search(&f.scratch.fail, text, ascii)
	}
	spent := &f.spent[index]
	if spent.runs++; spent.runs > 64 && spent.runs%16 != 0 {
		return p.Search(&f.scratch.fail, text, ascii)
	}
	start := f.profile()
	m, err := p.Search(&f.scratch.fail, text, ascii)
	spent.spent += f.profile().Sub(start)
	spent.timed++
	return m, err
}

// content is what failregexes see after a prefregex: the group F-CONTENT, or all of it if that is empty.
func (f *Filter) content(w *work, text string, m []int) string {
	if f.pre.content == 0 || m[f.pre.content] >= m[f.pre.content+1] {
		return text
	}
	from, to := m[f.pre.content], m[f.pre.content+1]
	if w.content >= 0 {
		w.content += from
	}
	if to == len(text)-1 && text[to] == '\n' {
		return text[from:]
	}
	return text[from:to] + "\n"
}

// base puts the fields that the prefregex found into the scratch.
func (f *Filter) base(text string, m []int) {
	f.scratch.base = f.scratch.base[:0]
	if m != nil {
		f.pre.fields(text, m, &f.scratch.base)
		f.pre.merge(&f.scratch.base)
	}
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

// ignores reports whether an ignoreregex matches.
func (f *Filter) ignores(w *work, text string, ascii bool) (yes bool) {
	for i, p := range f.ignore {
		m, err := p.Search(&f.scratch.ignore, text, ascii)
		if err != nil {
			f.gaveUp(err, -1)
			return true
		}
		if m != nil {
			f.stats.IgnoreHits[i]++
			if yes = true; w.exam == nil || !f.options.AllRegex {
				return true
			}
		}
	}
	return yes
}

// report makes a candidate of a match, after joining it with what is known of its multi-line id.
func (f *Filter) report(w *work, p *pattern, index int, text string, m []int, lines int) {
	own := &f.scratch.own
	*own = failure{fields: append(own.fields[:0], f.scratch.base...), matches: lines}
	p.fields(text, m, &own.fields)
	own.lists = p.merge(&own.fields)
	_, ifNone := own.fields.lookup("ifnone")
	own.fields.remove("ifnone")
	_, early := own.fields.lookup("early")
	own.fields.remove("early")
	from := own.address()
	result := own
	id := own.fields.get("mlfid")
	if id != "" {
		own.matches = 0
		result = f.memory.merge(id, own, lines, f.clock(w), f.FreshAddress)
	}
	w.exam.add(f, w, p, result, index)
	if !result.fields.identify(f.UseDNS) {
		if id != "" && result.fields.get("dns") == "" {
			result.pending = true
		}
		return
	}
	if id == "" && f.options.AllRegex && result.fields.get("nofail") != "" {
		return // fail2ban's tests pass over it; its daemon counts it, since nothing can follow
	}
	if id != "" && (result.quiet || result.gained || result.reported && ifNone) {
		return
	}
	if id != "" {
		if told := result.told; told != "" && told == from && !early {
			result.told = ""
			return
		}
		if early {
			result.told = strings.Clone(from)
		}
	}
	result.reported = true
	c := Candidate{Regex: index, Lines: result.matches, Attempts: repeats(own.fields)}
	if f.options.Bare {
		f.sendBare(w, &c)
		return
	}
	if id != "" && len(result.users) > 0 || len(result.lists) > 0 {
		c.Lists = map[string][]string{}
	}
	if id != "" && len(result.users) > 0 {
		c.Lists["users"] = slices.Clone(result.users)
	}
	for k, v := range result.lists {
		c.Lists[k] = slices.Clone(v)
	}
	f.send(w, &c, result.fields)
}

// clock is what ages the memory: the present, or in replay the records' time.
func (f *Filter) clock(w *work) time.Time {
	if f.options.Replay {
		return w.when.Time
	}
	return w.now
}

// send gives a candidate out. Nothing in it points into the line, not to keep the whole chunk that the line stands in.
func (f *Filter) send(w *work, c *Candidate, found fields) {
	f.scratch.out = found.detached(f.scratch.out[:0])
	c.identify(&f.scratch.out, f.UseDNS)
	c.Time, c.HasTime = w.when.Time, w.when.OK
	c.Fields = f.scratch.out.export()
	for _, list := range c.Lists {
		for i := range list {
			list[i] = strings.Clone(list[i])
		}
	}
	c.Text = strings.Clone(cut(w.raw, maxTextKept))
	c.Proven = f.Proof == "tcp" && !(f.Forgeable && w.forged) && c.Addr.IsValid() && c.Host == "" && c.ID == c.Addr.String()
	w.matched = true
	w.emit(w.jail, *c)
}

// sendBare gives out what says nothing of the line.
func (f *Filter) sendBare(w *work, c *Candidate) {
	c.Time, c.HasTime = w.when.Time, w.when.OK
	w.matched = true
	w.emit(w.jail, *c)
}

// logins looks for a successful log-in.
func (f *Filter) logins(w *work, text, whole string, pre []int, ascii bool) {
	logins := w.login
	if f.MaxLines > 1 {
		logins = f.allLogins
	}
	for _, i := range logins {
		p := f.login[i]
		m, err := p.Search(&f.scratch.fail, text, ascii)
		if err != nil {
			f.gaveUp(err, -1)
			return
		}
		if m == nil {
			continue
		}
		f.base(whole, pre)
		found := &f.scratch.base
		p.fields(text, m, found)
		c := Candidate{Regex: i, Login: true, Attempts: 1, Lines: 1}
		c.Lists = p.merge(found)
		switch {
		case !found.identify(f.UseDNS):
		case f.options.Bare:
			c.Lists = nil
			f.sendBare(w, &c)
		default:
			f.send(w, &c, *found)
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
