package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pfwarden/capture"
	"pfwarden/detect/filter"
	"pfwarden/detect/filter/date"
)

// regexOptions are what fail2ban-regex was asked.
type regexOptions struct {
	dir, datepattern, timezone, useDNS, out string
	maxLines                                int
	log, regex, ignore                      string
	allMatched, allMissed, allIgnored       bool
	noMissed, noIgnored, raw, first         bool
}

func parseRegexOptions(args []string) (o regexOptions, err error) {
	o.dir = "/etc/fail2ban"
	var rest []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		name, v, joined := strings.Cut(a, "=")
		value := func() string {
			if joined {
				return v
			}
			if i++; i < len(args) {
				return args[i]
			}
			err = errors.Join(err, fmt.Errorf("option %s requires an argument", a))
			return ""
		}
		switch {
		case a == "-" || !strings.HasPrefix(a, "-"):
			rest = append(rest, a)
			continue
		case name == "-c" || name == "--config":
			o.dir = value()
		case name == "-d" || name == "--datepattern":
			o.datepattern = value()
		case name == "--timezone" || name == "--TZ":
			o.timezone = value()
		case name == "--usedns":
			o.useDNS = value()
		case name == "-o" || name == "--out":
			o.out = value()
		case name == "-L" || name == "--maxlines":
			_, scan := fmt.Sscan(value(), &o.maxLines)
			err = errors.Join(err, scan)
		case name == "-e" || name == "--encoding", name == "-l" || name == "--log-level", name == "-m" || name == "--journalmatch", name == "--verbosity", name == "-x":
			_ = value()
		case name == "-r" || name == "--raw":
			o.raw = true
		case name == "--print-all-matched":
			o.allMatched = true
		case name == "--print-all-missed":
			o.allMissed = true
		case name == "--print-all-ignored":
			o.allIgnored = true
		case name == "--print-no-missed":
			o.noMissed = true
		case name == "--print-no-ignored":
			o.noIgnored = true
		case name == "--no-check-all":
			o.first = true
		case strings.HasPrefix(name, "-v") || name == "--verbose" || name == "-D" || name == "--debuggex" || name == "--full-traceback":
		default:
			err = errors.Join(err, fmt.Errorf("no such option: %s", a))
		}
	}
	if len(rest) < 2 || len(rest) > 3 {
		return o, errors.Join(err, errors.New("wants LOG REGEX [IGNOREREGEX]"))
	}
	o.log, o.regex = rest[0], rest[1]
	if len(rest) == 3 {
		o.ignore = rest[2]
	}
	return o, err
}

// fail2banRegex is fail2ban-regex.
func fail2banRegex(ctx context.Context, streams stdio, args []string) error {
	o, err := parseRegexOptions(args)
	if err != nil {
		fmt.Fprintf(streams.Err, "Usage: fail2ban-regex [OPTIONS] <LOG> <REGEX> [IGNOREREGEX]\nfail2ban-regex: %v\n", err)
		return &fail2banStatus{exitFail2ban}
	}
	w := bufio.NewWriter(streams.Out)
	defer w.Flush()
	def, err := o.definition(w)
	if err != nil {
		w.Flush()
		fmt.Fprintf(streams.Err, "ERROR: %v\n", err)
		return &fail2banStatus{exitFail2ban}
	}
	in, err := o.open(w, streams.In)
	if err != nil {
		w.Flush()
		fmt.Fprintf(streams.Err, "ERROR: %v\n", err)
		return &fail2banStatus{exitFail2ban}
	}
	defer in.Close()
	options := filter.Options{AllRegex: !o.first, NoFindTime: true, RawHost: o.raw}
	if o.timezone != "" {
		if options.Location, err = date.Location(o.timezone); err != nil {
			fmt.Fprintf(streams.Err, "ERROR: %v\n", err)
			return &fail2banStatus{exitFail2ban}
		}
	}
	f, err := filter.Compile(def, options)
	if err != nil {
		w.Flush()
		fmt.Fprintf(streams.Err, "ERROR: %v\n", err)
		return &fail2banStatus{exitFail2ban}
	}
	t := &regexRun{o: o, filter: f, set: filter.NewSet([]*filter.Filter{f}), dates: map[string]int{}, hits: make([]int, len(def.Failregex)), w: w}
	return t.run(ctx, in)
}

// definition finds the filter: a file, one of the folder's by name, or a regular expression.
func (o *regexOptions) definition(w io.Writer) (def filter.Definition, err error) {
	head := func(format string, a ...any) {
		if o.out == "" {
			fmt.Fprintf(w, format, a...)
		}
	}
	head("\nRunning tests\n=============\n\n")
	name, _, _ := strings.Cut(o.regex, "[")
	load, err := fail2banFolder(o.dir, "")
	isFile := filepath.Base(filepath.Dir(name)) == "filter.d"
	named := false
	if err == nil && !strings.ContainsAny(name, `<>^$()\ `) {
		for _, suffix := range []string{".conf", ".local"} {
			_, missing := os.Stat(filepath.Join(o.dir, "filter.d", name+suffix))
			named = named || missing == nil
		}
	}
	switch {
	case isFile || named:
		if isFile && load == nil {
			if load, err = fail2banFolder(filepath.Dir(filepath.Dir(name)), ""); err != nil {
				return def, err
			}
		}
		if def, err = load(o.regex); err != nil {
			return def, err
		}
		head("Use   failregex filter file : %s, basedir: %s\n", name, o.dir)
	default:
		head("Use   failregex line : %s\n", o.regex)
		def = filter.Definition{Name: "regex", Failregex: []string{o.regex}}
	}
	if o.ignore != "" {
		head("Use   ignoreregex line : %s\n", o.ignore)
		def.Ignoreregex = []string{o.ignore}
	}
	if o.maxLines > 0 {
		head("Use      maxlines : %d\n", o.maxLines)
		def.MaxLines = o.maxLines
	}
	if o.datepattern != "" {
		head("Use      datepattern : %s : %s\n", o.datepattern, o.datepattern)
		def.Datepattern = o.datepattern
	}
	if o.useDNS != "" {
		def.UseDNS = o.useDNS
	}
	return def, nil
}

func (o *regexOptions) open(w io.Writer, stdin io.Reader) (io.ReadCloser, error) {
	if o.log == "-" {
		return io.NopCloser(stdin), nil
	}
	f, err := os.Open(o.log)
	if err == nil {
		if o.out == "" {
			fmt.Fprintf(w, "Use         log file : %s\nUse         encoding : UTF-8\n", o.log)
		}
		return f, nil
	}
	if o.log == "systemd-journal" {
		return nil, errors.New("the journal of systemd is not read by pfwarden: write it into a file with journalctl -o short")
	}
	if !strings.Contains(o.log, " ") {
		return nil, err
	}
	if o.out == "" {
		fmt.Fprintf(w, "Use      single line : %s\n", o.log)
	}
	return io.NopCloser(strings.NewReader(o.log + "\n")), nil
}

// regexRun is one run over a log.
type regexRun struct {
	o      regexOptions
	filter *filter.Filter
	set    *filter.Set
	w      *bufio.Writer

	lines, matched, ignored, missed         int
	hits                                    []int
	dates                                   map[string]int
	matchedLines, ignoredLines, missedLines []string
}

// listed is how many lines of a kind are shown unless all are asked for.
const listed = 20

func (t *regexRun) run(ctx context.Context, in io.Reader) error {
	start := time.Now()
	r := bufio.NewReaderSize(in, 1<<20)
	for ctx.Err() == nil {
		text, err := r.ReadString('\n')
		if text != "" {
			t.line(strings.TrimRight(text, "\r\n"))
		}
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
	}
	if t.o.out == "" {
		t.report(time.Since(start))
	}
	return ctx.Err()
}

func (t *regexRun) line(text string) {
	if strings.TrimSpace(text) == "" || strings.HasPrefix(text, "#") {
		return
	}
	t.lines++
	now := time.Now()
	found := false
	trace := t.set.Trace(capture.Line{Text: text, Origin: t.o.log, Read: now}, now, func(_ int, c filter.Candidate) {
		if c.Login {
			return
		}
		found = true
		if c.Regex < len(t.hits) {
			t.hits[c.Regex]++
		}
		switch t.o.out {
		case "":
		case "ip", "id", "fid":
			fmt.Fprintln(t.w, c.ID)
		case "row":
			fmt.Fprintf(t.w, "[%q,\t%d,\t%q],\n", c.ID, c.Time.Unix(), text)
		case "msg":
			fmt.Fprintln(t.w, text)
		default:
			out := strings.NewReplacer("<ip>", c.ID, "<fid>", c.ID, "<time>", fmt.Sprint(c.Time.Unix()), "<msg>", text).Replace(t.o.out)
			for k, v := range c.Fields {
				out = strings.ReplaceAll(out, "<F-"+strings.ToUpper(k)+">", v)
			}
			fmt.Fprintln(t.w, out)
		}
	})
	if trace.DatePattern != "" {
		t.dates[trace.DatePattern]++
	}
	keep := func(list *[]string) {
		if len(*list) < 100000 {
			*list = append(*list, text)
		}
	}
	switch {
	case found:
		t.matched++
		keep(&t.matchedLines)
	case len(trace.Ignored) > 0 && trace.Ignored[0]:
		t.ignored++
		keep(&t.ignoredLines)
	default:
		t.missed++
		keep(&t.missedLines)
	}
}

func (t *regexRun) report(took time.Duration) {
	w := t.w
	fmt.Fprintf(w, "\n\nResults\n=======\n")
	regexes := func(title string, list []string, hits func(int) int) {
		total := 0
		for i := range list {
			total += hits(i)
		}
		fmt.Fprintf(w, "\n%s: %d total\n", title, total)
		if total == 0 {
			return
		}
		fmt.Fprintf(w, "|-  #) [# of hits] regular expression\n")
		for i, r := range list {
			if hits(i) > 0 {
				fmt.Fprintf(w, "|  %2d) [%d] %s\n", i+1, hits(i), r)
			}
		}
		fmt.Fprintf(w, "`-\n")
	}
	stats := t.filter.Stats()
	regexes("Failregex", t.filter.Failregex, func(i int) int { return t.hits[i] })
	regexes("Ignoreregex", t.filter.Ignoreregex, func(i int) int { return int(stats.IgnoreHits[i]) })
	fmt.Fprintf(w, "\nDate template hits:\n")
	if len(t.dates) > 0 {
		fmt.Fprintf(w, "|- [# of hits] date format\n")
		for _, p := range sortedKeys(t.dates) {
			fmt.Fprintf(w, "|  [%d] %s\n", t.dates[p], p)
		}
		fmt.Fprintf(w, "`-\n")
	}
	fmt.Fprintf(w, "\nLines: %d lines, %d ignored, %d matched, %d missed\n[processed in %.2f sec]\n\n", t.lines, t.ignored, t.matched, t.missed, took.Seconds())
	t.list("Matched", t.matchedLines, t.o.allMatched, !t.o.allMatched)
	t.list("Ignored", t.ignoredLines, t.o.allIgnored, t.o.noIgnored)
	t.list("Missed", t.missedLines, t.o.allMissed, t.o.noMissed)
}

func (t *regexRun) list(title string, lines []string, all, none bool) {
	if none || len(lines) == 0 {
		return
	}
	if !all && len(lines) > listed {
		fmt.Fprintf(t.w, "%s line(s): too many to print.  Use --print-all-%s to print all %d lines\n", title, strings.ToLower(title), len(lines))
		return
	}
	fmt.Fprintf(t.w, "|- %s line(s):\n", title)
	for _, l := range lines {
		fmt.Fprintf(t.w, "|  %s\n", l)
	}
	fmt.Fprintf(t.w, "`-\n")
}

func sortedKeys(m map[string]int) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
