package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"pfwarden/capture/pflog"
	"pfwarden/internal/config"
	"pfwarden/internal/daemon"
	"pfwarden/internal/fail2ban"
	"pfwarden/internal/hooks"
	"pfwarden/internal/privsep"
)

// workerEnv keeps of the environment what a worker needs: the time zone, and who started us, who is never banned.
func workerEnv() (keep []string) {
	for _, name := range []string{"TZ", "SSH_CONNECTION", "SSH_CLIENT", "GOTRACEBACK"} {
		if v, ok := os.LookupEnv(name); ok {
			keep = append(keep, name+"="+v)
		}
	}
	return keep
}

// newWorkerCommand is the process without rights.
func newWorkerCommand(streams stdio) *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use: "worker", Hidden: true, Args: nArgs(cobra.NoArgs),
		Short: "the unprivileged process of run",
		RunE: func(cmd *cobra.Command, _ []string) error {
			in, err := privsep.Inherit()
			if err != nil {
				return usagef("%w", err)
			}
			c, err := flags.load(cmd)
			if err != nil {
				return err
			}
			return runWorker(cmd.Context(), c, &flags, in, streams)
		},
	}
	flags.add(cmd)
	return cmd
}

// runWorker reads what only root may read, gives up its rights, and is the daemon from then on.
func runWorker(ctx context.Context, c *config.Config, flags *runFlags, in *privsep.Inherited, streams stdio) error {
	p, x, err := makePlan(c, flags.user)
	if err != nil {
		return err
	}
	if x.fail2ban != nil {
		readLists(ctx, x.fail2ban)
	}
	level := new(slog.LevelVar)
	log, err := logTo(c.Log, streams.Err, in.Relay, level)
	if err != nil {
		return err
	}
	client, err := privsep.NewClient(in.Socket, &p.Settings)
	if err != nil {
		return err
	}
	_ = time.Local.String()           // reads the zone's file, now
	_ = time.Now().Local().Format("") // and all of it
	needs := privsep.WorkerNeeds{Memory: dataLimit(c), Store: p.Store != "", Interface: p.Settings.Interface != "", Routes: c.NeverDefaults}
	if err := in.Drop(needs); err != nil {
		return err
	}
	if len(in.Stale) > 0 {
		log.Warn("the disk of the ledger has no room for copies of files by which names are looked up: those of an earlier start are used, or none",
			"files", in.Stale)
	}
	if p.Store != "" && in.Chroot != "" {
		c.Store.File = "/" + filepath.Base(p.Store)
	}
	go func() {
		<-client.Gone()
		log.Error("the privileged process is gone: the worker ends; pf's tables stay as they are")
		os.Exit(exitFailed)
	}()
	o := daemon.Options{
		Config: c, Log: log, Level: level, Version: version, Capture: pflog.CaptureKind(), Runner: client, Reader: client,
		Load: refuseReload(client),
		Apart: &daemon.Apart{
			Files: client.Files(), OpenInterface: client.OpenInterface, Control: in.Control, Metrics: in.Metrics,
			MayRead: p.Settings.MayOpen, GuardNever: client.GuardNever, Root: in.Chroot,
			Fail2ban: x.fail2ban, Rules: x.rules, Web: x.web, Faults: map[string]string{},
		},
	}
	if in.Journal != nil {
		o.Journal = in.Journal
	}
	if in.Restarts > 0 {
		o.Apart.Faults["worker"] = fmt.Sprintf("the worker was started again (restarts: %d); the one before ended by: %s", in.Restarts, in.Last)
	}
	if p.Hooks {
		connectHooks(o.Apart, client)
		o.Apart.Succeeds = in.Succeeds
		if p.Store != "" && in.Chroot != "" {
			o.Apart.Handover = c.Store.File + ".actions"
		}
	}
	return runDaemon(ctx, o)
}

// readLists reads the ignore lists of a fail2ban set-up while that is allowed: files only, names are looked up once the rights are gone.
func readLists(ctx context.Context, f *fail2ban.Running) {
	once, cancel := context.WithCancel(ctx)
	cancel()
	for _, l := range f.Lists {
		l.Refresh(once)
	}
}

// refuseReload answers a signal for a reload that reaches the worker: the privileged process reads the configuration, and starts another
// worker if it takes the new one over. What is returned is for the engine's goroutine alone.
func refuseReload(client *privsep.Client) func() (*config.Config, error) {
	refused := 0
	return func() (*config.Config, error) {
		refused++
		select {
		case why := <-client.Kept(): // it was sent before the signal
			return nil, fmt.Errorf("refused (%d so far): %s", refused, why)
		case <-time.After(time.Second): // somebody else has sent the signal
			return nil, fmt.Errorf("refused (%d so far); the privileged process has logged why", refused)
		}
	}
}

// connectHooks has commands run by the process for them, whose socket the privileged process sends, and sends again with each new one.
func connectHooks(a *daemon.Apart, client *privsep.Client) {
	a.Hooks = hooks.NewRemote()
	a.Succession = func() (id string, keep map[string]string) {
		select {
		case s := <-client.Succession(): // it was sent before the signal
			return s.ID, s.Keep
		case <-time.After(time.Second): // somebody else has sent the signal
			return "", nil
		}
	}
	go func() {
		for {
			select {
			case h := <-client.Hooks():
				a.Hooks.Attach(h.Socket, h.Restarts, h.Last)
			case <-client.Gone():
				return
			}
		}
	}()
}

// dataLimit is the most memory that a worker may have: what the detector is told to hold, twice, and two gigabytes.
func dataLimit(c *config.Config) uint64 {
	return 2<<30 + 2*96*uint64(c.Portscan.TableSlots) //nolint:gosec // never negative
}
