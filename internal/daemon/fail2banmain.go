package daemon

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"pfwarden/internal/fail2ban"
)

// mainOptions are the options of fail2ban's server itself.
var mainOptions = []string{"loglevel", "logtarget", "syslogsocket", "dbfile", "dbmaxmatches", "dbpurgeage"}

// main reads an option of fail2ban.conf with what was set at run time.
func (q *question) main(key, def string) string {
	if r := q.running(); r != nil && r.Setup.Main[key] != "" {
		return r.Setup.Main[key]
	}
	return def
}

// mainOption answers about the server itself.
func (q *question) mainOption(name string) value {
	switch name {
	case "loglevel":
		return value{Value: strings.ToUpper(q.main("loglevel", "INFO"))}
	case "logtarget":
		return value{Value: q.main("logtarget", "SYSLOG")}
	case "syslogsocket":
		return value{Value: q.main("syslogsocket", "auto")}
	case "dbfile":
		return value{Value: q.s.d.settings().Store.File}
	case "dbmaxmatches":
		n, _ := strconv.Atoi(q.main("dbmaxmatches", "10"))
		return value{Value: n}
	}
	v, err := fail2ban.Seconds(q.main("dbpurgeage", "1d"))
	if err != nil {
		return failed("%v", err)
	}
	return value{Value: number(v)}
}

// setMain changes an option of the server itself, where pfwarden has the like. What is set already may be set again.
func (q *question) setMain(name string) value {
	if len(q.argv) < 3 {
		return tooFew()
	}
	text := q.argv[2]
	switch name {
	case "loglevel":
		return q.setLevel(text)
	case "logtarget":
		if text != q.main("logtarget", "SYSLOG") {
			return failed("Failed to change log target: pfwarden's log goes where log.target of its configuration says")
		}
	case "syslogsocket":
		if text != q.main("syslogsocket", "auto") {
			return failed("Failed to change syslog socket: pfwarden's log goes to the system's own")
		}
	case "dbfile":
		if text != q.s.d.settings().Store.File {
			return failed("Cannot change database when there are jails present")
		}
	case "dbmaxmatches":
		if text != q.main("dbmaxmatches", "10") {
			return failed("pfwarden's ledger keeps the evidence of a ban whole: there is no dbmaxmatches to set")
		}
	case "dbpurgeage":
		if _, err := fail2ban.Seconds(text); err != nil {
			return badTime(text, err)
		}
		if err := q.again("", func() error {
			return q.s.d.override(override{key: name, main: func(m map[string]string) { m[name] = text }})
		}); err != nil {
			return failed("%v", err)
		}
	}
	return q.mainOption(name)
}

// levels are fail2ban's log levels with the nearest of pfwarden's. Bans are told at fail2ban's NOTICE, which is pfwarden's info.
var levels = map[string]slog.Level{
	"CRITICAL": slog.LevelError, "ERROR": slog.LevelError, "WARNING": slog.LevelWarn, "NOTICE": slog.LevelInfo, "INFO": slog.LevelInfo,
	"DEBUG": slog.LevelDebug, "TRACEDEBUG": slog.LevelDebug, "HEAVYDEBUG": slog.LevelDebug,
}

// levelOf reads the name or the number of a level.
func levelOf(text string) (slog.Level, bool) {
	if l, ok := levels[text]; ok {
		return l, true
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || n < 0:
		return 0, false
	case n >= 40:
		return slog.LevelError, true
	case n >= 30:
		return slog.LevelWarn, true
	case n >= 20:
		return slog.LevelInfo, true
	}
	return slog.LevelDebug, true
}

// Fail2banLevel tells whether fail2ban knows a log level, by name or number.
func Fail2banLevel(text string) bool {
	_, ok := levelOf(strings.ToUpper(text))
	return ok
}

// setLevel changes how much pfwarden's own log says, until the next reload.
func (q *question) setLevel(text string) value {
	d := q.s.d
	text = strings.ToUpper(text)
	level, ok := levelOf(text)
	if !ok {
		return failed("Invalid log level '%s'", text)
	}
	if d.o.Level == nil {
		return failed("the level of pfwarden's log is set by log.level of its configuration")
	}
	if err := q.again("", func() error {
		return d.override(override{key: "loglevel", main: func(m map[string]string) { m["loglevel"] = text }})
	}); err != nil {
		return failed("%v", err)
	}
	d.o.Level.Set(level)
	return q.mainOption("loglevel")
}

// resetLevel goes back to the configured level.
func (d *Daemon) resetLevel() {
	if d.o.Level == nil {
		return
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(d.settings().Log.Level)); err == nil {
		d.o.Level.Set(level)
	}
}

// flushLogs has nothing to do: pfwarden keeps no log of its own open but the file that recidive jails read, which is opened anew
// by the first line after it was rotated away.
func (q *question) flushLogs() value {
	if slices.Contains([]string{"STDERR", "STDOUT", "SYSLOG", "SYSTEMD-JOURNAL"}, q.main("logtarget", "SYSLOG")) || !filepath.IsAbs(q.main("logtarget", "")) {
		return value{Value: "flushed"}
	}
	return value{Value: "rolled over"}
}

// badTime words a wrong time as Python does, as far as that is a matter of a single word.
func badTime(text string, err error) value {
	if isWord(text) {
		return failed("name '%s' is not defined", text)
	}
	return failed("%v", err)
}

func isWord(s string) bool {
	for i, r := range s {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// noneIfEmpty is None for an empty text.
func noneIfEmpty(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// number is a whole number where it is one.
func number(v float64) any {
	if v == float64(int64(v)) {
		return int64(v)
	}
	return v
}

func atoi(s string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		return 0, fmt.Errorf("invalid literal for int() with base 10: '%s'", s)
	}
	return n, nil
}
