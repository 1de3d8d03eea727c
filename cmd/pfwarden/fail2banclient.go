package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"pfwarden/internal/config"
	"pfwarden/internal/control"
	"pfwarden/internal/f2bclient"
	"pfwarden/internal/fail2ban"
)

// command carries out one command as fail2ban-client does.
func (c *fail2banClient) command(ctx context.Context, args []string) error {
	switch args[0] {
	case "start":
		if len(args) == 1 {
			return c.start(ctx)
		}
	case "restart":
		if len(args) > 1 {
			return c.reload(ctx, append([]string{"reload", "--restart"}, args[1:]...))
		}
		return c.restart(ctx)
	case "reload":
		return c.reload(ctx, args)
	}
	return c.send(ctx, args)
}

// reload checks the arguments before anything is asked of the daemon.
func (c *fail2banClient) reload(ctx context.Context, args []string) error {
	rest := args[1:]
	for len(rest) > 0 && (rest[0] == "--restart" || rest[0] == "--unban" || rest[0] == "--if-exists") {
		rest = rest[1:]
	}
	if len(rest) > 1 {
		return c.failed("Unexpected argument(s) for reload: "+f2bclient.Repr(rest), "")
	}
	if !c.answers(ctx) {
		return c.failed("Could not find server", "")
	}
	return c.send(ctx, args)
}

// restart stops the daemon and starts one anew, in the background.
func (c *fail2banClient) restart(ctx context.Context) error {
	_ = c.send(ctx, []string{"stop"}) // it has said why not
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(startLimit); c.answers(ctx); {
		select {
		case <-tick.C:
		case <-limit:
			return c.failed("Could not stop server", "")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return c.start(ctx)
}

func (c *fail2banClient) answers(ctx context.Context) bool {
	client := c.client()
	defer client.Close()
	_, err := client.Fail2ban(ctx, []string{"ping"})
	return err == nil
}

// socketPath finds the daemon's socket.
func (c *fail2banClient) socketPath() string {
	if c.socket != "" {
		return c.socket
	}
	file, missing := os.Getenv("PFWARDEN_CONFIG"), false
	if file == "" {
		file, missing = "/etc/pfwarden.toml", true
	}
	options := filterOptions()
	options.Missing = missing
	if conf, err := config.Load(file, options); err == nil {
		return conf.Control.Socket
	}
	return config.Default("").Control.Socket
}

func (c *fail2banClient) client() *control.Client { return control.NewClient(c.socketPath()) }

// send asks the daemon and says what it answers.
func (c *fail2banClient) send(ctx context.Context, args []string) error {
	client := c.client()
	defer client.Close()
	reply, err := client.Fail2ban(ctx, args)
	bad := reply.Error
	switch {
	case errors.Is(err, control.ErrNotRunning):
		return c.failed(fmt.Sprintf("Failed to access socket path: %s. Is fail2ban running?", c.socketPath()), "")
	case err != nil:
		return c.failed(err.Error(), "")
	case bad != nil && bad.NoJail:
		return c.failed("NOK: "+tuple(bad.Text), fmt.Sprintf("Sorry but the jail '%s' does not exist", bad.Text))
	case bad != nil && args[0] == "reload":
		return c.failed("Failed during configuration: "+bad.Text, "")
	case bad != nil:
		said := bad.Said
		if said == "" {
			said = bad.Text
		}
		holds := bad.Args
		if holds == nil {
			holds = []any{bad.Text}
		}
		return c.failed("NOK: "+tuple(holds...), said)
	}
	if reply.Owner != "" {
		if err := c.askOwner(ctx, client, reply.Owner); err != nil {
			return c.failed(err.Error(), "")
		}
	}
	v, err := f2bclient.Decode(reply.Value)
	if err != nil {
		return c.failed(err.Error(), "")
	}
	boxes := strings.Contains(strings.ToUpper(os.Getenv("LC_ALL")+os.Getenv("LC_CTYPE")+os.Getenv("LANG")), "UTF")
	if f, ok := c.streams.Out.(*os.File); ok {
		boxes = boxes || term.IsTerminal(int(f.Fd()))
	}
	fmt.Fprintln(c.streams.Out, f2bclient.Beautify(args, v, f2bclient.Options{Boxes: boxes}))
	return nil
}

// tuple is how Python writes what an exception holds.
func tuple(holds ...any) string {
	parts := make([]string, len(holds))
	for i, h := range holds {
		parts[i] = f2bclient.Repr(h)
	}
	if len(parts) == 1 {
		return "(" + parts[0] + ",)"
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// startLimit is how long a daemon may take to start or to stop.
const startLimit = 30 * time.Second

// start runs the daemon with the folder's jails, in the background unless -f was given.
func (c *fail2banClient) start(ctx context.Context) error {
	if c.answers(ctx) {
		return c.failed("Server already running", "")
	}
	args := []string{"run", "--fail2ban", c.dir}
	if file := os.Getenv("PFWARDEN_CONFIG"); file != "" {
		args = append(args, "-f", file)
	}
	if c.socket != "" {
		args = append(args, "--set", "control.socket="+c.socket)
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
	p, err := os.StartProcess(self, append([]string{"pfwarden"}, args...),
		&os.ProcAttr{Dir: "/", Env: os.Environ(), Files: []*os.File{null, null, null}, Sys: detached()})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { _, err := p.Wait(); ended <- err }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(startLimit); ; {
		select {
		case <-tick.C:
			if c.answers(ctx) {
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

// converse reads commands from standard input until it ends, or until "exit".
func (c *fail2banClient) converse(ctx context.Context, args []string) error {
	if len(args) > 0 {
		if err := c.command(ctx, args); err != nil {
			return err
		}
	}
	for lines := bufio.NewScanner(c.streams.In); ; {
		fmt.Fprint(c.streams.Out, "fail2ban> ")
		if !lines.Scan() {
			fmt.Fprintln(c.streams.Out)
			return lines.Err()
		}
		words, err := fail2ban.ShellWords(lines.Text())
		var status *fail2banStatus
		switch {
		case err != nil:
			_ = c.failed(err.Error(), "")
		case len(words) == 0:
		case words[0] == "exit" || words[0] == "quit":
			return nil
		case words[0] == "help":
			c.usage()
		default:
			if err := c.command(ctx, words); err != nil && !errors.As(err, &status) {
				return err
			}
		}
	}
}
