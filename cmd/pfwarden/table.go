package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// colour is an SGR parameter of ECMA-48; plain is none.
type colour string

const (
	plain  colour = ""
	bold   colour = "1"
	faint  colour = "2"
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
)

// painter writes text for people. It colours only where a person looks: on a terminal, and if NO_COLOR is not set
// (https://no-color.org).
type painter struct {
	w      io.Writer
	colour bool
	err    error // the first one; later writes are left out
}

func newPainter(w io.Writer) *painter {
	return &painter{w: w, colour: isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// isTerminal tells whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (p *painter) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// paint returns s in a colour. s must have gone through clean if it came from outside.
func (p *painter) paint(c colour, s string) string {
	if !p.colour || c == plain || s == "" {
		return s
	}
	return "\x1b[" + string(c) + "m" + s + "\x1b[0m"
}

// heading writes a line of its own above a part.
func (p *painter) heading(s string) { p.printf("%s\n", p.paint(bold, s)) }

// cell is one field of a table.
type cell struct {
	text string
	c    colour
}

// plainCells makes cells without colour.
func plainCells(texts ...string) []cell {
	out := make([]cell, len(texts))
	for i, t := range texts {
		out[i] = cell{text: t}
	}
	return out
}

// table writes aligned columns with two spaces between them. A column whose heading begins with ">" is aligned to the right.
// No heading at all leaves that line out.
func (p *painter) table(headings []string, rows [][]cell) {
	n := 0
	for _, row := range append([][]cell{plainCells(headings...)}, rows...) {
		n = max(n, len(row))
	}
	widths, right := make([]int, n), make([]bool, n)
	titles := make([]cell, len(headings))
	for i, h := range headings {
		text, r := strings.CutPrefix(h, ">")
		titles[i], right[i] = cell{text, bold}, r
		widths[i] = utf8.RuneCountInString(text)
	}
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(clean(c.text)))
		}
	}
	if len(titles) > 0 {
		p.row(titles, widths, right)
	}
	for _, row := range rows {
		p.row(row, widths, right)
	}
}

func (p *painter) row(cells []cell, widths []int, right []bool) {
	var b strings.Builder
	for i, c := range cells {
		text := clean(c.text)
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text))
		if right[i] {
			b.WriteString(pad)
		}
		b.WriteString(p.paint(c.c, text))
		if i < len(cells)-1 {
			if !right[i] {
				b.WriteString(pad)
			}
			b.WriteString("  ")
		}
	}
	p.printf("%s\n", strings.TrimRight(b.String(), " "))
}

// clean takes out what would let text from a log or a packet steer the terminal.
func clean(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unprintable(r) {
			return '·'
		}
		return r
	}, s)
}

// unprintable: control characters, and those that turn the direction of writing round.
func unprintable(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}
