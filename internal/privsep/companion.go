package privsep

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// envHooks tells the process that runs commands what it is.
const envHooks = "PFWARDEN_HOOKS"

// hooksGrace is how long the process that runs commands has to end once its worker is gone.
const hooksGrace = 10 * time.Second

// companion keeps the process that runs commands going beside one worker: it is started, and started again when it ends, and the worker is
// handed a socket to each. It never holds the worker, or PF, up.
type companion struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// leave tells the process to end; stop waits for it, too.
func (c *companion) leave() {
	if c != nil {
		c.cancel()
	}
}

func (c *companion) stop() {
	if c != nil {
		c.cancel()
		<-c.done
	}
}

// accompany starts what runs commands for a worker, after the one of the worker before. It returns nil if there is nothing to run.
func (p *Parent) accompany(w *worker, before *companion) *companion {
	if p.o.Hooks == nil {
		return before
	}
	args, ok := p.o.Hooks()
	if !ok {
		return before // to be waited for at the end
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &companion{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		before.stop()
		p.keepHooks(ctx, w, args)
	}()
	return c
}

func (p *Parent) keepHooks(ctx context.Context, w *worker, args []string) {
	wait := p.o.Backoff
	restarts, last := 0, ""
	for ctx.Err() == nil {
		began := time.Now()
		err := p.runHooks(ctx, w, args, restarts, last)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) >= steady {
			wait = p.o.Backoff
		}
		restarts++
		if last = "exit status 0"; err != nil {
			last = err.Error()
			p.o.Log.Error("the process that runs commands ended; a new one is started", "cause", last, "restarts", restarts, "in", wait)
		} // else the worker has closed its end: it ends, too, or lies
		select {
		case <-p.o.After(wait):
		case <-ctx.Done():
			return
		}
		wait = min(2*wait, MaxBackoff)
	}
}

// runHooks starts the process once, hands its socket to the worker, and waits for its end.
func (p *Parent) runHooks(ctx context.Context, w *worker, args []string, restarts int, last string) error {
	program, err := p.program()
	if err != nil {
		return err
	}
	workers, theirs, err := socketPair()
	if err != nil {
		return err
	}
	alive, lifeline, err := os.Pipe() // ends when we do, however that is
	if err != nil {
		return errors.Join(err, workers.Close(), theirs.Close())
	}
	defer lifeline.Close()
	text, err := json.Marshal(hooksRole{Relay: p.o.Role.Relay})
	if err != nil {
		return errors.Join(err, workers.Close(), theirs.Close(), alive.Close())
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(append([]string(nil), p.o.HooksEnv...), envHooks+"="+string(text))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = alive, p.o.Stderr, p.o.Stderr
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	_, _ = theirs.Close(), alive.Close()
	if err != nil {
		workers.Close()
		return fmt.Errorf("starting it: %w", err)
	}
	payload := binary.BigEndian.AppendUint32(nil, uint32(restarts)) //nolint:gosec // counted up from 0
	err = w.wire.send(frame{kind: replyHooks, payload: append(payload, last[:min(len(last), 512)]...), file: workers})
	workers.Close()
	if err != nil && !gone(err) {
		p.o.Log.Error("the worker could not be told of the process that runs commands", "error", err)
	}
	p.o.Log.Info("the process that runs commands was started", "pid", cmd.Process.Pid)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	lifeline.Close() // it gives up what it runs, and ends
	timer := time.NewTimer(hooksGrace)
	defer timer.Stop()
	select {
	case err := <-ended:
		return err
	case <-timer.C:
		p.o.Log.Error("the process that runs commands does not end; it is killed")
		_ = cmd.Process.Kill()
		return <-ended
	}
}

// hooksRole is what the process that runs commands is told.
type hooksRole struct {
	Relay bool `json:"relay"`
}

// InheritedHooks is what the process that runs commands got from the privileged process.
type InheritedHooks struct {
	Socket net.Conn // to the worker
	Relay  bool     // its standard error is written to syslog(3) by the privileged process
	Alive  *os.File // at its end the privileged process has ended, or wants this one to
}

// InheritHooks takes that over. It is an error if there is none.
func InheritHooks() (*InheritedHooks, error) {
	text, ok := os.LookupEnv(envHooks)
	if !ok {
		return nil, errors.New("the process that runs commands is started by pfwarden run, not by hand")
	}
	var role hooksRole
	if err := json.Unmarshal([]byte(text), &role); err != nil {
		return nil, fmt.Errorf("%s: %w", envHooks, err)
	}
	if err := closeLeaked(fdSocket + 1); err != nil {
		return nil, fmt.Errorf("descriptors that were not handed over: %w", err)
	}
	f := os.NewFile(fdSocket, "worker")
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("socket to the worker: %w", err)
	}
	closeOnExec(0)
	return &InheritedHooks{Socket: conn, Relay: role.Relay, Alive: os.Stdin}, errors.Join(f.Close(), os.Unsetenv(envHooks))
}
