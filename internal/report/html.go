package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"

	"pfwarden/internal/ledger"
)

//go:embed page.html
var page string

// maxRows bounds the page's table of bans.
const maxRows = 5000

// HTML writes the report as one page that loads nothing: style and charts are inside, and a content policy forbids the rest.
func (r *Report) HTML(w io.Writer) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"number": number, "plain": plain, "address": func(b ledger.Ban) string { return address(&b) }, "stamp": stamp, "span": span, "length": func(b ledger.Ban) string { return length(&b) }, "jail": jailName,
		"second":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
		"when":    func(t *time.Time) string { return stamp(*t) },
		"seconds": func(s float64) string { return span(time.Duration(s * float64(time.Second))) },
		"percent": func(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) },
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("report page: %w", err)
	}
	data := struct {
		*Report
		Shown    []ledger.Ban
		Hidden   uint64
		Charts   []chart
		Rankings []bars
		Step     string
	}{Report: r, Shown: r.Bans[:min(len(r.Bans), maxRows)], Charts: charts(r.Timeline), Step: span(r.Timeline.Width)}
	data.Hidden = uint64(len(r.Bans)-len(data.Shown)) + r.Unlisted
	for _, k := range r.Rankings {
		data.Rankings = append(data.Rankings, newBars(k))
	}
	if err := t.Execute(w, data); err != nil {
		return fmt.Errorf("report page: %w", err)
	}
	return nil
}

// chart is one row of bars over time, in units of the drawing.
type chart struct {
	Name          string
	Class         string
	Highest       uint64
	Width, Height int
	From, To      string
	Bars          []bar
}

type bar struct {
	X, Y, Width, Height float64
	Title               string
}

const (
	chartWidth  = 960
	chartHeight = 70
)

func charts(t Timeline) []chart {
	var all []chart
	for _, row := range []struct {
		name, class string
		of          func(Bin) uint64
	}{
		{"blocked packets", "blocked", func(b Bin) uint64 { return b.Blocked }},
		{"failures in logs", "failures", func(b Bin) uint64 { return b.Failures }},
		{"bans", "bans", func(b Bin) uint64 { return b.Bans }},
		{"packets that bans would have stopped", "stopped", func(b Bin) uint64 { return b.Stopped }},
	} {
		c := chart{Name: row.name, Class: row.class, Width: chartWidth, Height: chartHeight}
		for _, b := range t.Bins {
			c.Highest = max(c.Highest, row.of(b))
		}
		if c.Highest == 0 {
			continue
		}
		c.From = stamp(t.Start)
		c.To = stamp(t.Start.Add(time.Duration(len(t.Bins)) * t.Width))
		w := float64(chartWidth) / float64(len(t.Bins))
		for i, b := range t.Bins {
			n := row.of(b)
			if n == 0 {
				continue
			}
			h := max(1, float64(n)/float64(c.Highest)*chartHeight)
			at := t.Start.Add(time.Duration(i) * t.Width)
			c.Bars = append(c.Bars, bar{
				X: round(float64(i) * w), Y: round(chartHeight - h), Width: round(max(w-1, 1)), Height: round(h),
				Title: fmt.Sprintf("%s: %s", stamp(at), number(n)),
			})
		}
		all = append(all, c)
	}
	return all
}

func round(f float64) float64 { return float64(int(f*10+.5)) / 10 }

// bars is a ranking as drawn.
type bars struct {
	Ranking
	Height int
	Lines  []barLine
}

type barLine struct {
	Name   string
	Count  string
	Y      int
	TextY  int
	Length float64
}

const rowHeight = 22

func newBars(k Ranking) bars {
	b := bars{Ranking: k, Height: rowHeight * len(k.Rows)}
	highest := uint64(1)
	for _, row := range k.Rows {
		highest = max(highest, row.Count)
	}
	for i, row := range k.Rows {
		b.Lines = append(b.Lines, barLine{
			Name: clip(plain(row.Name), 40), Count: number(row.Count), Y: i*rowHeight + 3, TextY: i*rowHeight + 16,
			Length: round(max(1, float64(row.Count)/float64(highest)*240)),
		})
	}
	return b
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
