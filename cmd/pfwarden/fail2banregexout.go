package main

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pfwarden/detect/filter"
	"pfwarden/internal/f2bclient"
)

// failure is one failure that fail2ban-regex prints.
type failure struct {
	*filter.Hit
	id    string   // whom it is of
	zoned bool     // its time stamp named a zone
	lines []string // that it consists of
}

// linesOf are the lines that a failure consists of: the line, or the last ones of its multi-line id.
func (t *regexRun) linesOf(h *filter.Hit, text string) []string {
	list := t.connection[h.MLFID]
	if h.MLFID == "" || len(list) == 0 {
		return []string{text}
	}
	return slices.Clone(list[max(0, len(list)-max(h.Lines, 1)):])
}

// seconds is the time of a failure as Python shows it: a time with a zone is a whole number.
func (f *failure) seconds() string {
	switch {
	case !f.HasTime:
		return "None"
	case f.zoned:
		return strconv.FormatInt(f.Time.Unix(), 10)
	}
	return strconv.FormatFloat(float64(f.Time.UnixMicro())/1e6, 'f', 1, 64)
}

// groups is what the match found as a Python dictionary. Several users of a connection are a set.
func (f *failure) groups() string {
	var parts []string
	for _, g := range f.Groups {
		text := "None"
		if g.Took {
			text = f2bclient.Repr(g.Text)
		}
		parts = append(parts, f2bclient.Repr(g.Name)+": "+text)
	}
	if len(f.Users) > 0 {
		users := make([]string, len(f.Users))
		for i, u := range f.Users {
			users[i] = f2bclient.Repr(u)
		}
		parts = append(parts, "'users': {"+strings.Join(users, ", ")+"}")
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// put prints the failures of a line in the format that was asked for.
func (t *regexRun) put(list []failure) {
	for i := range list {
		f := &list[i]
		switch out := t.o.out; {
		case out == "id" || out == "fid":
			fmt.Fprintln(t.w, f.id)
		case out == "ip":
			ip, ok := f.Fields["ip"]
			if !ok {
				ip = f.id
			}
			fmt.Fprintln(t.w, ip)
		case out == "msg":
			for _, l := range f.lines {
				fmt.Fprintln(t.w, l)
			}
		case out == "row":
			fmt.Fprintf(t.w, "[%s,\t%s,\t%s],\n", f2bclient.Repr(f.id), f.seconds(), f.groups())
		case !strings.Contains(out, "<"):
			v, ok := f.Fields[out]
			if !ok {
				v = "None"
			}
			fmt.Fprintln(t.w, v)
		default:
			t.format(f)
		}
	}
}

var outTag = regexp.MustCompile(`<([\w\-.]+)>`)

// format prints a failure by a text with tags. A message of several lines is printed once for each.
func (t *regexRun) format(f *failure) {
	single := len(f.lines) <= 1
	line := func(message string) string {
		return outTag.ReplaceAllStringFunc(t.o.out, func(tag string) string {
			name := tag[1 : len(tag)-1]
			if name == "msg" {
				return message
			}
			v, ok := f.tag(name)
			if !ok {
				return tag
			}
			return v
		})
	}
	if single || !strings.Contains(t.o.out, "<msg>") {
		fmt.Fprintln(t.w, line(strings.Join(f.lines, "\n")))
		return
	}
	for _, l := range f.lines {
		fmt.Fprintln(t.w, line(l))
	}
}

// tag is the value of a tag as actions know it.
func (f *failure) tag(name string) (string, bool) {
	addr, err := netip.ParseAddr(f.id)
	switch name {
	case "ip":
		if ip, ok := f.Fields["ip"]; ok {
			return ip, true
		}
		return f.id, true
	case "fid":
		return f.id, true
	case "family":
		switch {
		case err != nil:
			return "None", true
		case addr.Is4():
			return "inet4", true
		}
		return "inet6", true
	case "time":
		return f.seconds(), true
	case "failures":
		return "0", true // fail2ban-regex counts none
	case "matches":
		return strings.Join(f.lines, "\n"), true
	case "br":
		return "\n", true
	case "sp":
		return " ", true
	}
	if group, ok := strings.CutPrefix(name, "F-"); ok {
		return f.Fields[strings.ToLower(group)], true // "" where it took no part
	}
	return "", false
}
