package daemon

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"pfwarden/detect"
	"pfwarden/detect/filter"
	"pfwarden/detect/filter/date"
	"pfwarden/internal/fail2ban"
)

// set answers "set NAME VALUE" and "set JAIL NAME VALUE…".
func (q *question) set() value {
	switch {
	case len(q.argv) < 2:
		return tooFew()
	case slices.Contains(mainOptions, q.argv[1]):
		return q.setMain(q.argv[1])
	case len(q.argv) < 3:
		return tooFew()
	}
	name, args := q.argv[2], q.argv[3:]
	jail := q.argv[1]
	j := q.running().Jail(jail)
	switch {
	case j != nil:
	case !slices.Contains(settable, name) && !strings.HasPrefix(name, "bantime."):
		return failed("Invalid command '%s' (no set action or not yet implemented)", name)
	case len(args) == 0 && name != "banip" && name != "attempt":
		return tooFew()
	default:
		return noJail(jail)
	}
	switch name {
	case "banip":
		return q.ban(jail, args)
	case "attempt":
		return q.attempt(jail, args)
	case "addaction", "delaction", "action":
		return q.setAction(j.Jail, name, args)
	}
	if !slices.Contains(settable, name) && !strings.HasPrefix(name, "bantime.") {
		return failed("Invalid command '%s' (no set action or not yet implemented)", name)
	}
	if len(args) == 0 {
		return tooFew()
	}
	if name == "unbanip" {
		return q.unbanIn(jail, args)
	}
	if bad := q.s.d.fixedHere(name, args); bad.Error != nil {
		return bad
	}
	c, bad := change(j.Jail, name, args, q.s.d.openFile)
	if bad.Error != nil {
		return bad
	}
	if c.apply != nil {
		if err := q.again(jail, func() error { return q.s.d.override(override{jail: jail, key: c.key, apply: c.apply}) }); err != nil {
			return refused(args[0], err)
		}
	}
	if name == "idle" {
		return value{Value: args[0] == "on"}
	}
	again := &question{q.s, q.ctx, q.by, false, []string{"get", jail, c.key}}
	return again.get()
}

// settable are the options of a jail that can be set, and what can be done with a jail.
var settable = []string{
	"idle", "ignoreself", "addignoreip", "delignoreip", "ignorecommand", "ignorecache", "addlogpath", "dellogpath", "logencoding", "addjournalmatch",
	"deljournalmatch", "prefregex", "addfailregex", "delfailregex", "addignoreregex", "delignoreregex", "usedns", "findtime", "datepattern",
	"logtimezone", "maxmatches", "maxretry", "maxlines", "bantime", "attempt", "banip", "unbanip", "addaction", "delaction", "action",
}

// fixedCommands is what is answered where commands are run by a process of their own.
const fixedCommands = "commands are fixed when pfwarden starts: write them into the configuration and reload, or run pfwarden with --single-process"

// fixedHere says why something cannot be changed at run time where others than this process run commands and open logs.
func (d *Daemon) fixedHere(name string, args []string) value {
	a := d.o.Apart
	switch {
	case a == nil:
	case name == "ignorecommand" && args[0] != "":
		return failed("%s", fixedCommands)
	case name == "addlogpath" && a.MayRead != nil && filepath.IsAbs(args[0]) && !a.MayRead(args[0]):
		return failed("logs are fixed when pfwarden starts: write %s into the configuration and reload, or run pfwarden with --single-process", args[0])
	}
	return value{}
}

// opener opens a file to read.
type opener func(path string) (*os.File, error)

func (d *Daemon) openFile(path string) (*os.File, error) {
	if files := d.o.Apart.files(); files != nil {
		return files.Open(path)
	}
	return os.Open(path)
}

// refused words why a jail could not run with a change.
func refused(text string, err error) value {
	if errors.Is(err, filter.ErrNoID) {
		return failed("No failure-id group in '%s'", text)
	}
	return failed("%v", err)
}

// changed is a change of one option of a jail.
type changed struct {
	key   string               // the option that it is about
	apply func(*fail2ban.Jail) // nil: there is nothing to do
}

// change makes a change of one option of a jail.
func change(x *fail2ban.Jail, name string, args []string, open opener) (changed, value) {
	text := args[0]
	option := func(v any) (changed, value) {
		return changed{name, func(j *fail2ban.Jail) { j.Options[name] = v }}, value{}
	}
	jail := func(f func(*fail2ban.Jail)) (changed, value) { return changed{name, f}, value{} }
	switch name {
	case "bantime", "findtime":
		if _, err := fail2ban.Seconds(text); err != nil {
			return changed{}, badTime(text, err)
		}
		return option(text)
	case "bantime.maxtime", "bantime.rndtime":
		if _, err := fail2ban.Seconds(text); text != "" && err != nil {
			return changed{}, badTime(text, err)
		}
		return option(text)
	case "ignoreself", "bantime.increment", "bantime.overalljails":
		return option(isTrue(text))
	case "bantime.factor", "bantime.formula", "bantime.multipliers":
		return option(text)
	case "maxretry", "maxmatches", "maxlines":
		n, err := atoi(text)
		switch {
		case err != nil:
			return changed{}, failed("%v", err)
		case name != "maxlines":
			return option(n)
		case n < 1:
			return changed{}, failed("maxlines must be integer greater than zero")
		}
		return jail(func(j *fail2ban.Jail) { j.Filter.MaxLines = n })
	case "usedns":
		text = strings.ToLower(text)
		if !slices.Contains([]string{"yes", "warn", "no", "raw"}, text) {
			text = "no" // as fail2ban does: the safe one
		}
		return jail(func(j *fail2ban.Jail) { j.Filter.UseDNS = text })
	case "ignorecommand":
		return option(text)
	case "ignorecache":
		try := fail2ban.Jail{Options: map[string]any{name: text}}
		if bad := ignoreCache(&try); bad.Error != nil {
			return changed{}, bad
		}
		return option(text)
	case "logtimezone":
		if _, err := date.Location(text); err != nil || len(text) == 1 && text != strings.ToUpper(text) {
			return changed{}, failed("Unknown or unsupported time zone: '%s'", text)
		}
		return option(text)
	case "logencoding":
		if !filter.KnownEncoding(text) {
			return changed{}, failed("unknown encoding: %s", text)
		}
		return option(text)
	case "datepattern":
		if bad := datePattern(text); bad.Error != nil {
			return changed{}, bad
		}
		return jail(func(j *fail2ban.Jail) { j.Filter.DatePattern = text })
	case "prefregex":
		return jail(func(j *fail2ban.Jail) { j.Filter.PrefRegex = text })
	case "idle":
		if text != "on" && text != "off" {
			return changed{}, failed("Invalid idle option, must be 'on' or 'off'")
		}
		return jail(func(j *fail2ban.Jail) { j.Idle = text == "on" })
	case "addjournalmatch", "deljournalmatch":
		return changed{key: "journalmatch"}, value{} // every jail reads files: fail2ban passes over it as well
	case "addignoreip", "delignoreip":
		return changeIgnored(x, name, args)
	case "addlogpath", "dellogpath":
		return changeLogs(x, name, args, open)
	case "addfailregex", "delfailregex":
		list, bad := changeRegexes(x.Filter.FailRegex, name, text)
		return changed{"failregex", func(j *fail2ban.Jail) { j.Filter.FailRegex = list }}, bad
	case "addignoreregex", "delignoreregex":
		list, bad := changeRegexes(x.Filter.IgnoreRegex, name, text)
		return changed{"ignoreregex", func(j *fail2ban.Jail) { j.Filter.IgnoreRegex = list }}, bad
	}
	return changed{}, failed("Invalid command '%s' (no set action or not yet implemented)", name)
}

func changeIgnored(x *fail2ban.Jail, name string, args []string) (changed, value) {
	list := slices.Clone(x.IgnoreIP)
	for _, a := range args {
		at := slices.IndexFunc(list, func(e string) bool { return canonicalID(e) == canonicalID(a) })
		switch {
		case name == "addignoreip" && at < 0 && a != "":
			list = append(list, a)
		case name == "delignoreip" && at < 0:
			return changed{}, failed("list.remove(x): x not in list")
		case name == "delignoreip":
			list = slices.Delete(list, at, at+1)
		}
	}
	return changed{"ignoreip", func(j *fail2ban.Jail) { j.IgnoreIP = list }}, value{}
}

func changeRegexes(now []string, name, text string) ([]string, value) {
	list := slices.Clone(now)
	if strings.HasPrefix(name, "add") {
		return append(list, text), value{}
	}
	n, err := atoi(text)
	if err != nil {
		return nil, failed("%v", err)
	}
	if n < 0 {
		n += len(list)
	}
	if n < 0 || n >= len(list) {
		return list, value{} // fail2ban's log says that there is no such index, its answer does not
	}
	return slices.Delete(list, n, n+1), value{}
}

func changeLogs(x *fail2ban.Jail, name string, args []string, open opener) (changed, value) {
	path, tail := args[0], false
	paths, logs := slices.Clone(x.Paths), slices.Clone(x.Logs)
	named := func(l fail2ban.Log) bool { return l.Path == path }
	at := slices.IndexFunc(paths, named)
	if name == "addlogpath" {
		switch {
		case len(args) > 2:
			return changed{}, failed("Only one file can be added at a time")
		case len(args) == 2 && !strings.EqualFold(args[1], "head") && !strings.EqualFold(args[1], "tail"):
			return changed{}, failed("File option must be 'head' or 'tail'")
		}
		tail = len(args) == 2 && strings.EqualFold(args[1], "tail")
		if bad := noFile(path, open); bad.Error != nil {
			return changed{}, bad
		}
	}
	switch {
	case name == "addlogpath" && at < 0:
		if slices.ContainsFunc(logs, named) {
			return changed{key: "logpath"}, value{} // a pattern has found it already
		}
		paths, logs = append(paths, fail2ban.Log{Path: path, Tail: tail}), append(logs, fail2ban.Log{Path: path, Tail: tail})
	case name == "dellogpath" && at >= 0:
		paths, logs = slices.Delete(paths, at, at+1), slices.DeleteFunc(logs, named)
	case name == "dellogpath" && slices.ContainsFunc(logs, named):
		return changed{}, failed("%s was found by a pattern of the configuration: it cannot be removed alone", path)
	}
	return changed{"logpath", func(j *fail2ban.Jail) {
		j.Paths, j.Logs, j.LogPath = paths, logs, nil
		for _, l := range paths {
			j.LogPath = append(j.LogPath, l.Path)
		}
	}}, value{}
}

// noFile says that a file cannot be read, in Python's words.
func noFile(path string, open opener) value {
	f, err := open(path)
	if err == nil {
		f.Close()
		return value{}
	}
	number, text := 5, "Input/output error"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		number, text = 2, "No such file or directory"
	case errors.Is(err, fs.ErrPermission):
		number, text = 13, "Permission denied"
	}
	v := failed("[Errno %s] %s: '%s'", strconv.Itoa(number), text, path)
	v.Error.Args = []any{number, text}
	return v
}

// attempt counts failures of a source, as "set JAIL attempt ADDRESS LINE…" asks.
func (q *question) attempt(jail string, args []string) value {
	if len(args) == 0 {
		return failed("Filter.addAttempt() missing 1 required positional argument: 'ip'")
	}
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
