// Package regextest runs one filter over one log and tells what it found: the work of pfwarden test, and of fail2ban-regex.
package regextest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/logtail"
	"pfwarden/detect/filter"
	"pfwarden/detect/filter/builtin"
)

// Loader finds the definition that a specification "name[options]" stands for, e.g. in a fail2ban folder.
type Loader func(spec string) (filter.Definition, error)

// Options of Run.
type Options struct {
	Log       string // path, "-" for Input, or a line of text
	Filter    string // name[options], or a regular expression with a tag such as <ADDR> in it
	Load      Loader // nil: pfwarden's own filters
	Input     io.Reader
	Now       time.Time // with it, times are taken as fail2ban takes them; zero: as they stand in the log
	UseDNS    string    // overrides the filter's; "" = as it is
	Logtype   string    // "journal": lines carry no time stamp
	Encoding  string    // of the log, overrides the filter's; "" = as it is
	FindTime  time.Duration
	NoFind    bool // no rule of find time applies
	AllRegex  bool
	Location  *time.Location
	Year      int
	JSON      bool
	Color     bool
	Verbose   bool             // list every line that matched
	Stopwatch func() time.Time // what measures the time spent
}

// ErrUsage wraps faults of the call: no such filter, a bad pattern.
var ErrUsage = errors.New("cannot be used")

// maxListed bounds how many missed or matched lines a report lists.
const maxListed = 20

// definition resolves what the user named: one of the filters, or a pattern.
func definition(o Options) (filter.Definition, error) {
	def, err := find(o)
	if err != nil {
		return def, err
	}
	if o.UseDNS != "" {
		def.UseDNS = o.UseDNS
	}
	if o.Encoding != "" {
		def.LogEncoding = o.Encoding
	}
	if o.Logtype != "" {
		def.Logtype = o.Logtype
	}
	return def, nil
}

func find(o Options) (filter.Definition, error) {
	name, _, _ := strings.Cut(o.Filter, "[")
	own := slices.Contains(builtin.Names(), name)
	pattern := !own && strings.ContainsAny(o.Filter, `<(\^`)
	switch {
	case o.Load != nil && !strings.ContainsAny(name, `<(\^$ `):
		return o.Load(o.Filter)
	case own:
		return builtin.Lookup(o.Filter)
	case pattern:
		return filter.Definition{Name: "regex", Failregex: []string{o.Filter}}, nil
	}
	_, err := builtin.Lookup(o.Filter)
	return filter.Definition{}, fmt.Errorf("%w; a pattern needs a tag such as <ADDR>", err)
}

// Run reads the log and writes the report.
func Run(ctx context.Context, w io.Writer, o Options) error {
	def, err := definition(o)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUsage, err)
	}
	if o.Stopwatch == nil {
		o.Stopwatch = time.Now
	}
	options := filter.Options{
		Location: o.Location, Year: o.Year, AllRegex: o.AllRegex, Replay: o.Now.IsZero(), NoFindTime: o.NoFind, FindTime: o.FindTime,
		Bare: !o.JSON,
	}
	f, err := filter.Compile(def, options)
	if err != nil {
		return fmt.Errorf("%w: filter %s: %w", ErrUsage, def.Name, err)
	}
	in, modified, err := o.open()
	if err != nil {
		return err
	}
	defer in.Close()
	t := &tester{
		o: o, filter: f, set: filter.NewSet([]*filter.Filter{f}), modified: modified, out: bufio.NewWriterSize(w, 64<<10),
		hits: make([]hit, len(def.Failregex)),
	}
	if !o.JSON {
		f.Profile(o.Stopwatch)
	}
	start := o.Stopwatch()
	fault := t.read(ctx, in) // of a damaged archive, which is told as far as it goes
	if !o.JSON && ctx.Err() == nil {
		t.report(o.Stopwatch().Sub(start))
	}
	return errors.Join(fault, t.out.Flush())
}

// open finds the log. A text that is no file but holds a space is taken for a line.
func (o Options) open() (io.ReadCloser, time.Time, error) {
	if o.Log == "-" {
		return io.NopCloser(o.Input), time.Time{}, nil
	}
	file, err := os.Open(o.Log)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) && strings.Contains(o.Log, " ") {
			return io.NopCloser(strings.NewReader(o.Log + "\n")), time.Time{}, nil
		}
		return nil, time.Time{}, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, time.Time{}, err
	}
	return file, info.ModTime(), nil
}

// hit is what one failregex did.
type hit struct {
	count   int
	samples []string
}

type tester struct {
	o        Options
	filter   *filter.Filter
	set      *filter.Set
	modified time.Time
	out      *bufio.Writer

	lines, matched, ignored, missed, dated, logins int
	dates                                          tally
	hits                                           []hit // by failregex
	missedLines, ignoredLines                      []string
	failure                                        []filter.Candidate
}

// aLook is how many lines are read between two looks at whether the run was called off.
const aLook = 256

func (t *tester) read(ctx context.Context, in io.Reader) error {
	plain, err := logtail.Unpack(in)
	if err != nil {
		return fmt.Errorf("%s: %w", t.o.Log, err)
	}
	defer plain.Close()
	lines := newLineReader(plain)
	collect := func(_ int, c filter.Candidate) {
		if c.Login {
			t.logins++
			return
		}
		t.failure = append(t.failure, c)
	}
	l := capture.Line{Origin: t.o.Log, Modified: t.modified, Read: t.o.Now}
	for t.lines%aLook != 0 || ctx.Err() == nil {
		text, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", t.o.Log, err)
		}
		t.lines++
		l.Text, l.Number = text, uint64(t.lines)
		t.failure = t.failure[:0]
		trace := t.set.Trace(l, t.o.Now, collect)
		if !t.o.JSON {
			t.count(trace.Text, trace)
		} else if err := t.writeJSON(trace.Ignored[0]); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// count takes a line into the report. What it keeps of its text is cloned.
func (t *tester) count(text string, trace *filter.Trace) {
	if trace.DatePattern != "" {
		t.dated++
		t.dates.add(trace.DatePattern)
	}
	switch {
	case len(t.failure) > 0:
		t.matched++
		for i := range t.failure {
			h := &t.hits[t.failure[i].Regex]
			h.count++
			if len(h.samples) < 3 || t.o.Verbose {
				h.samples = append(h.samples, strings.Clone(t.mark(text, trace)))
			}
		}
	case trace.Ignored[0]:
		t.ignored++
		keep(&t.ignoredLines, text)
	default:
		t.missed++
		keep(&t.missedLines, text)
	}
}

func keep(list *[]string, text string) {
	if len(*list) < maxListed {
		*list = append(*list, strings.Clone(text))
	}
}

// tally counts names of which one comes many times in a row.
type tally struct {
	counts map[string]int
	last   string
	run    int // of last, not in counts yet
}

func (t *tally) add(name string) {
	if name != t.last {
		t.settle()
		t.last = name
	}
	t.run++
}

// settle brings the counts up to date and returns them.
func (t *tally) settle() map[string]int {
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	if t.run > 0 {
		t.counts[t.last] += t.run
		t.run = 0
	}
	return t.counts
}
