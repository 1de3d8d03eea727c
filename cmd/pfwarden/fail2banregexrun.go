package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"pfwarden/capture"
	"pfwarden/detect/filter"
	"pfwarden/detect/filter/date"
	"pfwarden/internal/f2bclient"
)

// regexHits are the matches of one failregex.
type regexHits struct {
	count int
	found []string // with -v: whom and when
}

// regexRun is one run of fail2ban-regex over a log, and what it has counted so far.
type regexRun struct {
	o      regexOptions
	filter *filter.Filter
	def    filter.Definition
	set    *filter.Set
	w      *bufio.Writer

	lines, matched, ignored, missed         int
	prefix                                  int
	prefixGroups                            []string
	hits                                    []regexHits
	matchedLines, ignoredLines, missedLines []string
	connection                              map[string][]string // the lines of a multi-line id, for -o
	names                                   map[string][]string // addresses of names
}

const (
	regexListed     = 20 // lines of a kind that are shown unless all are asked for
	regexRemembered = 100000
	connectionLines = 1000
)

// listed is how many lines of a kind, and groups of the prefregex, are shown.
func (t *regexRun) listed() int {
	if t.o.maxLines > 0 {
		return t.o.maxLines
	}
	return regexListed
}

func (t *regexRun) run(ctx context.Context, in io.Reader) error {
	start := time.Now()
	r := bufio.NewReaderSize(in, 1<<20)
	for ctx.Err() == nil {
		text, err := r.ReadString('\n')
		if text != "" {
			t.line(ctx, strings.TrimRight(text, "\r\n"))
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

// line examines one line. Empty lines and comments do not count.
func (t *regexRun) line(ctx context.Context, text string) {
	if text == "" || strings.HasPrefix(text, "#") {
		return
	}
	t.lines++
	now := time.Now()
	x := t.set.Examine(capture.Line{Text: text, Origin: t.o.log, Read: now}, now)
	if x.Text != "" {
		text = x.Text // decoded
	}
	var failures []failure
	quiet := x.Ignored[0]
	first := t.o.first || t.o.out != ""
	for i := range x.Hits {
		h := &x.Hits[i]
		if h.MLFID != "" && !slices.ContainsFunc(x.Hits[:i], func(o filter.Hit) bool { return o.MLFID == h.MLFID }) {
			list := t.connection[h.MLFID]
			if list != nil || len(t.connection) < regexRemembered {
				t.connection[h.MLFID] = append(list[max(0, len(list)-connectionLines):], text)
			}
		}
		if first && h.Quiet && h.MLFID != "" || t.o.out != "" && h.Pending {
			continue // no failure yet: fail2ban goes no further, either
		}
		for _, id := range t.whom(ctx, h) {
			t.hits[h.Regex].count++
			if t.o.verbose > 0 && len(t.hits[h.Regex].found) < regexRemembered {
				t.hits[h.Regex].found = append(t.hits[h.Regex].found, foundText(id, h, now, len(failures) > 1))
			}
			if h.Quiet {
				quiet = true
				continue
			}
			failures = append(failures, failure{h, id, x.Zoned || t.o.timezone != "", t.linesOf(h, text)})
		}
	}
	if t.o.out != "" {
		t.put(failures)
		return
	}
	if x.Prefix {
		t.prefix++
		if t.o.verbose > 0 {
			t.keepPrefix(x.PrefixGroups)
		}
	}
	t.count(text, x.Earlier, quiet, len(failures) > 0)
}

// count sorts a line, and earlier ones that turned out to belong to it.
func (t *regexRun) count(text string, earlier []string, quiet, failed bool) {
	for _, l := range earlier {
		if i := slices.Index(t.missedLines, l); i >= 0 {
			t.missedLines = slices.Delete(t.missedLines, i, i+1)
		}
		if t.o.allMatched {
			t.matchedLines = append(t.matchedLines, l)
		}
		t.matched++
		t.missed--
	}
	keep := func(list *[]string, count int, all, none bool) {
		if !none && (all || count <= t.listed()+1) && len(*list) < regexRemembered {
			*list = append(*list, text)
		}
	}
	switch {
	case quiet:
		t.ignored++
		keep(&t.ignoredLines, t.ignored, t.o.allIgnored, t.o.noIgnored)
	case failed:
		t.matched++
		keep(&t.matchedLines, t.matched, true, !t.o.allMatched)
	default:
		t.missed++
		keep(&t.missedLines, t.missed, t.o.allMissed, t.o.noMissed)
	}
}

// whom lists whom a match names: nobody yet, one, or all addresses of a name.
func (t *regexRun) whom(ctx context.Context, h *filter.Hit) []string {
	switch {
	case h.Pending:
		return []string{""}
	case h.Host == "" || h.ID != "":
		return []string{h.ID}
	}
	if list, known := t.names[h.Host]; known {
		return list
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	list, err := net.DefaultResolver.LookupHost(ctx, h.Host)
	if err != nil {
		list = nil
	}
	if t.names == nil {
		t.names = make(map[string][]string)
	}
	if len(t.names) < regexRemembered {
		t.names[h.Host] = list
	}
	return list
}

// foundText says whom a match named and when.
func foundText(id string, h *filter.Hit, now time.Time, several bool) string {
	if id == "" {
		id = "None"
	}
	at := now
	if h.HasTime {
		at = h.Time
	}
	text := "    " + id + "  " + at.Local().Format("Mon Jan 02 15:04:05 2006")
	if several {
		text += " (multiple regex matched)"
	}
	return text
}

func (t *regexRun) keepPrefix(groups []filter.Group) {
	switch n := len(t.prefixGroups); {
	case n < t.listed():
		d := f2bclient.Dict{}
		for _, g := range groups {
			p := f2bclient.Pair{Key: g.Name}
			if g.Took {
				p.Value = g.Text
			}
			d = append(d, p)
		}
		t.prefixGroups = append(t.prefixGroups, f2bclient.Repr(d))
	case n == t.listed():
		t.prefixGroups = append(t.prefixGroups, "...")
	}
}

// report prints what was found, as fail2ban-regex does.
func (t *regexRun) report(took time.Duration) {
	p := func(format string, a ...any) { fmt.Fprintf(t.w, format, a...) }
	list := func(header string, lines []string) {
		if len(lines) == 0 {
			return
		}
		if header != "" {
			p("|- %s\n", header)
		}
		p("|  %s\n`-\n", strings.Join(lines, "\n|  "))
	}
	p("\nResults\n=======\n")
	if t.def.Prefregex != "" {
		lines := []string{filter.Expand(t.def.Prefregex, t.def.UseDNS)}
		for _, g := range t.prefixGroups {
			lines = append(lines, "    "+g)
		}
		p("\nPrefregex: %d total\n", t.prefix)
		list("", lines)
	}
	stats := t.filter.Stats()
	ignored := make([]regexHits, len(stats.IgnoreHits))
	for i, n := range stats.IgnoreHits {
		ignored[i].count = int(n) //nolint:gosec // no more than there are lines
	}
	regexes := func(title string, regexes []string, hits []regexHits) {
		total, lines := 0, []string(nil)
		for i, r := range regexes {
			total += hits[i].count
			if hits[i].count > 0 || t.o.verbose > 0 {
				lines = append(lines, fmt.Sprintf("%2d) [%d] %s", i+1, hits[i].count, r))
			}
			lines = append(lines, hits[i].found...)
		}
		p("\n%s: %d total\n", title, total)
		list(" #) [# of hits] regular expression", lines)
	}
	regexes("Failregex", t.filter.Failregex, t.hits)
	regexes("Ignoreregex", t.filter.Ignoreregex, ignored)
	p("\nDate template hits:\n")
	list("[# of hits] date format", t.dates())
	p("\nLines: %d lines, %d ignored, %d matched, %d missed\n[processed in %.2f sec]\n\n", t.lines, t.ignored, t.matched, t.missed, took.Seconds())
	t.list("matched", t.matched, t.matchedLines, t.o.allMatched, !t.o.allMatched)
	t.list("ignored", t.ignored, t.ignoredLines, t.o.allIgnored, t.o.noIgnored)
	t.list("missed", t.missed, t.missedLines, t.o.allMissed, t.o.noMissed)
}

// dates lists the date formats that were met, with -v all of them.
func (t *regexRun) dates() (lines []string) {
	for _, u := range t.set.Dates() {
		if u.Hits == 0 && t.o.verbose == 0 {
			continue
		}
		shown, name := date.Describe(u.Pattern)
		lines = append(lines, fmt.Sprintf("[%d] %s", u.Hits, name))
		if t.o.verboseDate {
			lines = append(lines, fmt.Sprintf("    # weight: %.3f (%.3f), pattern: %s", u.Weight, u.Base, shown))
		}
	}
	return lines
}

func (t *regexRun) list(title string, count int, lines []string, all, none bool) {
	header := strings.ToUpper(title[:1]) + title[1:] + " line(s):"
	switch {
	case none || count == 0:
	case count >= t.listed() && !all:
		fmt.Fprintf(t.w, "%s too many to print.  Use --print-all-%s to print all %d lines\n", header, title, count)
	case len(lines) > 0:
		fmt.Fprintf(t.w, "|- %s\n", header)
		for _, l := range lines {
			fmt.Fprintf(t.w, "|  %s\n", strings.TrimRight(l, " \t\r\n\v\f"))
		}
		fmt.Fprintf(t.w, "`-\n")
	}
}
