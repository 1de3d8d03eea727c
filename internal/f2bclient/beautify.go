package f2bclient

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Options of Beautify.
type Options struct {
	Boxes bool // draw tables with line characters, as on a terminal that speaks UTF-8
}

// Beautify words the answer to a command for people.
func Beautify(cmd []string, answer any, o Options) string {
	at := func(i int) string {
		if i < len(cmd) {
			return cmd[i]
		}
		return ""
	}
	switch at(0) {
	case "version":
		return text(answer)
	case "ping":
		return "Server replied: " + text(answer)
	case "add":
		return "Added jail " + text(answer)
	case "flushlogs":
		return "logs: " + text(answer)
	case "start", "stop":
		switch {
		case answer != nil:
		case at(0) == "start":
			return "Jail started"
		case len(cmd) == 1:
			return "Shutdown successful"
		default:
			return "Jail stopped"
		}
	case "status", "stats":
		if s, ok := status(cmd, answer, o); ok {
			return s
		}
	case "set", "get":
		if s, ok := option(at, answer); ok {
			return s
		}
		if len(cmd) > 2 && (at(2) == "banip" && at(0) == "get") {
			return text(answer)
		}
	}
	if s, ok := answer.(string); ok {
		return s
	}
	return Repr(answer)
}

func text(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return Repr(v)
}

func status(cmd []string, answer any, o Options) (string, bool) {
	_, each := answer.(Dict)
	if cmd[0] == "stats" || each && len(cmd) > 2 && cmd[2] == "stats" || len(cmd) > 1 && (cmd[1] == "--all" && len(cmd) > 2 && cmd[2] == "stats") {
		return stats(answer, o)
	}
	rows, ok := answer.([]any)
	if !ok {
		return "", false
	}
	var b strings.Builder
	switch {
	case len(cmd) > 1 && cmd[1] != "--all":
		b.WriteString("Status for the jail: " + cmd[1] + "\n")
		jail(&b, rows, "")
	default:
		b.WriteString("Status\n")
		all, more := last(rows)
		if more {
			rows = rows[:len(rows)-1]
		}
		for i, r := range rows {
			k, v := pair(r)
			fmt.Fprintf(&b, "%s %s:\t%s\n", branch(i == len(rows)-1 && !more), k, words(v))
		}
		if more {
			b.WriteString("`- Status for the jails:\n")
			for i, p := range all {
				end := i == len(all)-1
				fmt.Fprintf(&b, "   %s Jail: %s\n", branch(end), p.Key)
				in := "   |  "
				if end {
					in = "      "
				}
				one, _ := p.Value.([]any)
				jail(&b, one, in)
			}
		}
	}
	return strings.TrimSuffix(b.String(), "\n"), true
}

// last tells whether the last row is a dictionary of jails.
func last(rows []any) (Dict, bool) {
	if len(rows) == 0 {
		return nil, false
	}
	return dict(rows[len(rows)-1])
}

// dict takes a Dict, or an object of JSON in the order of its keys.
func dict(v any) (Dict, bool) {
	switch v := v.(type) {
	case Dict:
		return v, true
	case map[string]any:
		var d Dict
		for k, x := range v {
			d = append(d, Pair{k, x})
		}
		sort.Slice(d, func(i, j int) bool { return d[i].Key < d[j].Key })
		return d, true
	}
	return nil, false
}

func jail(b *strings.Builder, sections []any, in string) {
	for i, s := range sections {
		k, v := pair(s)
		end := i == len(sections)-1
		fmt.Fprintf(b, "%s%s %s\n", in, branch(end), k)
		inner := in + "|  "
		if end {
			inner = in + "   "
		}
		rows, _ := v.([]any)
		for n, r := range rows {
			k, v := pair(r)
			fmt.Fprintf(b, "%s%s %s:\t%s\n", inner, branch(n == len(rows)-1), k, words(v))
		}
	}
}

func branch(end bool) string {
	if end {
		return "`-"
	}
	return "|-"
}

func pair(v any) (string, any) {
	list, _ := v.([]any)
	if len(list) != 2 {
		return text(v), nil
	}
	return text(list[0]), list[1]
}

// words joins a list by spaces.
func words(v any) string {
	switch v := v.(type) {
	case []any:
		return strings.Join(strs(v), " ")
	case []string:
		return strings.Join(v, " ")
	}
	return text(v)
}

func strs(list []any) []string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = text(x)
	}
	return out
}

// stats draws the table of all jails: backend, current and total of filter and actions.
func stats(answer any, o Options) (string, bool) {
	jails, ok := dict(answer)
	if !ok {
		return "", false
	}
	if len(jails) == 0 {
		return "No jails found.", true
	}
	v, h, x := "|", "-", "x"
	cells, cross, end, left := "|", "x", "-", "|"
	if o.Boxes {
		v, h, x, cells, cross, end, left = "║", "═", "╬", "│", "╫", "╩", "╟"
	}
	rule := h
	if o.Boxes {
		rule = "─"
	}
	wide, backend := len("Jail"), len("Backend")
	for _, p := range jails {
		wide = max(wide, len(p.Key))
		row, _ := p.Value.([]any)
		if len(row) > 0 {
			backend = max(backend, len(text(row[0])))
		}
	}
	if o.Boxes { // its narrowest columns
		wide, backend = max(wide, 8), max(backend, 8)
	}
	var b strings.Builder
	pad := func(s string, n int) string { return s + strings.Repeat(" ", max(0, n-len(s))) }
	fmt.Fprintf(&b, " %s %s %s %s Filter    %s Actions  \n", pad("", wide), v, pad("", backend), v, v)
	fmt.Fprintf(&b, " %s %s %s %s%s%s%s\n", pad("Jail", wide), v, pad("Backend", backend), left, strings.Repeat(rule, 11), cross, strings.Repeat(rule, 11))
	fmt.Fprintf(&b, " %s %s %s %s cur %s tot %s cur %s tot\n", pad("", wide), v, pad("", backend), v, cells, v, cells)
	line := func(join string) string {
		return strings.Repeat(h, wide+2) + join + strings.Repeat(h, backend+2) + join + strings.Repeat(h, 11) + join + strings.Repeat(h, 11)
	}
	b.WriteString(line(x) + "\n")
	for _, p := range jails {
		row, _ := p.Value.([]any)
		if len(row) < 3 {
			continue
		}
		number := func(i, j int) string {
			list, _ := row[i].([]any)
			if j >= len(list) {
				return "?"
			}
			return text(list[j])
		}
		fmt.Fprintf(&b, " %s %s %s %s %3s %s %3s %s %3s %s %3s\n", pad(p.Key, wide), v, pad(text(row[0]), backend), v, number(1, 0), cells, number(1, 1), v, number(2, 0), cells, number(2, 1))
	}
	b.WriteString(line(end))
	return b.String(), true
}

// option words the answers about options.
func option(at func(int) string, answer any) (string, bool) {
	list, isList := answer.([]any)
	lines := func(head, none string) (string, bool) {
		if answer == nil || isList && len(list) == 0 {
			return none, true
		}
		if !isList {
			list = []any{answer}
		}
		out := head
		for i, x := range list {
			out += "\n" + branch(i == len(list)-1) + " " + text(x)
		}
		return out, true
	}
	switch at(1) {
	case "loglevel":
		return "Current logging level is '" + text(answer) + "'", true
	case "logtarget":
		return "Current logging target is:\n`- " + text(answer), true
	case "syslogsocket":
		return "Current syslog socket is:\n`- " + text(answer), true
	case "dbfile":
		return lines("Current database file is:", "Database currently disabled")
	case "dbpurgeage":
		if answer == nil {
			return "Database currently disabled", true
		}
		return "Current database purge age is:\n`- " + text(answer) + "seconds", true
	}
	switch at(2) {
	case "logpath", "addlogpath", "dellogpath":
		return lines("Current monitored log file(s):", "No file is currently monitored")
	case "logencoding":
		return "Current log encoding is set to:\n" + text(answer), true
	case "journalmatch", "addjournalmatch", "deljournalmatch":
		if len(list) == 0 {
			return "No journal match filter set", true
		}
		var parts []string
		for _, x := range list {
			parts = append(parts, words(x))
		}
		return "Current match filter:\n" + strings.Join(parts, " + "), true
	case "datepattern":
		two := strs(list)
		switch {
		case answer == nil || len(two) < 2:
			return "Current date pattern set to: Not set/required", true
		case list[0] == nil:
			return "Current date pattern set to: " + two[1], true
		}
		return "Current date pattern set to: " + two[0] + " (" + two[1] + ")", true
	case "ignoreip", "addignoreip", "delignoreip":
		return lines("These IP addresses/networks are ignored:", "No IP address/network is ignored")
	case "failregex", "addfailregex", "delfailregex", "ignoreregex", "addignoreregex", "delignoreregex":
		if len(list) == 0 {
			return "No regular expression is defined", true
		}
		numbered := make([]any, len(list))
		for i, x := range list {
			numbered[i] = "[" + strconv.Itoa(i) + "]: " + text(x)
		}
		list, isList = numbered, true
		return lines("The following regular expression are defined:", "")
	case "actions":
		if len(list) == 0 {
			return "No actions for jail " + at(1), true
		}
		return "The jail " + at(1) + " has the following actions:\n" + strings.Join(strs(list), ", "), true
	case "actionproperties", "actionmethods":
		what := strings.TrimPrefix(at(2), "action")
		if len(list) == 0 {
			return "No " + what + " for jail " + at(1) + " action " + at(3), true
		}
		return "The jail " + at(1) + " action " + at(3) + " has the following " + what + ":\n" + strings.Join(strs(list), ", "), true
	}
	return "", false
}
