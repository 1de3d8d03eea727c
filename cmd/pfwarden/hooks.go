package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"pfwarden/internal/daemon"
	"pfwarden/internal/hooks"
	"pfwarden/internal/privsep"
)

// newHooksCommand is the process that runs the commands of actions for a worker without rights.
func newHooksCommand(streams stdio) *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use: "hooks", Hidden: true, Args: nArgs(cobra.NoArgs),
		Short: "the process of run that runs commands",
		RunE: func(cmd *cobra.Command, _ []string) error {
			in, err := privsep.InheritHooks()
			if err != nil {
				return usagef("%w", err)
			}
			ctx, stop := untilEnd(cmd.Context(), in.Alive)
			defer stop()
			return runHooks(ctx, cmd, &flags, in, streams)
		},
	}
	flags.add(cmd)
	return cmd
}

// untilEnd gives a context that ends with whoever holds the other end of a pipe, or by a signal.
func untilEnd(ctx context.Context, alive *os.File) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	// A reload is the privileged process's: what some rc.d scripts send to all processes of this name is not heeded. It is caught, since a
	// signal that is ignored would be ignored by the commands, too.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	go func() {
		_, _ = io.Copy(io.Discard, alive) // nobody writes into it
		stop()
	}()
	return ctx, stop
}

func runHooks(ctx context.Context, cmd *cobra.Command, flags *runFlags, in *privsep.InheritedHooks, streams stdio) error {
	c, err := flags.load(cmd)
	if err != nil {
		return err
	}
	if err := daemon.Absolute(c); err != nil {
		return err
	}
	log, err := logTo(c.Log, streams.Err, in.Relay, new(slog.LevelVar))
	if err != nil {
		return err
	}
	x, err := readReferences(c)
	if err != nil {
		return err
	}
	book := daemon.Commands(x.fail2ban)
	log = log.With("process", "hooks")
	if err := privsep.ConfineHooks(book.Log()); err != nil {
		return fmt.Errorf("hooks: %w", err)
	}
	privsep.Shrink() // it does little, and keeps little of what it has read
	log.Info("commands wait to be run", "commands", book.Size())
	return hooks.NewServer(book, in.Socket, hooks.ServerOptions{Log: log}).Serve(ctx)
}
