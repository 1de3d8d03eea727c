package daemon

import (
	"slices"
	"strconv"
	"strings"

	"pfwarden/detect/filter"
	"pfwarden/detect/filter/date"
	"pfwarden/internal/fail2ban"
)

// get answers "get NAME" and "get JAIL NAME …".
func (q *question) get() value {
	switch {
	case len(q.argv) < 2:
		return tooFew()
	case slices.Contains(mainOptions, q.argv[1]):
		return q.mainOption(q.argv[1])
	case len(q.argv) < 3:
		return tooFew()
	}
	j, bad := q.jail(1)
	if j == nil {
		return bad
	}
	x := j.Jail
	switch name := q.arg(2); name {
	case "bantime":
		return value{Value: number(j.BanTime)}
	case "findtime":
		return value{Value: number(j.Detect.Findtime.Seconds())}
	case "maxretry":
		return value{Value: j.Detect.Threshold}
	case "maxmatches":
		return value{Value: j.Detect.KeepMatches}
	case "maxlines":
		return value{Value: max(x.Filter.MaxLines, 1)}
	case "usedns":
		if x.Filter.UseDNS == "" {
			return value{Value: "warn"}
		}
		return value{Value: x.Filter.UseDNS}
	case "ignoreip":
		return value{Value: ignored(x.IgnoreIP)}
	case "ignoreself":
		b, ok := x.Options["ignoreself"].(bool)
		return value{Value: b || !ok}
	case "ignorecommand":
		if t, ok := x.Options[name].(string); ok {
			return value{Value: t}
		}
		return value{Value: false}
	case "ignorecache":
		return ignoreCache(x)
	case "prefregex":
		if x.Filter.PrefRegex == "" {
			return value{Value: ""}
		}
		return value{Value: expanded([]string{x.Filter.PrefRegex}, x.Filter.UseDNS)[0]}
	case "failregex":
		return value{Value: expanded(x.Filter.FailRegex, x.Filter.UseDNS)}
	case "ignoreregex":
		return value{Value: expanded(x.Filter.IgnoreRegex, x.Filter.UseDNS)}
	case "datepattern":
		return datePattern(x.Filter.DatePattern)
	case "logtimezone":
		return value{Value: noneIfEmpty(x.Text("logtimezone"))}
	case "logencoding":
		if t := x.Text("logencoding"); t != "" && !strings.EqualFold(t, "auto") {
			return value{Value: t}
		}
		return value{Value: "UTF-8"}
	case "logpath":
		return value{Value: q.logs(j)}
	case "journalmatch":
		list := []any{}
		for _, words := range x.Filter.JournalMatch {
			list = append(list, words)
		}
		return value{Value: list}
	case "actions":
		list := []any{}
		for _, a := range x.Actions {
			list = append(list, a.Name)
		}
		return value{Value: list}
	case "action", "actionproperties", "actionmethods":
		if name == "action" && !q.change {
			return failed("only root may see what an action is given: passwords may be among it")
		}
		return getAction(x, name, q.argv[3:])
	case "banned":
		return q.bannedIn(x.Name, q.argv[3:])
	case "banip":
		return q.banip(x.Name, q.arg(3))
	default:
		if strings.HasPrefix(name, "bantime.") {
			return growth(x, name)
		}
	}
	return failed("Invalid command (no get action or not yet implemented)")
}

// growth answers about an option of growing ban times; None where it is not set.
func growth(x *fail2ban.Jail, name string) value {
	v, ok := x.Options[name]
	text, isText := v.(string)
	switch {
	case !ok, isText && text == "":
		return value{}
	case name == "bantime.maxtime" || name == "bantime.rndtime":
		s, err := fail2ban.Seconds(text)
		if err != nil {
			return failed("%v", err)
		}
		return value{Value: number(s)}
	}
	return value{Value: v}
}

// ignored lists networks and names in their order, and single addresses after them, as fail2ban does.
func ignored(entries []string) []any {
	out, single := []any{}, []any{}
	for _, e := range entries {
		if p, ident := identify(e); p.IsValid() && ident == "" {
			single = append(single, canonicalID(e))
			continue
		}
		out = append(out, canonicalID(e))
	}
	return append(out, single...)
}

// ignoreCache gives key, number and seconds of what is kept of an ignore command's answers, None if nothing is.
func ignoreCache(x *fail2ban.Jail) value {
	text := x.Text("ignorecache")
	if strings.TrimSpace(text) == "" {
		return value{}
	}
	options, err := fail2ban.BracketOptions("cache[" + text + "]")
	if err != nil {
		return failed("%v", err)
	}
	key, ok := options["key"]
	if !ok {
		return failed("'key'")
	}
	count, seconds := 100, 300.0
	if t, ok := options["max-count"]; ok {
		if count, err = atoi(t); err != nil {
			return failed("%v", err)
		}
	}
	if t, ok := options["max-time"]; ok {
		if seconds, err = fail2ban.Seconds(t); err != nil {
			return failed("%v", err)
		}
	}
	return value{Value: []any{key, count, number(seconds)}}
}

// datePattern gives a date pattern with its description, or None and the name of the default ones.
func datePattern(pattern string) value {
	f, err := date.Compile(pattern, date.Options{})
	if err != nil {
		return failed("%v", err)
	}
	patterns := f.Patterns()
	if len(patterns) == 0 || len(patterns) > 2 {
		return value{Value: []any{nil, "Default Detectors"}}
	}
	shown, name := date.Describe(patterns[0])
	return value{Value: []any{noneIfEmpty(shown), name}}
}

// expanded shows regular expressions as fail2ban does.
func expanded(list []string, useDNS string) []any {
	out := []any{}
	for _, r := range list {
		out = append(out, filter.Expand(r, useDNS))
	}
	return out
}

// bannedIn answers "get JAIL banned [ADDRESS…]".
func (q *question) bannedIn(jail string, list []string) value {
	if len(list) == 0 {
		return value{Value: ids(q.bans(jail))}
	}
	out := []any{}
	for _, a := range list {
		in := 0
		if q.isBanned(jail, a) {
			in = 1
		}
		out = append(out, in)
	}
	if len(out) == 1 {
		return value{Value: out[0]}
	}
	return value{Value: out}
}

// banip answers "get JAIL banip [SEPARATOR|--with-time]".
func (q *question) banip(jail, how string) value {
	bans := q.bansByEnd(jail)
	var parts []string
	for i := range bans {
		b := &bans[i]
		text := banID(b)
		if how == "--with-time" {
			const layout = "2006-01-02 15:04:05"
			since, length, end := b.Since.Local().Format(layout), "-1", "9999-12-31 23:59:59"
			if !b.Permanent() {
				length, end = strconv.Itoa(int(b.Until.Sub(b.Since).Seconds())), b.Until.Local().Format(layout)
			}
			text += " \t" + since + " + " + length + " = " + end
		}
		parts = append(parts, text)
	}
	switch how {
	case "--with-time":
		return value{Value: strings.Join(parts, "\n")}
	case "":
		return value{Value: strings.Join(parts, " ")}
	}
	return value{Value: strings.Join(parts, how)}
}
