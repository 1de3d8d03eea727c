package main

import (
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

// runPrivileged keeps the small process with root's rights. done is false if the configuration needs no second process.
func runPrivileged(cmd *cobra.Command, flags *runFlags, streams stdio) (done bool, err error) {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hup := make(chan os.Signal, 1) // from the first on: a reload that is asked for too early must not end us
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	program, err := os.Executable() // now: a confined process could not look at it any more
	if err != nil {
		return true, err
	}
	p, err := askPlan(ctx, program, cmd, flags, streams.Err)
	if err != nil {
		return true, err
	}
	if p.Alone {
		if p.Note != "" {
			fmt.Fprintln(streams.Err, "pfwarden: "+p.Note)
		}
		return false, nil
	}
	w, isSyslog := logWriter(p.Log, streams.Err)
	log, err := logTo(p.Log, w, isSyslog, new(slog.LevelVar))
	if err != nil {
		return true, err
	}
	log = log.With("process", "privileged")
	if p.Note != "" {
		log.Warn(p.Note)
	}
	if why := loose(commonOf(cmd).Config); why != "" {
		log.Warn(why)
	}
	store := p.Store
	if store == "" { // the worker's root must be a folder, all the same, where it can have its copies of resolv.conf and hosts
		dir, err := os.MkdirTemp("", "pfwarden-")
		if err != nil {
			return true, err
		}
		defer os.RemoveAll(dir) // OpenBSD: it cannot be seen any more by then, and is left
		store = filepath.Join(dir, "none")
	}
	note, err := privsep.PrepareStore(store, p.UID, p.GID)
	if err != nil {
		return true, err
	}
	if note != "" {
		log.Warn(note)
	}
	role := privsep.Role{UID: p.UID, GID: p.GID, Relay: isSyslog, Chroot: filepath.Dir(store)}
	o := privsep.ParentOptions{Role: role, Program: program, Env: workerEnv(), Stderr: w, Log: log, Idle: privsep.Shrink}
	if isSyslog || isDevice(streams.Err) { // what writes to a terminal could read from it, too
		o.Stderr = &privsep.Lines{W: w}
	}
	if p.Stdin {
		o.Stdin = os.Stdin
	}
	closeAll, err := listen(ctx, p, &o)
	if err != nil {
		return true, err
	}
	defer closeAll()
	if flags.journal != "" {
		if flags.journal, err = filepath.Abs(flags.journal); err != nil {
			return true, err
		}
		if err := narrowJournal(flags.journal); err != nil { // now: a confined process may not change modes
			return true, err
		}
		o.Journal = func() (*os.File, error) { return openJournal(flags.journal) }
	}
	if o.Guard, err = privsep.NewGuard(privsep.GuardOptions{Settings: p.Settings, Program: program, Log: log, Defaults: screen.System{}.Defaults}); err != nil {
		return true, err
	}
	if o.Args, err = flags.args(cmd, "worker"); err != nil {
		return true, err
	}
	hooksArgs, err := flags.args(cmd, "hooks")
	if err != nil {
		return true, err
	}
	o.Hooks, o.HooksEnv = func() ([]string, bool) { return hooksArgs, p.Hooks }, os.Environ()
	o.Reload = func() (map[string]string, error) {
		said := &firstWords{}
		fresh, err := askPlan(ctx, program, cmd, flags, said)
		if text := said.String(); text != "" && err != nil {
			err = errors.New(text) // into the log, since nobody may read our standard error
		} else if text != "" {
			log.Warn(text)
		}
		if err != nil {
			return nil, err
		}
		if err := p.moved(fresh); err != nil {
			return nil, err
		}
		if err := o.Guard.Change(fresh.Settings); err != nil {
			return nil, err
		}
		keep := p.keeps(fresh)
		p = fresh
		return keep, nil
	}
	o.Started = func(pid int) {
		log.Info("the worker runs", "pid", pid, "uid", p.UID, "chroot", role.Chroot)
		privsep.Shrink()
	}
	_ = time.Now().Local().Format("") // reads the zone's file, while it can be seen
	parent := privsep.NewParent(o)
	if err := o.Guard.Confine(privsep.GuardNeeds{Program: program, Syslog: isSyslog, Journal: flags.journal, Socket: p.Socket}); err != nil {
		return true, err
	}
	err = parent.Run(ctx, hup)
	return true, silently(err)
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
