package hooks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Shell runs one command: text for /bin/sh -c, with the arguments $0, $1 …. It returns nil if the command ended with status 0.
type Shell func(ctx context.Context, text string, args []string) error

// grace is how long a command that is told to end may take to do so.
const grace = 2 * time.Second

// A command holds its action's options, among which may be passwords: everybody sees a process' arguments (ps(1)), its environment only its own user.
const (
	scriptEnv = "pfwarden_command"
	script    = `pfwarden_run=$` + scriptEnv + `; unset ` + scriptEnv + `; eval "$pfwarden_run"`
)

// shell runs a command in a session of its own. When ctx ends, all that belongs to it is told to end, and killed if it does not.
func shell(ctx context.Context, text string, args []string) error {
	cmd := exec.Command("/bin/sh", append([]string{"-c", script}, args...)...)
	cmd.Dir = commandDir
	cmd.Env = append(os.Environ(), "PATH="+searchPath(os.Getenv("PATH")), scriptEnv+"="+text)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	said := &limited{}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.WaitDelay = grace
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-ended:
		case <-timer.C:
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		return fmt.Errorf("it did not end in time and was killed: %w", ctx.Err())
	}
	if errors.Is(err, exec.ErrWaitDelay) { // it left something in the background that holds its output
		err = nil
	}
	if err != nil {
		if text := said.text(); text != "" {
			err = fmt.Errorf("%w: %s", err, text)
		}
	}
	return err
}

// searchPath makes sure that the system's own programs are found.
func searchPath(path string) string {
	have := strings.Split(path, ":")
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		found := false
		for _, h := range have {
			found = found || h == dir
		}
		if !found {
			have = append(have, dir)
		}
	}
	return strings.TrimPrefix(strings.Join(have, ":"), ":")
}

// limited keeps the first bytes of what is written to it.
type limited struct {
	strings.Builder
	cut bool // there was more
}

func (l *limited) Write(p []byte) (int, error) {
	const most = 1000
	n := max(0, min(len(p), most-l.Len()))
	l.Builder.Write(p[:n])
	l.cut = l.cut || n < len(p)
	return len(p), nil
}

// text is what was written, with cutMark where there was more.
func (l *limited) text() string {
	text := strings.TrimSpace(l.String())
	if l.cut {
		text += cutMark
	}
	return text
}
