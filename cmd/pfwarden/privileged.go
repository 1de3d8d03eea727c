package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"pfwarden/internal/privsep"
	"pfwarden/internal/screen"
)

// privileged is the small process with root's rights.
type privileged struct {
	cmd     *cobra.Command
	flags   *runFlags
	errs    io.Writer
	program string // this one, which is started again as the worker and others
	plan    *plan  // replaced by each reload
	log     *slog.Logger
	guard   *privsep.Guard
}

// runPrivileged keeps the small process with root's rights. done is false if the configuration needs no second process.
func runPrivileged(cmd *cobra.Command, flags *runFlags, streams stdio) (done bool, err error) {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hup := make(chan os.Signal, 1) // from the first on: a reload that is asked for too early must not end us
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	p := &privileged{cmd: cmd, flags: flags, errs: streams.Err}
	if p.program, err = os.Executable(); err != nil { // now: a confined process could not look at it any more
		return true, err
	}
	if p.plan, err = askPlan(ctx, p.program, cmd, flags, p.errs); err != nil {
		return true, err
	}
	if p.plan.Alone {
		if p.plan.Note != "" {
			fmt.Fprintln(p.errs, "pfwarden: "+p.plan.Note)
		}
		return false, nil
	}
	return true, p.run(ctx, hup)
}

// run prepares what only root may, confines the process to what it will still need, and keeps a worker running until ctx ends.
func (p *privileged) run(ctx context.Context, hup <-chan os.Signal) error {
	w, isSyslog := logWriter(p.plan.Log, p.errs)
	log, err := logTo(p.plan.Log, w, isSyslog, new(slog.LevelVar))
	if err != nil {
		return err
	}
	p.log = log.With("process", "privileged")
	p.warn(p.plan.Note)
	p.warn(foreignOwner(commonOf(p.cmd).Config))
	root, removeRoot, err := p.workerRoot()
	if err != nil {
		return err
	}
	defer removeRoot()
	role := privsep.Role{UID: p.plan.UID, GID: p.plan.GID, Relay: isSyslog, Chroot: root}
	o := privsep.ParentOptions{
		Role: role, Program: p.program, Env: workerEnv(), HooksEnv: os.Environ(), Stderr: w, Log: p.log, Idle: privsep.Shrink,
		Reload: func() (keep map[string]string, err error) { return p.reload(ctx) },
		Started: func(pid int) {
			p.log.Info("the worker runs", "pid", pid, "uid", role.UID, "chroot", role.Chroot)
			privsep.Shrink()
		},
	}
	if isSyslog || isDevice(p.errs) { // what writes to a terminal could read from it, too
		o.Stderr = &privsep.Lines{W: w}
	}
	if p.plan.Stdin {
		o.Stdin = os.Stdin
	}
	closeAll, err := listen(ctx, p.plan, &o)
	if err != nil {
		return err
	}
	defer closeAll()
	if o.Journal, err = p.journal(); err != nil {
		return err
	}
	p.guard, err = privsep.NewGuard(privsep.GuardOptions{
		Settings: p.plan.Settings, Program: p.program, Log: p.log, Defaults: screen.System{}.Defaults,
	})
	if err != nil {
		return err
	}
	o.Guard = p.guard
	if o.Args, err = p.flags.args(p.cmd, "worker"); err != nil {
		return err
	}
	hooksArgs, err := p.flags.args(p.cmd, "hooks")
	if err != nil {
		return err
	}
	o.Hooks = func() (args []string, ok bool) { return hooksArgs, p.plan.Hooks }
	_ = time.Now().Local().Format("") // reads the zone's file, while it can be seen
	parent := privsep.NewParent(o)
	needs := privsep.GuardNeeds{Program: p.program, Syslog: isSyslog, Journal: p.flags.journal, Socket: p.plan.Socket}
	if err := p.guard.Confine(needs); err != nil {
		return err
	}
	return silently(parent.Run(ctx, hup))
}

// warn logs a text, if there is one.
func (p *privileged) warn(text string) {
	if text != "" {
		p.log.Warn(text)
	}
}

// workerRoot prepares the folder to which workers are confined: the ledger's, else a temporary one, which remove removes.
func (p *privileged) workerRoot() (root string, remove func(), err error) {
	store, remove := p.plan.Store, func() {}
	if store == "" { // it must be a folder, all the same, where workers can have their copies of resolv.conf and hosts
		dir, err := os.MkdirTemp("", "pfwarden-")
		if err != nil {
			return "", nil, err
		}
		remove = func() { _ = os.RemoveAll(dir) } // OpenBSD: it cannot be seen any more by then, and is left
		store = filepath.Join(dir, "none")
	}
	note, err := privsep.PrepareStore(store, p.plan.UID, p.plan.GID)
	if err != nil {
		remove()
		return "", nil, err
	}
	p.warn(note)
	return filepath.Dir(store), remove, nil
}

// journal says how each worker's flight recorder is opened; nil if none was asked for.
func (p *privileged) journal() (open func() (*os.File, error), err error) {
	if p.flags.journal == "" {
		return nil, nil
	}
	if p.flags.journal, err = filepath.Abs(p.flags.journal); err != nil {
		return nil, err
	}
	if err := narrowJournal(p.flags.journal); err != nil { // now: a confined process may not change modes
		return nil, err
	}
	return func() (*os.File, error) { return openJournal(p.flags.journal) }, nil
}

// reload has the configuration read again. It returns an error if the old plan stays, and else the actions that are the same in the new one.
func (p *privileged) reload(ctx context.Context) (keep map[string]string, err error) {
	said := &firstWords{}
	fresh, err := askPlan(ctx, p.program, p.cmd, p.flags, said)
	text := said.String()
	if err != nil && text != "" {
		return nil, errors.New(text) // into the log, since nobody may read our standard error
	}
	if err != nil {
		return nil, err
	}
	p.warn(text)
	if err := p.plan.moved(fresh); err != nil {
		return nil, err
	}
	if err := p.guard.Change(fresh.Settings); err != nil {
		return nil, err
	}
	keep = p.plan.keeps(fresh)
	p.plan = fresh
	return keep, nil
}

// firstWords keeps the beginning of what a process says on its standard error.
type firstWords struct{ text []byte }

// Write takes some bytes, and keeps no more than the first of all.
func (f *firstWords) Write(b []byte) (int, error) {
	f.text = append(f.text, b[:min(len(b), 4<<10-len(f.text))]...)
	return len(b), nil
}

// String gives them without the program's name and the last line's end.
func (f *firstWords) String() string {
	return strings.TrimPrefix(strings.TrimSpace(string(f.text)), "pfwarden: ")
}

// isDevice tells whether a stream is a terminal, or another device.
func isDevice(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// silently leaves it at the exit status of another process, which has said everything itself.
func silently(err error) error {
	if exit := (*privsep.ExitError)(nil); errors.As(err, &exit) {
		return &silentError{exit}
	}
	return err
}
