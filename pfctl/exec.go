package pfctl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// ExecRunner runs pfctl(8) as a child process. It is safe for several goroutines, but runs one child at a time.
type ExecRunner struct {
	Path    string        // of pfctl; "" is /sbin/pfctl
	Timeout time.Duration // after which a child is killed, default 60s: rules of the administrator's own may hold names to resolve
	Short   time.Duration // the same for runs that change addresses or kill states, which never wait for anything, default 15s
	Grace   time.Duration // after which a killed child that is still there counts as stuck, default 2s
	Env     []string      // beyond PATH, LC_ALL and TZ
	MaxOut  int           // bytes of standard output kept, default 256 MiB; more is an error

	mu    sync.Mutex
	stuck chan struct{} // closed when the child that would not die has ended; nil if there is none
}

// Run runs pfctl once. If a child cannot be killed because it sleeps in the kernel, Run returns ErrStuck, and goes on returning it
// at once while that child exists: another one would get stuck as well.
func (r *ExecRunner) Run(ctx context.Context, c Command) (Result, error) { return r.RunTo(ctx, c, nil) }

// RunTo is Run with pfctl's standard output going to a file, such as a pipe that another process reads, instead of into the Result.
func (r *ExecRunner) RunTo(ctx context.Context, c Command, stdout *os.File) (Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stuck != nil {
		select {
		case <-r.stuck:
			r.stuck = nil
		default:
			return Result{}, fmt.Errorf("an earlier run has not ended: %w", ErrStuck)
		}
	}
	path := r.Path
	if path == "" {
		path = "/sbin/pfctl"
	}
	limit := r.MaxOut
	if limit == 0 {
		limit = 256 << 20
	}
	cmd := exec.Command(path, c.Args...)
	cmd.Env = append([]string{"PATH=/sbin:/usr/sbin:/bin:/usr/bin", "LC_ALL=C", "TZ=UTC"}, r.Env...)
	in, err := newFeed(c)
	if err != nil {
		return Result{}, fmt.Errorf("%s: standard input: %w", path, err)
	}
	if in != nil {
		cmd.Stdin = in.stdin
	}
	out, errOut := &bounded{max: limit}, &bounded{max: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, errOut
	if stdout != nil {
		cmd.Stdout = stdout
	}
	if err := cmd.Start(); err != nil {
		in.close()
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.ENOEXEC) {
			return Result{}, fmt.Errorf("%s: %w: %w", path, ErrNoProgram, err)
		}
		return Result{}, fmt.Errorf("%s: %w", path, err)
	}
	in.started(func() { _ = cmd.Process.Kill() }) // it may have ended by itself
	ended := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		err := cmd.Wait()
		if unfed := in.ended(); unfed != nil {
			err = fmt.Errorf("%w: %w", errInput, unfed) // also where it was killed for that
		}
		ended <- err
		close(done)
	}()
	err, killed := r.wait(ctx, cmd, ended, r.limit(c.Args))
	if errors.Is(err, ErrStuck) {
		r.stuck = done
		return Result{}, fmt.Errorf("%s %v: %w", path, c.Args, err)
	}
	if killed != nil {
		return Result{}, fmt.Errorf("%s %v: %w", path, c.Args, killed)
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() < 0:
		return Result{}, fmt.Errorf("%s %v: %w: %v", path, c.Args, ErrKilled, exit)
	case err != nil && exit == nil && !errors.Is(err, errOutput) && cmd.ProcessState == nil:
		return Result{}, fmt.Errorf("%s: %w", path, err)
	case errors.Is(err, errInput):
		return Result{}, fmt.Errorf("%s %v: %w", path, c.Args, err)
	case out.over:
		return Result{}, fmt.Errorf("%s %v: %w", path, c.Args, errOutput)
	}
	return Result{Stdout: out.b.Bytes(), Stderr: errOut.b.Bytes(), Exit: cmd.ProcessState.ExitCode()}, nil
}

// limit is how long a run may take. pfctl works through 100,000 addresses in about a second.
func (r *ExecRunner) limit(args []string) time.Duration {
	timeout, short := r.Timeout, r.Short
	if timeout == 0 {
		timeout = time.Minute
	}
	if short == 0 {
		short = min(15*time.Second, timeout)
	}
	for i, a := range args {
		if a == "-k" || a == "-T" && i+1 < len(args) && args[i+1] != "show" {
			return short
		}
	}
	return timeout
}

// wait waits for the child, and kills it when its time is over.
func (r *ExecRunner) wait(ctx context.Context, cmd *exec.Cmd, ended <-chan error, timeout time.Duration) (err, killed error) {
	grace := r.Grace
	if grace == 0 {
		grace = 2 * time.Second
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case err := <-ended:
		return err, nil
	case <-timer.C:
		killed = fmt.Errorf("no end within %v: %w", timeout, ErrKilled)
	case <-ctx.Done():
		killed = fmt.Errorf("%w: %w", ErrKilled, ctx.Err())
	}
	_ = cmd.Process.Kill() // it may have ended by itself meanwhile
	timer.Reset(grace)
	select {
	case err := <-ended:
		return err, killed
	case <-timer.C:
		return ErrStuck, nil
	}
}

var (
	errOutput = errors.New("more output than is kept")
	errInput  = errors.New("standard input was not written whole")
)

// bounded keeps the first max bytes.
type bounded struct {
	b    bytes.Buffer
	max  int
	over bool
}

// ReadFrom takes what a pipe yields, as Write does. The copying of os/exec would have 32 KiB for every pipe of every run, which a process that is
// to stay small has to collect as garbage.
func (w *bounded) ReadFrom(r io.Reader) (n int64, err error) {
	buf := make([]byte, 1<<10)
	for {
		k, err := r.Read(buf)
		n += int64(k)
		_, _ = w.Write(buf[:k])
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		case k == len(buf) && k < 64<<10:
			buf = make([]byte, 4*k)
		}
	}
}

// Write takes everything, so that the child never blocks, and keeps what fits.
func (w *bounded) Write(p []byte) (int, error) {
	n := min(len(p), w.max-w.b.Len())
	w.b.Write(p[:n])
	w.over = w.over || n < len(p)
	return len(p), nil
}
