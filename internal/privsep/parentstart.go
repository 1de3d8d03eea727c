package privsep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// worker is a running one.
type worker struct {
	cmd   *exec.Cmd
	wire  *wire // to it
	ended chan ended
}

func (w *worker) signal(s syscall.Signal) { _ = w.cmd.Process.Signal(s) } // it may have ended: that comes through ended

// program is what is started again in other roles.
func (p *Parent) program() (string, error) {
	if p.o.Program != "" {
		return p.o.Program, nil
	}
	return os.Executable()
}

// command is what starts a worker in a role.
func (p *Parent) command(program string, role Role) (*exec.Cmd, error) {
	text, err := json.Marshal(role)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, p.o.Args...)
	cmd.Env = append([]string{"PATH=/usr/bin:/bin", "GODEBUG=netdns=go", envWorker + "=" + string(text)}, p.o.Env...)
	cmd.Stdout, cmd.Stderr = p.o.Stderr, p.o.Stderr
	if p.o.Stdin != nil {
		cmd.Stdin = p.o.Stdin
	}
	// A session of its own: it can put no words into our terminal (TIOCSTI), and our terminal's signals come through us.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = lingering
	return cmd, nil
}

// start starts a worker and the service of its socket.
func (p *Parent) start() (started *worker, err error) {
	program, err := p.program()
	if err != nil {
		return nil, err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	files := []*os.File{theirs, p.o.Control, p.o.Metrics, nil}
	defer func() { // the worker has its own
		_ = theirs.Close()
		if journal := files[3]; journal != nil {
			_ = journal.Close()
		}
	}()
	link, err := newWire(ours)
	if err != nil {
		return nil, err
	}
	defer func() {
		if started == nil {
			_ = link.close()
		}
	}()
	role := p.o.Role
	role.Control, role.Metrics = p.o.Control != nil, p.o.Metrics != nil
	if p.o.Journal != nil {
		if files[3], err = p.o.Journal(); err == nil {
			err = limitRights(files[3], handJournal)
		}
		if err != nil {
			return nil, err
		}
		role.Journal = true
	}
	cmd, err := p.command(program, role)
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = files
	w := &worker{cmd: cmd, wire: link, ended: make(chan ended, 1)}
	forked := make(chan error)
	go p.launch(w, forked)
	if err := <-forked; err != nil {
		return nil, fmt.Errorf("starting the worker: %w", err)
	}
	if p.o.Started != nil {
		p.o.Started(cmd.Process.Pid)
	}
	return w, nil
}

// launch runs a worker and the service of its socket until the worker has ended, and says on forked whether it could be started.
func (p *Parent) launch(w *worker, forked chan<- error) {
	// The thread that forks lives as long as the worker, and passes on to it alone what it can never gain again.
	runtime.LockOSThread()
	began := time.Now()
	err := errors.Join(noNewPrivileges(), w.cmd.Start())
	forked <- err
	if err != nil {
		return // without unlocking: the thread ends with us
	}
	serving := make(chan error, 1)
	go func() {
		err := p.o.Guard.serve(context.Background(), w.wire)
		if err != nil {
			p.o.Log.Error("the worker is ended", "error", err)
			_ = w.cmd.Process.Kill()
		}
		serving <- err
	}()
	err = w.cmd.Wait()
	_ = w.wire.close()                                    // whoever it has handed its end to is not served
	_ = syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL) // what it may have left in its session
	w.ended <- ended{err: err, guard: <-serving, ran: time.Since(began)}
}
