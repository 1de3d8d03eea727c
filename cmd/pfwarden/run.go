package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"log/syslog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"pfwarden/capture/pflog"
	"pfwarden/internal/config"
	"pfwarden/internal/daemon"
	"pfwarden/pfctl"
	"pfwarden/pfctl/pftest"
)

func newRunCommand(streams stdio) *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "watch and ban: the daemon, in the foreground",
		Long: `Watch PF's log and the servers' logs, and keep attackers in the tables of a PF anchor. The daemon stays in the foreground;
the system's rc(8) puts it into the background.

SIGHUP reads the configuration again (one with a fault is refused as a whole, and the old one stays) and compares PF's tables
with what they should hold; SIGTERM and SIGINT stop in order, leaving the tables in place unless pf.keep_on_stop is false;
SIGUSR1 reopens the logs.`,
		Example: `  pfwarden run
  pfwarden run -f ./pfwarden.toml --set observe=true --set log.target=stderr`,
		Args: nArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !flags.one && os.Geteuid() == 0 {
				if done, err := runPrivileged(cmd, &flags, streams); done {
					return err
				}
			}
			load := func() (*config.Config, error) {
				c, err := flags.load(cmd)
				if err == nil {
					err = safe(c, flags.journal)
				}
				return c, err
			}
			c, err := load()
			if err != nil {
				return err
			}
			level := new(slog.LevelVar)
			log, err := newLog(c.Log, streams.Err, level)
			if err != nil {
				return err
			}
			o := daemon.Options{
				Config: c, Log: log, Level: level, Version: version, Capture: pflog.CaptureKind(),
				Load: load,
			}
			if o.Runner, err = newRunner(c); err != nil {
				return err
			}
			if c.PF.Backend == "pfctl" {
				if o.Reader, err = newRunner(c); err != nil {
					return err
				}
			}
			if flags.journal != "" {
				if err := narrowJournal(flags.journal); err != nil {
					return err
				}
				f, err := openJournal(flags.journal)
				if err != nil {
					return err
				}
				defer f.Close()
				o.Journal = f
			}
			return runDaemon(cmd.Context(), o)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&flags.journal, "journal", "", "flight recorder: append every input of the detector to this `file`, for replay")
	cmd.Flags().BoolVar(&flags.one, "single-process", false, "as root: do everything in one process with root's rights")
	return cmd
}

// runDaemon runs until SIGTERM or SIGINT.
func runDaemon(ctx context.Context, o daemon.Options) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hup := make(chan os.Signal, 1) // from the first on: a reload that is asked for too early must not end us
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	d, err := daemon.New(ctx, o)
	if err != nil {
		return err
	}
	go func() {
		for {
			select {
			case <-hup:
				d.Reload()
			case <-ctx.Done():
				return
			}
		}
	}()
	return d.Run(ctx)
}

// newRunner says how pfctl(8) is run, or gives a PF in memory.
func newRunner(c *config.Config) (pfctl.Runner, error) {
	if c.PF.Backend == "memory" {
		pf, err := pftest.NewGateway("openbsd", c.PF.Anchor)
		if err != nil {
			return nil, fmt.Errorf("setting up the PF in memory: %w", err)
		}
		return pf, nil
	}
	return &pfctl.ExecRunner{Path: c.PF.Pfctl, Env: standInEnv(os.Environ())}, nil
}

// standInEnv keeps of the environment what the stand-in pfctl of our tests is told by it; pfctl(8) itself knows no variable.
func standInEnv(environ []string) []string {
	var keep []string
	for _, v := range environ {
		if strings.HasPrefix(v, "PFTEST_") {
			keep = append(keep, v)
		}
	}
	return keep
}

// newLog opens the daemon's own log; level as for logTo.
func newLog(c config.Log, stderr io.Writer, level *slog.LevelVar) (*slog.Logger, error) {
	w, isSyslog := logWriter(c, stderr)
	return logTo(c, w, isSyslog, level)
}

// logWriter says where the daemon's own log goes.
func logWriter(c config.Log, stderr io.Writer) (w io.Writer, isSyslog bool) {
	if c.Target != "syslog" {
		return stderr, false
	}
	s, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_INFO, "pfwarden")
	if err != nil {
		fmt.Fprintf(stderr, "pfwarden: syslog cannot be reached (%v): the log goes to standard error\n", err)
		return stderr, false
	}
	return s, true
}

// withoutTime leaves the time to syslogd(8).
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// logTo makes a logger of a writer; syslog adds the time itself. level is set to the configured one, and may be changed later.
func logTo(c config.Log, w io.Writer, withoutTimes bool, level *slog.LevelVar) (*slog.Logger, error) {
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, usagef("log.level: %w", err)
	}
	o := &slog.HandlerOptions{Level: level}
	if withoutTimes {
		o.ReplaceAttr = withoutTime
	}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return slog.New(slog.NewTextHandler(w, o)), nil
}
