package main

import (
	"strconv"
	"strings"
	"time"

	"pfwarden/internal/config"
)

// human writes values as people read them.
type human struct {
	now  time.Time
	zone *time.Location
}

func (s stdio) human() human {
	h := human{zone: s.Zone}
	if h.zone == nil {
		h.zone = time.Local
	}
	if s.Now != nil {
		h.now = s.Now()
	} else {
		h.now = time.Now()
	}
	return h
}

// date writes a moment: with its year only if that is not the present one.
func (h human) date(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	t = t.In(h.zone)
	if t.Year() == h.now.In(h.zone).Year() {
		return t.Format("Jan _2 15:04:05")
	}
	return t.Format("2006-01-02 15:04")
}

// ago writes how long a moment lies back.
func (h human) ago(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "never"
	}
	d := h.now.Sub(*t)
	if d < time.Second {
		return "just now"
	}
	return span(d) + " ago"
}

// left writes how long it is until a moment; nil is for ever.
func (h human) left(t *time.Time) string {
	if t == nil {
		return "for ever"
	}
	d := t.Sub(h.now)
	if d < time.Second {
		return "ending"
	}
	return span(d)
}

// span writes a duration with its two largest units.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return config.FormatDuration(d.Round(time.Millisecond))
	case d < time.Hour:
		d = d.Truncate(time.Second)
	case d < 24*time.Hour:
		d = d.Truncate(time.Minute)
	default:
		d = d.Truncate(time.Hour)
	}
	return config.FormatDuration(d)
}

// count writes a number with its thousands set apart.
func count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// size writes bytes in units of 1000.
func size(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	x, unit := float64(n), ""
	for _, u := range []string{"kB", "MB", "GB", "TB", "PB", "EB"} {
		if x < 999.5 {
			break
		}
		x, unit = x/1000, u
	}
	if x < 10 {
		return strconv.FormatFloat(x, 'f', 1, 64) + " " + unit
	}
	return strconv.FormatFloat(x, 'f', 0, 64) + " " + unit
}

// plural counts things: "1 fault", "2,000 faults".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return count(uint64(max(n, 0))) + " " + what + "s"
}
