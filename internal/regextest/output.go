package regextest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"pfwarden/detect/filter"
)

// result is one line of the log in JSON, as docs and other programs know it.
type result struct {
	Line    int     `json:"line"`
	Found   []found `json:"found"`
	Ignored bool    `json:"ignored"`
}

type found struct {
	Regex int            `json:"regex"`
	ID    string         `json:"id"`
	Time  *seconds       `json:"time"`
	Data  map[string]any `json:"data"`
}

// seconds since 1970 are written with a fraction, as Python does.
type seconds float64

func (s seconds) MarshalJSON() ([]byte, error) {
	text := strconv.FormatFloat(float64(s), 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return []byte(text), nil
}

func (t *tester) writeJSON(ignored bool) error {
	if len(t.failure) == 0 { // most lines: what Encode would write
		b := append(t.out.AvailableBuffer(), `{"line":`...)
		b = append(strconv.AppendInt(b, int64(t.lines), 10), `,"found":[],"ignored":`...)
		_, err := t.out.Write(append(strconv.AppendBool(b, ignored), "}\n"...))
		return err
	}
	r := result{Line: t.lines, Found: []found{}, Ignored: ignored}
	for _, c := range t.failure {
		f := found{Regex: c.Regex, ID: c.ID, Data: data(c)}
		if f.ID == "" {
			f.ID = c.Host
		}
		if c.HasTime {
			s := seconds(float64(c.Time.Unix()) + float64(c.Time.Nanosecond())/1e9)
			f.Time = &s
		}
		r.Found = append(r.Found, f)
	}
	e := json.NewEncoder(t.out)
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

func data(c filter.Candidate) map[string]any {
	out := map[string]any{}
	for k, v := range c.Fields {
		out[k] = v
	}
	for k, v := range c.Lists {
		out[k] = v
	}
	if c.Lines > 1 || c.Fields["mlfid"] != "" {
		out["attempts"] = c.Lines
	}
	return out
}

// slow is what a single run of a pattern may take before the report warns of it.
const slow = 200 * time.Microsecond

func (t *tester) report(spent time.Duration) {
	p := func(format string, args ...any) { fmt.Fprintf(t.out, format, args...) }
	p("filter   %s\nlog      %s\n\n", t.heading(), clean(t.o.Log))
	p("%d lines: %d matched, %d ignored, %d missed; %d with a time stamp", t.lines, t.matched, t.ignored, t.missed, t.dated)
	if t.logins > 0 {
		p("; %d successful log-ins", t.logins)
	}
	rate := float64(t.lines) / max(spent.Seconds(), 1e-9)
	p("\n%s, %.0f lines a second\n", spent.Round(10*time.Microsecond), rate)

	p("\nfailregex\n")
	for i, regex := range t.filter.Failregex {
		h := &t.hits[i]
		if h.count == 0 {
			if t.o.Verbose {
				p("%7d  %d  %s\n", 0, i+1, regex)
			}
			continue
		}
		p("%7d  %d  %s\n", h.count, i+1, t.color(dim, regex))
		for _, s := range h.samples {
			p("            %s\n", s)
		}
	}
	if t.matched == 0 {
		p("      none matched\n")
	}
	for i, n := range t.filter.Stats().IgnoreHits {
		if n > 0 {
			p("%7d  ignoreregex %d  %s\n", n, i+1, t.filter.Ignoreregex[i])
		}
	}
	if dates := t.dates.settle(); len(dates) > 0 {
		p("\ntime stamps\n")
		for _, name := range byCount(dates) {
			p("%7d  %s\n", dates[name], name)
		}
	}
	t.list("ignored lines", t.ignored, t.ignoredLines)
	t.list("missed lines", t.missed, t.missedLines)
	t.warn()
}

func (t *tester) heading() string {
	if t.filter.Name == "regex" {
		return "the given pattern"
	}
	return clean(t.o.Filter)
}

func (t *tester) list(title string, count int, lines []string) {
	if count == 0 {
		return
	}
	fmt.Fprintf(t.out, "\n%s\n", title)
	for _, l := range lines {
		fmt.Fprintf(t.out, "         %s\n", clean(cut(l, 300)))
	}
	if count > len(lines) {
		fmt.Fprintf(t.out, "         … and %d more\n", count-len(lines))
	}
}

func (t *tester) warn() {
	warnings := t.filter.Warnings()
	stats := t.filter.Stats()
	for i := range t.filter.Failregex {
		if spent, runs := t.filter.Spent(i); runs > 0 && spent/time.Duration(runs) > slow {
			warnings = append(warnings, fmt.Sprintf("failregex %d is slow: %s a line on %d lines", i+1, (spent/time.Duration(runs)).Round(time.Microsecond), runs))
		}
		if n := stats.SlowRegex[i]; n > 0 {
			warnings = append(warnings, fmt.Sprintf("failregex %d ran into the time limit on %d lines, which were given up", i+1, n))
		}
	}
	if stats.Long > 0 {
		warnings = append(warnings, fmt.Sprintf("%d lines are longer than %d bytes; only their beginning was matched", stats.Long, filter.DefaultMaxLine))
	}
	if n := t.set.Stats().Undecoded; n > 0 {
		name := t.filter.LogEncoding
		if name == "" || strings.EqualFold(name, "auto") {
			name = "utf-8"
		}
		warnings = append(warnings, fmt.Sprintf("%d lines have bytes that mean nothing in %s (see --encoding)", n, name))
	}
	if stats.NoTime > 0 {
		warnings = append(warnings, fmt.Sprintf("%d matches have no usable time and count for nothing", stats.NoTime))
	}
	if stats.TooOld > 0 {
		warnings = append(warnings, fmt.Sprintf("%d lines are older than the find time", stats.TooOld))
	}
	if len(warnings) > 0 {
		fmt.Fprintf(t.out, "\nwarnings\n")
		for _, w := range warnings {
			fmt.Fprintf(t.out, "         %s\n", t.color(yellow, w))
		}
	}
}

func byCount(m map[string]int) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		if m[a] != m[b] {
			return m[b] - m[a]
		}
		return strings.Compare(a, b)
	})
	return names
}

// Terminal colours.
const (
	dim    = "2"
	green  = "1;32"
	yellow = "33"
	cyan   = "36"
	red    = "1;31"
)

func (t *tester) color(code, text string) string {
	if !t.o.Color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// mark shows where in a line its parts matched: the time stamp, the address, the rest.
func (t *tester) mark(line string, trace *filter.Trace) string {
	if !t.o.Color {
		return clean(cut(line, 300))
	}
	spans := slices.Clone(trace.Spans)
	spans = slices.DeleteFunc(spans, func(s filter.Span) bool { return s.Name == "mlfid" || s.Start >= s.End || s.End > len(line) })
	if trace.DateEnd > trace.DateStart && trace.DateEnd <= len(line) {
		spans = append(spans, filter.Span{Name: "time", Start: trace.DateStart, End: trace.DateEnd})
	}
	slices.SortStableFunc(spans, func(a, b filter.Span) int { return a.Start - b.Start })
	var b strings.Builder
	at := 0
	for _, s := range spans {
		if s.Start < at {
			continue
		}
		b.WriteString(clean(line[at:s.Start]))
		code := green
		switch s.Name {
		case "time":
			code = cyan
		case "ip4", "ip6", "dns", "fid":
			code = red
		}
		b.WriteString(t.color(code, clean(line[s.Start:s.End])))
		at = s.End
	}
	b.WriteString(clean(cut(line[at:], 300)))
	return b.String()
}

// clean makes text of a log harmless for a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf) || r == unicode.ReplacementChar {
			return '·'
		}
		return r
	}, s)
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
