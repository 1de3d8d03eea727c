package fail2ban

import (
	"slices"
	"strconv"
)

// Stream is the set-up as the commands that fail2ban's client sends to its server, in the order that "fail2ban-client -d" shows.
func (s *Setup) Stream() (out [][]any) {
	put := func(words ...any) { out = append(out, words) }
	for _, name := range []string{"syslogsocket", "loglevel", "logtarget", "allowipv6", "dbfile", "dbmaxmatches", "dbpurgeage"} {
		v, ok := s.Main[name]
		switch n, err := strconv.Atoi(v); {
		case !ok && name == "allowipv6":
			put("set", name, "auto")
		case !ok:
		case name == "dbmaxmatches" && err == nil:
			put("set", name, n)
		default:
			put("set", name, v)
		}
	}
	for i := range s.Jails {
		out = append(out, s.Jails[i].stream()...)
	}
	for _, f := range s.Faults {
		put("config-error", f.Error())
	}
	for _, j := range s.Jails {
		put("start", j.Name)
	}
	return out
}

// serverOptions are the jail options that go to the server, in order.
var serverOptions = []string{"maxretry", "maxmatches", "findtime", "bantime", "bantime.increment", "bantime.factor", "bantime.formula",
	"bantime.multipliers", "bantime.maxtime", "bantime.rndtime", "bantime.overalljails", "ignorecommand", "ignoreself", "ignoreip", "ignorecache",
	"logtimezone", "logencoding"}

func (j *Jail) stream() (out [][]any) {
	put := func(words ...any) { out = append(out, words) }
	many := func(verb string, list []string) {
		switch len(list) {
		case 0:
		case 1:
			put("set", j.Name, verb, list[0])
		default:
			put("multi-set", j.Name, verb, slices.Clone(list))
		}
	}
	f := &j.Filter
	put("add", j.Name, j.Backend)
	if f.UseDNS != "" {
		put("set", j.Name, "usedns", f.UseDNS)
	}
	if f.PrefRegex != "" {
		put("set", j.Name, "prefregex", f.PrefRegex)
	}
	if f.MaxLines > 0 {
		put("set", j.Name, "maxlines", f.MaxLines)
	}
	many("addignoreregex", f.IgnoreRegex)
	many("addfailregex", f.FailRegex)
	if f.DatePattern != "" {
		put("set", j.Name, "datepattern", f.DatePattern)
	}
	for _, words := range f.JournalMatch {
		line := []any{"set", j.Name, "addjournalmatch"}
		for _, w := range words {
			line = append(line, w)
		}
		put(line...)
	}
	for _, name := range serverOptions {
		v, ok := j.Options[name]
		switch {
		case !ok:
		case name == "ignoreip":
			if len(j.IgnoreIP) > 0 {
				line := []any{"set", j.Name, "addignoreip"}
				for _, ip := range j.IgnoreIP {
					line = append(line, ip)
				}
				put(line...)
			}
		default:
			put("set", j.Name, name, v)
		}
	}
	for _, l := range j.Logs {
		where := "head"
		if l.Tail {
			where = "tail"
		}
		put("set", j.Name, "addlogpath", l.Path, where)
	}
	for i := range j.Actions {
		a := &j.Actions[i]
		if a.Python {
			put("set", j.Name, "addaction", a.Name, a.File)
			continue
		}
		put("set", j.Name, "addaction", a.Name)
		put("multi-set", j.Name, "action", a.Name, a.stream())
	}
	return out
}

// stream lists an action's commands, those of the action's file before those that the jail gives, and the values of its tags.
func (a *Action) stream() []any {
	pairs := []any{}
	early := slices.DeleteFunc(slices.Clone(actionOptions), func(name string) bool { return slices.Contains(a.Late, name) })
	for _, name := range append(early, a.Late...) {
		switch v, ok := a.Command[name]; {
		case !ok:
		case actionBooleans[name]:
			pairs = append(pairs, []any{name, truth(v)})
		default:
			pairs = append(pairs, []any{name, v})
		}
	}
	for _, name := range a.names() {
		pairs = append(pairs, []any{name, a.Init[name]})
	}
	return pairs
}

// names lists the options for tags: those of the configuration in its order, then those that were set since.
func (a *Action) names() []string {
	var late []string
	for n := range a.Init {
		if !slices.Contains(a.Order, n) {
			late = append(late, n)
		}
	}
	slices.Sort(late)
	return append(slices.Clone(a.Order), late...)
}
