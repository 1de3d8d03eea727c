package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"pfwarden/internal/daemon"
	"pfwarden/internal/f2bclient"
	"pfwarden/internal/fail2ban"
)

// shimNames are the programs of fail2ban's in whose place pfwarden can be called.
var shimNames = [...]string{"fail2ban-client", "fail2ban-regex", "fail2ban-server"}

// shimArgs puts the name that pfwarden was called by before its arguments if it is one of fail2ban's.
func shimArgs(argv []string) []string {
	if len(argv) == 0 {
		return nil
	}
	for _, n := range shimNames {
		if filepath.Base(argv[0]) == n {
			return append([]string{n}, argv[1:]...)
		}
	}
	return argv[1:]
}

// exitFail2ban is what fail2ban's programs exit with when something is wrong.
const exitFail2ban = 255

// fail2banStatus ends the program with a status of its own, without another word.
type fail2banStatus struct{ code int }

func (e *fail2banStatus) Error() string { return fmt.Sprintf("exit status %d", e.code) }

func newFail2banCommands(streams stdio) []*cobra.Command {
	make := func(name, short string, run func(context.Context, []string) error) *cobra.Command {
		return &cobra.Command{
			Use: name + " [arguments]", Short: short, DisableFlagParsing: true,
			RunE: func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), args) },
		}
	}
	c := &fail2banClient{streams: streams}
	return []*cobra.Command{
		make("fail2ban-client", "answer as fail2ban-client does", c.run),
		make("fail2ban-regex", "test patterns as fail2ban-regex does", func(ctx context.Context, args []string) error { return fail2banRegex(ctx, streams, args) }),
		make("fail2ban-server", "run the jails of a fail2ban folder", c.server),
	}
}

// fail2banClient is one call of fail2ban-client.
type fail2banClient struct {
	name        string // of the program in whose place it is called
	streams     stdio
	dir         string // of the configuration
	given       bool   // the folder was named
	socket      string
	foreground  bool
	dump, test  bool
	pretty      bool // dump it for people
	interactive bool
}

// run is fail2ban-client.
func (c *fail2banClient) run(ctx context.Context, args []string) error {
	c.name = shimNames[0]
	args, done, err := c.options(args)
	if done || err != nil {
		return err
	}
	switch {
	case c.dump || c.test && len(args) == 0:
		return c.configuration(true)
	case c.interactive:
		return c.converse(ctx, args)
	case len(args) == 0:
		c.usage()
		return &fail2banStatus{exitFail2ban}
	}
	if c.test {
		if err := c.configuration(false); err != nil {
			return err
		}
	}
	return c.command(ctx, args)
}

// server is fail2ban-server.
func (c *fail2banClient) server(ctx context.Context, args []string) error {
	c.name = shimNames[2]
	args, done, err := c.options(args)
	switch {
	case done || err != nil:
		return err
	case c.dump || c.test && len(args) == 0:
		return c.configuration(true)
	case c.test:
		if err := c.configuration(false); err != nil {
			return err
		}
	}
	if len(args) > 0 {
		return c.command(ctx, args)
	}
	return c.start(ctx)
}

// clientOptions are fail2ban-client's options.
func clientOptions() []option {
	return []option{
		{"conf", 'c', true}, {"socket", 's', true}, {"pidfile", 'p', true}, {"pname", 0, true}, {"loglevel", 0, true}, {"logtarget", 0, true},
		{"syslogsocket", 0, true}, {"timeout", 0, true}, {"str2sec", 0, true}, {"test", 't', false}, {"async", 0, false}, {"help", 'h', false},
		{"version", 0, false}, {"", 'V', false}, {"", 'd', false}, {"dp", 0, false}, {"dump-pretty", 0, false}, {"", 'f', false}, {"", 'b', false},
		{"", 'i', false}, {"", 'x', false}, {"", 'v', false}, {"", 'q', false},
	}
}

// options reads the options before the command. done: they were all that was asked.
func (c *fail2banClient) options(args []string) (rest []string, done bool, err error) {
	c.dir, c.socket = "/etc/fail2ban", os.Getenv("PFWARDEN_SOCKET")
	level := ""
	list, rest, err := getopt(clientOptions(), args)
	if err != nil {
		c.usage()
		return nil, true, c.initFailed("")
	}
	for _, o := range list {
		switch v := o.value; o.name {
		case "help":
			c.usage()
			return nil, true, nil
		case "V":
			fmt.Fprintln(c.streams.Out, daemon.Fail2banVersion+".1")
			return nil, true, nil
		case "version":
			fmt.Fprintln(c.streams.Out, "Fail2Ban v"+daemon.Fail2banVersion)
			return nil, true, nil
		case "str2sec":
			return nil, true, c.seconds(v)
		case "timeout":
			if _, err := fail2ban.Seconds(v); err != nil {
				return nil, true, c.initFailed(timeFault(v, err))
			}
		case "conf":
			c.dir, c.given = v, true
		case "socket":
			c.socket = v
		case "d", "dp", "dump-pretty":
			c.dump, c.pretty = true, o.name != "d"
		case "test":
			c.test = true
		case "f":
			c.foreground = true
		case "b":
			c.foreground = false
		case "i":
			c.interactive = true
		case "loglevel":
			level = v
		}
	}
	why := ""
	if info, err := os.Stat(c.dir); c.given && (err != nil || !info.IsDir()) {
		why = fmt.Sprintf("Base configuration directory %s does not exist ", c.dir)
	} else if level != "" && !daemon.Fail2banLevel(level) {
		why = fmt.Sprintf("Invalid log level '%s'", level)
	}
	if why != "" {
		fmt.Fprintln(c.streams.Out, "ERROR: "+why)
		return nil, true, c.failed("Init of command line failed", "")
	}
	return rest, false, nil
}

func (c *fail2banClient) usage() {
	what := " <COMMAND>"
	if c.name == shimNames[2] {
		what = ""
	}
	fmt.Fprintf(c.streams.Out, `Usage: %s [OPTIONS]%s

pfwarden answers in the place of %[1]s.

Options:
    -c, --conf DIR          folder of fail2ban's configuration (/etc/fail2ban)
    -s, --socket FILE       pfwarden's control socket
    -d, --dp                print what the configuration comes to
    -t, --test              test the configuration, before the command if there is one
    -f, -b                  start in the foreground, in the background (default)
    -i                      read commands from standard input
    --str2sec TIME          print a time as seconds
    -h, -V, --version       this help, the version of fail2ban whose answers are given
    -p FILE, --pname NAME, --loglevel LEVEL, --logtarget TARGET, --syslogsocket FILE, --timeout TIME, --async, -x, -v, -q
                            taken, without effect: pfwarden's configuration says
`, c.name, what)
	if what != "" {
		fmt.Fprint(c.streams.Out, `
Commands:
    start | stop | restart | ping | version | echo TEXT | flushlogs
    reload [--restart] [--unban] [--if-exists] [JAIL]
    status [JAIL [basic|short|stats|cymru]] | status --all [FLAVOR] | stats
    banned [IP ...] | unban IP ... | unban --all
    start JAIL | stop JAIL | restart JAIL
    get loglevel|logtarget|syslogsocket|dbfile|dbmaxmatches|dbpurgeage
    set loglevel LEVEL | set dbpurgeage TIME
    get JAIL banned [IP ...] | get JAIL banip [SEPARATOR|--with-time]
    set JAIL banip IP ... | set JAIL unbanip [--report-absent] IP ... | set JAIL attempt IP [LINE ...]
    get JAIL OPTION | set JAIL OPTION VALUE
        bantime bantime.increment bantime.factor ... findtime maxretry maxmatches maxlines usedns datepattern prefregex logtimezone
        logencoding ignoreself ignorecommand ignorecache idle
        ignoreip logpath failregex ignoreregex journalmatch, set by addignoreip, delignoreip, addlogpath ...
    get JAIL actions | set JAIL addaction|delaction ACTION
    get JAIL actionproperties|actionmethods ACTION | get|set JAIL action ACTION PROPERTY [VALUE]
`)
	}
}

// floating finds what makes fail2ban's sum of a time expression a fraction: months and years, points, and division.
var floating = regexp.MustCompile(`(?i)[\d\s](y|mon?\b|month)|\.|(^|[^/])/($|[^/])`)

func (c *fail2banClient) seconds(text string) error {
	v, err := fail2ban.Seconds(text)
	if err != nil {
		return c.initFailed(timeFault(text, err))
	}
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(s, ".") && floating.MatchString(text) {
		s += ".0"
	}
	fmt.Fprintln(c.streams.Out, s)
	return nil
}

// timeFault words what is wrong with a time expression.
func timeFault(text string, err error) string {
	if bareWord.MatchString(text) {
		return fmt.Sprintf("name '%s' is not defined", text)
	}
	return err.Error()
}

var bareWord = regexp.MustCompile(`^[A-Za-z_]\w*$`)

// initFailed says that the options cannot be read.
func (c *fail2banClient) initFailed(why string) error {
	if why != "" {
		fmt.Fprintln(c.streams.Out, "ERROR: "+why)
	}
	fmt.Fprintln(c.streams.Err, "Init of command line failed")
	return &fail2banStatus{exitFail2ban}
}

// failed says what is wrong as fail2ban's client does: a line of its log, and a sentence.
func (c *fail2banClient) failed(logged, said string) error {
	now := time.Now
	if c.streams.Now != nil {
		now = c.streams.Now
	}
	fmt.Fprintf(c.streams.Err, "%s %-24s[%d]: %-7s %s\n", now().Format("2006-01-02 15:04:05,000"), "fail2ban", os.Getpid(), "ERROR", logged)
	if said != "" {
		fmt.Fprintln(c.streams.Out, said)
	}
	return &fail2banStatus{exitFail2ban}
}

// configuration is -t and -d; alone tells whether no command follows.
func (c *fail2banClient) configuration(alone bool) error {
	setup, err := fail2ban.Load(c.dir, fail2ban.Options{Strict: true, AllowMissingLogs: c.dump})
	if err != nil {
		return c.failed("Failed during configuration: "+err.Error(), "")
	}
	if c.dump {
		for _, line := range setup.Stream() {
			write := f2bclient.Repr
			if c.pretty {
				write = f2bclient.Pretty
			}
			fmt.Fprintln(c.streams.Out, write(line))
		}
	}
	if c.test {
		for _, f := range setup.Faults {
			_ = c.failed(f.Error(), "")
		}
		if alone {
			fmt.Fprintln(c.streams.Out, "OK: configuration test is successful")
		}
	}
	return nil
}
