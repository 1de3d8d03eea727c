package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"pfwarden/internal/config"
	"pfwarden/internal/control"
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
	streams    stdio
	dir        string // of the configuration
	socket     string
	foreground bool
	dump, test bool
	quiet      bool
}

// run is fail2ban-client.
func (c *fail2banClient) run(ctx context.Context, args []string) error {
	args, done, err := c.options(args)
	if done || err != nil {
		return err
	}
	switch {
	case c.dump, c.test:
		return c.configuration()
	case len(args) == 0:
		c.usage()
		return &fail2banStatus{exitFail2ban}
	case args[0] == "start" && len(args) == 1:
		return c.start(ctx)
	}
	return c.send(ctx, args)
}

// options reads the options before the command. done: they were all that was asked.
func (c *fail2banClient) options(args []string) (rest []string, done bool, err error) {
	c.dir, c.socket = "/etc/fail2ban", os.Getenv("PFWARDEN_SOCKET")
	value := func(i *int, long string) string {
		if v, ok := strings.CutPrefix(args[*i], "--"+long+"="); ok {
			return v
		}
		if len(args[*i]) > 2 && args[*i][1] != '-' {
			return args[*i][2:]
		}
		if *i++; *i < len(args) {
			return args[*i]
		}
		return ""
	}
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			return args[i+1:], false, nil
		case !strings.HasPrefix(a, "-") || a == "-":
			return args[i:], false, nil
		case a == "-h" || a == "--help":
			c.usage()
			return nil, true, nil
		case a == "-V":
			fmt.Fprintln(c.streams.Out, daemon.Fail2banVersion+".1")
			return nil, true, nil
		case a == "--version":
			fmt.Fprintln(c.streams.Out, "Fail2Ban v"+daemon.Fail2banVersion)
			return nil, true, nil
		case a == "--str2sec":
			return nil, true, c.seconds(strings.Join(args[i+1:], " "))
		case strings.HasPrefix(a, "--str2sec="):
			return nil, true, c.seconds(strings.TrimPrefix(a, "--str2sec="))
		case strings.HasPrefix(a, "-c"), strings.HasPrefix(a, "--conf"):
			c.dir = value(&i, "conf")
		case strings.HasPrefix(a, "-s"), strings.HasPrefix(a, "--sock"):
			c.socket = value(&i, "socket")
		case a == "-d" || a == "--dp" || a == "--dump-pretty":
			c.dump = true
		case a == "-t" || a == "--test":
			c.test = true
		case a == "-f":
			c.foreground = true
		case a == "-b", a == "-x", a == "-i", strings.HasPrefix(a, "-v"), a == "--async":
		case a == "-q" || a == "-qq":
			c.quiet = true
		case strings.HasPrefix(a, "-p"), strings.HasPrefix(a, "--pidfile"), strings.HasPrefix(a, "--pname"),
			strings.HasPrefix(a, "--loglevel"), strings.HasPrefix(a, "--logtarget"), strings.HasPrefix(a, "--syslogsocket"), strings.HasPrefix(a, "--timeout"):
			_ = value(&i, strings.TrimLeft(strings.SplitN(a, "=", 2)[0], "-"))
		default:
			fmt.Fprintf(c.streams.Err, "fail2ban-client: unknown option %s\n", a)
			return nil, true, &fail2banStatus{exitFail2ban}
		}
	}
	return nil, false, nil
}

func (c *fail2banClient) usage() {
	fmt.Fprint(c.streams.Out, `Usage: fail2ban-client [OPTIONS] <COMMAND>

pfwarden answers in the place of fail2ban-client.

Options: -c DIR  -s SOCKET (pfwarden's)  -d  -t  -f  --str2sec TIME  -V  --version  -h
Commands: start  stop  restart  reload [JAIL]  ping  version  echo  status [JAIL [FLAVOR]]  status --all  stats
          banned [IP…]  unban IP…|--all  get JAIL OPTION  set JAIL OPTION VALUE…  start JAIL  stop JAIL  flushlogs
`)
}

// fractional finds the units that fail2ban takes for fractions of days: months and years.
var fractional = regexp.MustCompile(`(?i)[\d\s](y|mon?\b|month)`)

func (c *fail2banClient) seconds(text string) error {
	v, err := fail2ban.Seconds(text)
	if err != nil {
		return c.failed(err.Error(), err.Error())
	}
	s := fmt.Sprint(int64(v))
	if v != float64(int64(v)) || fractional.MatchString(text) {
		s = fmt.Sprintf("%.1f", v)
	}
	fmt.Fprintln(c.streams.Out, s)
	return nil
}

// failed says what is wrong as fail2ban's client does: a line of its log, and a sentence.
func (c *fail2banClient) failed(logged, said string) error {
	if !c.quiet {
		now := time.Now
		if c.streams.Now != nil {
			now = c.streams.Now
		}
		fmt.Fprintf(c.streams.Err, "%s %-24s[%d]: %-7s %s\n", now().Format("2006-01-02 15:04:05,000"), "fail2ban", os.Getpid(), "ERROR", logged)
	}
	if said != "" {
		fmt.Fprintln(c.streams.Out, said)
	}
	return &fail2banStatus{exitFail2ban}
}

// configuration is -t and -d.
func (c *fail2banClient) configuration() error {
	setup, err := fail2ban.Load(c.dir, fail2ban.Options{Strict: true, AllowMissingLogs: c.dump})
	if err != nil {
		return c.failed("Failed during configuration: "+err.Error(), "")
	}
	if c.dump {
		for _, line := range setup.Stream() {
			fmt.Fprintln(c.streams.Out, f2bclient.Repr(line))
		}
	}
	if c.test {
		for _, f := range setup.Faults {
			_ = c.failed(f.Error(), "")
		}
		fmt.Fprintln(c.streams.Out, "OK: configuration test is successful")
	}
	return nil
}

// client finds the daemon's socket.
func (c *fail2banClient) client() *control.Client {
	path := c.socket
	if path == "" {
		file, missing := os.Getenv("PFWARDEN_CONFIG"), false
		if file == "" {
			file, missing = "/etc/pfwarden.toml", true
		}
		options := filterOptions()
		options.Missing = missing
		if conf, err := config.Load(file, options); err == nil {
			path = conf.Control.Socket
		} else {
			path = config.Default("").Control.Socket
		}
	}
	return control.NewClient(path)
}

func (c *fail2banClient) send(ctx context.Context, args []string) error {
	client := c.client()
	defer client.Close()
	raw, bad, err := client.Fail2ban(ctx, args)
	switch {
	case errors.Is(err, control.ErrNotRunning):
		if args[0] == "restart" && len(args) == 1 {
			return c.start(ctx)
		}
		return c.failed(fmt.Sprintf("Failed to access socket path: %v. Is fail2ban running?", err), "")
	case err != nil:
		return c.failed(err.Error(), "")
	case bad != nil && bad.NoJail:
		return c.failed("NOK: "+tuple(bad.Text), fmt.Sprintf("Sorry but the jail '%s' does not exist", bad.Text))
	case bad != nil && args[0] == "reload":
		return c.failed("Failed during configuration: "+bad.Text, "")
	case bad != nil:
		return c.failed("NOK: "+tuple(bad.Text), bad.Text)
	}
	v, err := f2bclient.Decode(raw)
	if err != nil {
		return c.failed(err.Error(), "")
	}
	boxes := false
	if f, ok := c.streams.Out.(*os.File); ok {
		boxes = term.IsTerminal(int(f.Fd())) || strings.Contains(strings.ToUpper(os.Getenv("LC_ALL")+os.Getenv("LC_CTYPE")+os.Getenv("LANG")), "UTF")
	}
	fmt.Fprintln(c.streams.Out, f2bclient.Beautify(args, v, f2bclient.Options{Boxes: boxes}))
	return nil
}

// tuple is how Python writes an exception's one argument.
func tuple(text string) string { return "(" + f2bclient.Repr(text) + ",)" }

// start runs the daemon with the folder's jails, in the background unless -f was given.
func (c *fail2banClient) start(ctx context.Context) error {
	client := c.client()
	defer client.Close()
	if _, _, err := client.Fail2ban(ctx, []string{"ping"}); err == nil {
		return c.failed("Server already running", "")
	}
	args := []string{"run", "--fail2ban", c.dir}
	if file := os.Getenv("PFWARDEN_CONFIG"); file != "" {
		args = append(args, "-f", file)
	}
	if c.foreground {
		return run(ctx, args, c.streams)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	p, err := os.StartProcess(self, append([]string{"pfwarden"}, args...), &os.ProcAttr{Dir: "/", Env: os.Environ(), Files: []*os.File{null, null, null}, Sys: detached()})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { _, err := p.Wait(); ended <- err }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(30 * time.Second); ; {
		select {
		case <-tick.C:
			if _, _, err := client.Fail2ban(ctx, []string{"ping"}); err == nil {
				fmt.Fprintln(c.streams.Out, "Server ready")
				return nil
			}
		case <-ended:
			return c.failed("Could not start server: see pfwarden's log, or run pfwarden check", "")
		case <-limit:
			return c.failed("Could not start server: it does not answer", "")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// server is fail2ban-server.
func (c *fail2banClient) server(ctx context.Context, args []string) error {
	args, done, err := c.options(args)
	if done || err != nil {
		return err
	}
	if c.dump || c.test {
		return c.configuration()
	}
	if len(args) > 0 && args[0] != "start" {
		return c.send(ctx, args)
	}
	return c.start(ctx)
}
