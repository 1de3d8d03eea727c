package fail2ban

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"pfwarden/internal/config"
)

// TOML writes the jails as sections of pfwarden.toml, for those who leave fail2ban's configuration behind. What pfwarden's own jails cannot say
// stands there as a comment.
func (r *Running) TOML() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Written by pfwarden import from %s.\n", r.Setup.Dir)
	b.WriteString("# These jails count and ban as fail2ban does (counting = \"fail2ban\"); without that line they are jails of pfwarden's own, which take a forged\n")
	b.WriteString("# address for what it is. What cannot be said here is told in comments.\n")
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "\n# Left out: jail %s: %s\n", f.Jail, comment(f.Err.Error()))
	}
	r.ignored(&b)
	if len(r.Anchors) == 1 && !r.Anchors[0].TablesOnly && r.Anchors[0].Path != "" && len(r.Anchors[0].Tables) == 1 {
		a := r.Anchors[0]
		fmt.Fprintf(&b, "\n[pf]\nanchor = %s\nbanned = %s\n", config.Quote(a.Path), config.Quote(a.Tables[0].Name))
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

// ignored writes what jails ignore as the never-list, which holds for all of them: to ban too little does less harm than to ban a friend.
func (r *Running) ignored(b *strings.Builder) {
	var never, notes []string
	for _, j := range r.Jails {
		for _, e := range j.Jail.IgnoreIP {
			if contains(never, e) {
				continue
			}
			if strings.HasPrefix(e, "file:") || config.ValidNever(e) != nil {
				notes = append(notes, fmt.Sprintf("jail %s ignored %s, which is no address, prefix or name: it has no place in never", j.Jail.Name, e))
				continue
			}
			never = append(never, e)
			var without []string
			for _, other := range r.Jails {
				if !contains(other.Jail.IgnoreIP, e) {
					without = append(without, other.Jail.Name)
				}
			}
			if len(without) > 0 {
				notes = append(notes, fmt.Sprintf("%s was not ignored by %s", e, strings.Join(without, ", ")))
			}
		}
	}
	if len(never)+len(notes) == 0 {
		return
	}
	b.WriteString("\n# ignoreip of the jails\n")
	for _, n := range notes {
		fmt.Fprintf(b, "# %s\n", comment(n))
	}
	if len(never) > 0 {
		fmt.Fprintf(b, "never = %s\n", list(never))
	}
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
	if f.PrefRegex != "" {
		fmt.Fprintf(b, "prefregex = %s\n", config.Quote(f.PrefRegex))
	}
	fmt.Fprintf(b, "failregex = %s\n", list(f.FailRegex))
	if len(f.IgnoreRegex) > 0 {
		fmt.Fprintf(b, "ignoreregex = %s\n", list(f.IgnoreRegex))
	}
	if lines := strings.FieldsFunc(f.DatePattern, func(r rune) bool { return r == '\n' }); len(lines) > 0 {
		fmt.Fprintf(b, "datepattern = %s\n", list(lines))
	}
	if f.MaxLines > 1 {
		fmt.Fprintf(b, "maxlines = %d\n", f.MaxLines)
	}
	for _, o := range []struct{ key, value string }{{"usedns", f.UseDNS}, {"logencoding", x.Text("logencoding")}, {"logtimezone", x.Text("logtimezone")}} {
		if o.value != "" && o.value != "auto" {
			fmt.Fprintf(b, "%s = %s\n", o.key, config.Quote(o.value))
		}
	}
	fmt.Fprintf(b, "logs = %s\n", list(x.LogPath))
	fmt.Fprintf(b, "maxretry = %d\nfindtime = %s\n", j.Detect.Threshold, duration(j.Detect.Findtime.Seconds()))
	fmt.Fprintf(b, "counting = \"fail2ban\"\nladder = %s\n", j.ladder(note))
	fmt.Fprintf(b, "ladder_memory = %s\n", duration(j.Warden.Memory.Seconds()))
	if v, err := Seconds(x.Text("bantime.rndtime")); err == nil && v >= 1 && j.Detect.Increment {
		fmt.Fprintf(b, "jitter = %s\n", duration(v))
	}
	fmt.Fprintf(b, "prolong = false\ncombine = false\n")
	if x.Options["ignorecommand"] != nil && j.Screen.Command != nil {
		note("it had an ignore command: %s", comment(fmt.Sprint(x.Options["ignorecommand"])))
	}
	for _, a := range j.Actions {
		note("its action %s runs commands (%s), which only fail2ban's own configuration can say", comment(a.Name), comment(a.File))
	}
}

// ladder are the lengths of the first ban, the second …
func (j *RunningJail) ladder(note func(format string, a ...any)) string {
	const longest = 100 * 365 * 86400 // of pfwarden.toml
	if j.BanTime < 0 || j.BanTime > longest {
		note("its bans had no end; the longest that can be said here")
		return list([]string{"36500d"})
	}
	steps := []string{duration(j.BanTime)}
	if !j.Detect.Increment {
		return "[" + steps[0] + "]"
	}
	if whole, _ := j.Jail.Options["bantime.overalljails"].(bool); whole {
		note("bans by other jails made its own longer (bantime.overalljails)")
	}
	for n := 1; n <= mostSteps; n++ {
		v, err := j.Warden.Fail2ban.Seconds(j.BanTime, n)
		if err != nil || v > longest {
			break
		}
		steps = append(steps, duration(v))
	}
	for len(steps) > 2 && steps[len(steps)-1] == steps[len(steps)-2] {
		steps = steps[:len(steps)-1]
	}
	return "[" + strings.Join(steps, ", ") + "]"
}

// mostSteps is how often fail2ban's own formula doubles a ban time.
const mostSteps = 20

// comment keeps a text on its line.
func comment(s string) string { return strings.Join(strings.Fields(s), " ") }

func key(s string) string {
	for _, r := range s {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_') {
			return config.Quote(s)
		}
	}
	return s
}

func list(items []string) string {
	if len(items) == 1 {
		return "[" + config.Quote(items[0]) + "]"
	}
	var b strings.Builder
	b.WriteString("[")
	for _, s := range items {
		b.WriteString("\n    " + config.Quote(s) + ",")
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
			return config.Quote(strconv.FormatInt(n/u.n, 10) + u.name)
		}
	}
	return config.Quote((time.Duration(n) * time.Second).String())
}
