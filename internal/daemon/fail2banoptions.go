package daemon

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"pfwarden/detect"
	"pfwarden/internal/fail2ban"
)

// override is what was set at run time: it is laid over what the folder says until the next reload.
type override struct {
	jail, key string
	apply     func(*fail2ban.Jail)
}

// maxOverrides bounds them.
const maxOverrides = 10000

// override sets something of a jail. It is called on the engine's goroutine, before the configuration is taken over anew.
func (d *Daemon) override(jail, key string, apply func(*fail2ban.Jail)) {
	list := slices.DeleteFunc(slices.Clone(d.overrides), func(o override) bool { return o.jail == jail && o.key == key })
	if len(list) < maxOverrides {
		list = append(list, override{jail, key, apply})
	}
	d.overrides = list
}

// overlay lays what was set at run time over a set-up.
func overlay(s *fail2ban.Setup, over []override) {
	for _, o := range over {
		for i := range s.Jails {
			if s.Jails[i].Name == o.jail {
				o.apply(&s.Jails[i])
			}
		}
	}
}

// mainOption answers about the server itself.
func (q *asked) mainOption(name string) (value, bool) {
	r := q.running()
	main := func(key, def string) string {
		if r != nil && r.Setup.Main[key] != "" {
			return r.Setup.Main[key]
		}
		return def
	}
	switch name {
	case "loglevel":
		return value{Value: strings.ToUpper(main("loglevel", "INFO"))}, true
	case "logtarget":
		return value{Value: main("logtarget", "SYSLOG")}, true
	case "syslogsocket":
		return value{Value: main("syslogsocket", "auto")}, true
	case "dbfile":
		return value{Value: q.s.d.settings().Store.File}, true
	case "dbmaxmatches":
		n, _ := strconv.Atoi(main("dbmaxmatches", "10"))
		return value{Value: n}, true
	case "dbpurgeage":
		v, err := fail2ban.Seconds(main("dbpurgeage", "1d"))
		if err != nil {
			return failed("%v", err), true
		}
		return value{Value: number(v)}, true
	}
	return value{}, false
}

// get answers "get NAME" and "get JAIL NAME …".
func (q *asked) get() value {
	if len(q.argv) == 2 {
		if v, ok := q.mainOption(q.argv[1]); ok {
			return v
		}
	}
	j, bad := q.jail(1)
	if j == nil {
		return bad
	}
	x := j.Jail
	text := func(name, def string) string {
		if v, ok := x.Options[name].(string); ok {
			return v
		}
		return def
	}
	seconds := func(name, def string) value {
		t := text(name, def)
		if t == "" {
			return value{}
		}
		v, err := fail2ban.Seconds(t)
		if err != nil {
			return failed("%v", err)
		}
		return value{Value: number(v)}
	}
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
		list := []any{}
		for _, e := range x.IgnoreIP {
			list = append(list, canonicalID(e))
		}
		return value{Value: list}
	case "ignoreself":
		b, ok := x.Options["ignoreself"].(bool)
		return value{Value: b || !ok}
	case "ignorecommand":
		if t := text("ignorecommand", ""); t != "" {
			return value{Value: t}
		}
		return value{Value: false}
	case "ignorecache":
		return value{Value: noneIfEmpty(text("ignorecache", ""))}
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
		if x.Filter.DatePattern == "" {
			return value{Value: []any{nil, "Default Detectors"}}
		}
		return value{Value: []any{x.Filter.DatePattern, x.Filter.DatePattern}}
	case "logtimezone":
		return value{Value: noneIfEmpty(text("logtimezone", ""))}
	case "logencoding":
		if t := text("logencoding", "auto"); !strings.EqualFold(t, "auto") {
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
	case "idle":
		return value{Value: x.Idle}
	case "bantime.increment", "bantime.overalljails":
		b, _ := x.Options[name].(bool)
		return value{Value: b}
	case "bantime.maxtime", "bantime.rndtime":
		return seconds(name, "")
	case "bantime.factor", "bantime.formula", "bantime.multipliers":
		return value{Value: noneIfEmpty(text(name, ""))}
	case "actions":
		list := []any{}
		for _, a := range x.Actions {
			list = append(list, a.Name)
		}
		return value{Value: list}
	case "action", "actionproperties", "actionmethods":
		return getAction(x, q.argv[2:])
	case "banned":
		return q.bannedIn(x.Name, q.argv[3:])
	case "banip":
		return q.banip(x.Name, q.arg(3))
	}
	return failed("Invalid command (no get action or not yet implemented)")
}

func getAction(x *fail2ban.Jail, argv []string) value {
	if len(argv) < 2 {
		return failed("Invalid command (no get action or not yet implemented)")
	}
	at := slices.IndexFunc(x.Actions, func(a fail2ban.Action) bool { return a.Name == argv[1] })
	if at < 0 {
		return failed("Action %s not found", argv[1])
	}
	a := &x.Actions[at]
	switch {
	case argv[0] == "actionmethods":
		return value{Value: []any{"ban", "flush", "prolong", "reban", "reload", "start", "stop", "unban"}}
	case argv[0] == "actionproperties":
		return value{Value: []string{
			"actionban", "actioncheck", "actionflush", "actionprolong", "actionreban", "actionreload", "actionrepair", "actionstart", "actionstop", "actionunban",
			"actname", "name", "timeout",
		}}
	case len(argv) < 3:
		return failed("Invalid command (no get action or not yet implemented)")
	case argv[2] == "timeout":
		if t, err := strconv.Atoi(a.Init["timeout"]); err == nil {
			return value{Value: t}
		}
		return value{Value: 60}
	}
	if v, ok := a.Command[argv[2]]; ok {
		return value{Value: v}
	}
	if v, ok := a.Init[argv[2]]; ok {
		return value{Value: v}
	}
	if strings.HasPrefix(argv[2], "action") {
		return value{Value: ""}
	}
	return failed("'CommandAction' object has no attribute '%s'", argv[2])
}

// bannedIn answers "get JAIL banned [ADDRESS…]".
func (q *asked) bannedIn(jail string, list []string) value {
	bans := q.bans(jail)
	if len(list) == 0 {
		return value{Value: ids(bans)}
	}
	out := []any{}
	for _, a := range list {
		in := 0
		for i := range bans {
			if banID(&bans[i]) == canonicalID(a) {
				in = 1
			}
		}
		out = append(out, in)
	}
	if len(out) == 1 {
		return value{Value: out[0]}
	}
	return value{Value: out}
}

// banip answers "get JAIL banip [SEPARATOR|--with-time]".
func (q *asked) banip(jail, how string) value {
	bans := q.bans(jail)
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

// set answers "set NAME VALUE" and "set JAIL NAME VALUE…".
func (q *asked) set() value {
	if len(q.argv) == 3 && q.running().Jail(q.argv[1]) == nil {
		if v, ok := q.mainOption(q.argv[1]); ok {
			if q.argv[1] == "loglevel" {
				return value{Value: strings.ToUpper(q.argv[2])} // pfwarden's own log keeps its level
			}
			return v
		}
	}
	j, bad := q.jail(1)
	if j == nil {
		return bad
	}
	name, args := q.arg(2), q.argv[min(3, len(q.argv)):]
	jail := j.Engine.Name
	if len(args) == 0 {
		return failed("Invalid command (no set action or not yet implemented)")
	}
	switch name {
	case "banip":
		return q.ban(jail, args)
	case "unbanip":
		return q.unbanIn(jail, args)
	case "attempt":
		return q.attempt(jail, args)
	}
	apply, shown, err := change(j.Jail, name, args)
	if err != nil {
		return failed("%v", err)
	}
	key := name
	if strings.HasPrefix(name, "add") || strings.HasPrefix(name, "del") {
		key = name[3:]
	}
	if err := q.again(func() { q.s.d.override(jail, key, apply) }); err != nil {
		return failed("%v", err)
	}
	if name == "idle" {
		return value{Value: isTrue(args[0])}
	}
	if shown != "" {
		again := &asked{q.s, q.ctx, q.by, false, []string{"get", jail, shown}}
		return again.get()
	}
	return value{Value: args[0]}
}

// change makes a change of one option of a jail; shown is the option that the answer is about.
func change(x *fail2ban.Jail, name string, args []string) (apply func(*fail2ban.Jail), shown string, err error) {
	set := func(v any) func(*fail2ban.Jail) { return func(j *fail2ban.Jail) { j.Options[name] = v } }
	listed := func(now []string, what string, put func(*fail2ban.Jail, []string)) (func(*fail2ban.Jail), string, error) {
		list := slices.Clone(now)
		if strings.HasPrefix(name, "add") {
			for _, a := range args {
				if !slices.Contains(list, a) {
					list = append(list, a)
				}
			}
		} else {
			for _, a := range args {
				at := slices.Index(list, a)
				if n, err := strconv.Atoi(a); err == nil && at < 0 && strings.HasSuffix(name, "regex") && n >= 0 && n < len(list) {
					at = n
				}
				if at < 0 {
					return nil, "", fmt.Errorf("list.remove(x): x not in list")
				}
				list = slices.Delete(list, at, at+1)
			}
		}
		return func(j *fail2ban.Jail) { put(j, list) }, what, nil
	}
	switch name {
	case "bantime", "findtime", "bantime.maxtime", "bantime.rndtime":
		if _, err := fail2ban.Seconds(args[0]); err != nil {
			return nil, "", err
		}
		return set(args[0]), name, nil
	case "maxretry", "maxmatches":
		n, err := atoi(args[0])
		if err != nil {
			return nil, "", err
		}
		return set(n), name, nil
	case "maxlines":
		n, err := atoi(args[0])
		if err != nil || n < 1 {
			return nil, "", fmt.Errorf("maxlines must be at least 1")
		}
		return func(j *fail2ban.Jail) { j.Filter.MaxLines = n }, name, nil
	case "usedns":
		if !slices.Contains([]string{"yes", "warn", "no", "raw"}, args[0]) {
			return nil, "", fmt.Errorf("usedns must be yes, warn, no or raw")
		}
		return func(j *fail2ban.Jail) { j.Filter.UseDNS = args[0] }, name, nil
	case "ignoreself", "bantime.increment", "bantime.overalljails":
		return set(isTrue(args[0])), name, nil
	case "ignorecommand", "ignorecache", "logtimezone", "logencoding", "bantime.factor", "bantime.formula", "bantime.multipliers":
		return set(strings.Join(args, " ")), name, nil
	case "datepattern":
		return func(j *fail2ban.Jail) { j.Filter.DatePattern = strings.Join(args, " ") }, name, nil
	case "prefregex":
		return func(j *fail2ban.Jail) { j.Filter.PrefRegex = strings.Join(args, " ") }, name, nil
	case "idle":
		on := isTrue(args[0])
		return func(j *fail2ban.Jail) { j.Idle = on }, "", nil
	case "addignoreip", "delignoreip":
		return listed(x.IgnoreIP, "ignoreip", func(j *fail2ban.Jail, l []string) { j.IgnoreIP = l })
	case "addfailregex", "delfailregex":
		return listed(x.Filter.FailRegex, "failregex", func(j *fail2ban.Jail, l []string) { j.Filter.FailRegex = l })
	case "addignoreregex", "delignoreregex":
		return listed(x.Filter.IgnoreRegex, "ignoreregex", func(j *fail2ban.Jail, l []string) { j.Filter.IgnoreRegex = l })
	case "addlogpath", "dellogpath":
		tail := len(args) > 1 && args[len(args)-1] == "tail"
		if tail || len(args) > 1 && args[len(args)-1] == "head" {
			args = args[:len(args)-1]
		}
		return listed(x.LogPath, "logpath", func(j *fail2ban.Jail, l []string) {
			j.LogPath, j.Paths = l, nil
			for _, p := range l {
				j.Paths = append(j.Paths, fail2ban.Log{Path: p, Tail: tail})
			}
		})
	}
	//lint:ignore ST1005 fail2ban's own words
	return nil, "", errors.New("Invalid command (no set action or not yet implemented)")
}

func isTrue(s string) bool {
	return slices.Contains([]string{"1", "on", "true", "yes"}, strings.ToLower(s))
}

// attempt counts failures of a source, as "set JAIL attempt ADDRESS LINE…" asks.
func (q *asked) attempt(jail string, args []string) value {
	o := detect.Observation{Jail: jail, Kind: detect.Failure, Count: max(1, len(args)-1), Text: strings.Join(args[1:], "\n")}
	if a, err := netip.ParseAddr(strings.Trim(args[0], "[]")); err == nil {
		o.Source = a.Unmap().WithZone("")
	} else {
		o.ID = args[0]
	}
	err := q.s.change(q.ctx, func(now time.Time) {
		o.Time, o.Read = now, now
		q.s.d.engine.Observed(now, o)
	})
	if err != nil {
		return failed("%v", err)
	}
	return value{Value: 1}
}
