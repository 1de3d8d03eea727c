package fail2ban

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// TOML writes the jails as sections of pfwarden.toml, for those who leave fail2ban's configuration behind. What pfwarden's own jails cannot say
// stands there as a comment.
func (r *Running) TOML() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Written by pfwarden import from %s.\n", r.Setup.Dir)
	b.WriteString("# Jails written here decide as pfwarden's own do: by a sliding window, past gates and proof, on the ladder below. A jail that must decide\n")
	b.WriteString("# exactly as fail2ban would is better left where it is: fail2ban = " + quoted(r.Setup.Dir) + "\n")
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "\n# Left out: jail %s: %s\n", f.Jail, comment(f.Err.Error()))
	}
	if never := r.never(); len(never) > 0 {
		fmt.Fprintf(&b, "\n# ignoreip of all jails\nnever = %s\n", list(never))
	}
	if len(r.Anchors) == 1 && !r.Anchors[0].TablesOnly && r.Anchors[0].Path != "" && len(r.Anchors[0].Tables) == 1 {
		a := r.Anchors[0]
		fmt.Fprintf(&b, "\n[pf]\nanchor = %s\nbanned = %s\n", quoted(a.Path), quoted(a.Tables[0].Name))
	} else {
		for _, a := range r.Anchors {
			fmt.Fprintf(&b, "\n# fail2ban's actions filled anchor %s: bans now go into pfwarden's own tables, see [pf]\n", comment(a.Path))
		}
	}
	for i := range r.Jails {
		r.Jails[i].toml(&b)
	}
	return b.String()
}

// never are the addresses that every jail ignores.
func (r *Running) never() (out []string) {
	if len(r.Jails) == 0 {
		return nil
	}
	for _, e := range r.Jails[0].Jail.IgnoreIP {
		everywhere := !strings.HasPrefix(e, "file:")
		for _, j := range r.Jails {
			everywhere = everywhere && contains(j.Jail.IgnoreIP, e)
		}
		if everywhere {
			out = append(out, e)
		}
	}
	return out
}

func (j *RunningJail) toml(b *strings.Builder) {
	x := j.Jail
	fmt.Fprintf(b, "\n[jail.%s]\n", key(x.Name))
	note := func(format string, a ...any) { fmt.Fprintf(b, "# "+format+"\n", a...) }
	for _, w := range j.Warnings {
		note("%s", comment(w))
	}
	f := &x.Filter
	fmt.Fprintf(b, "enabled = true\n")
	fmt.Fprintf(b, "failregex = %s\n", list(j.whole()))
	if len(f.IgnoreRegex) > 0 {
		fmt.Fprintf(b, "ignoreregex = %s\n", list(f.IgnoreRegex))
	}
	if f.PrefRegex != "" {
		note("its filter %s has a prefregex, which was put before each pattern", comment(f.Name))
	}
	if f.DatePattern != "" {
		note("its date pattern was %s; pfwarden finds the usual ones by itself", comment(strconv.Quote(f.DatePattern)))
	}
	if f.MaxLines > 1 {
		note("it matched over %d lines, which a jail of pfwarden's own does not", f.MaxLines)
	}
	fmt.Fprintf(b, "logs = %s\n", list(x.LogPath))
	fmt.Fprintf(b, "maxretry = %d\nfindtime = %s\n", j.Detect.Threshold, duration(j.Detect.Findtime.Seconds()))
	switch {
	case j.BanTime < 0:
		note("its bans had no end; the longest that can be said here")
		fmt.Fprintf(b, "ladder = [\"365d\"]\n")
	case j.Detect.Increment:
		var steps []string
		for n := range 5 {
			d := j.Warden.Fail2ban.Duration(n, 0).Seconds()
			if n > 0 && len(steps) > 0 && steps[len(steps)-1] == duration(d) {
				break
			}
			steps = append(steps, duration(d))
		}
		fmt.Fprintf(b, "ladder = [%s]\n", strings.Join(steps, ", "))
	default:
		fmt.Fprintf(b, "ladder = [%s]\n", duration(j.BanTime))
	}
	fmt.Fprintf(b, "combine = false\n")
	if x.Options["ignorecommand"] != nil && j.Screen.Command != nil {
		note("it had an ignore command: %s", comment(fmt.Sprint(x.Options["ignorecommand"])))
	}
	for _, a := range j.Actions {
		note("its action %s is a command, which only fail2ban's own configuration can say", comment(a.Name))
	}
}

// whole are the patterns with the prefregex in front, where its content is the rest of the line.
func (j *RunningJail) whole() []string {
	f := &j.Jail.Filter
	const rest = "<F-CONTENT>.+</F-CONTENT>$"
	head, ok := strings.CutSuffix(f.PrefRegex, rest)
	if !ok {
		return f.FailRegex
	}
	out := make([]string, len(f.FailRegex))
	for i, r := range f.FailRegex {
		if tail, anchored := strings.CutPrefix(r, "^"); anchored && !strings.Contains(r, "|^") {
			out[i] = head + "(?:" + tail + ")"
		} else {
			out[i] = head + ".*?(?:" + r + ")"
		}
	}
	return out
}

// comment keeps a text on its line.
func comment(s string) string { return strings.Join(strings.Fields(s), " ") }

func key(s string) string {
	for _, r := range s {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_') {
			return quoted(s)
		}
	}
	return s
}

// quoted writes a TOML string: literal where that can hold it.
func quoted(s string) string {
	if !strings.ContainsAny(s, "'\n\r") && strings.ContainsAny(s, `\"`) {
		return "'" + s + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func list(items []string) string {
	if len(items) == 1 {
		return "[" + quoted(items[0]) + "]"
	}
	var b strings.Builder
	b.WriteString("[")
	for _, s := range items {
		b.WriteString("\n    " + quoted(s) + ",")
	}
	b.WriteString("\n]")
	return b.String()
}

// duration writes seconds in the largest unit that holds them whole.
func duration(s float64) string {
	n := int64(max(s, 1))
	for _, u := range []struct {
		name string
		n    int64
	}{{"d", 86400}, {"h", 3600}, {"m", 60}} {
		if n%u.n == 0 {
			return quoted(strconv.FormatInt(n/u.n, 10) + u.name)
		}
	}
	return quoted((time.Duration(n) * time.Second).String())
}
