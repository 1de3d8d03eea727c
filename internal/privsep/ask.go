package privsep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// maxPlan bounds what a child prints for Ask, in bytes.
const maxPlan = 16 << 20

// Ask runs this program (os.Executable) with other arguments, as ourselves, and returns what it prints: so that what needs much memory, such as
// reading a configuration, is done by a process that ends with it. Its standard error goes to errs. A status other than 0 is an ExitError.
func Ask(ctx context.Context, program string, args []string, errs io.Writer) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &capped{w: &out, left: maxPlan}, errs
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return nil, &ExitError{Code: exit.ExitCode()}
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", program, args[0], err)
	}
	return out.Bytes(), nil
}

// capped passes on a bounded number of bytes; more is an error.
type capped struct {
	w    io.Writer
	left int
}

// Write passes b on.
func (c *capped) Write(b []byte) (int, error) {
	if len(b) > c.left {
		return 0, errors.New("more output than is taken")
	}
	c.left -= len(b)
	return c.w.Write(b)
}

// Lines is a Writer that passes on whole lines, one a call, such as syslog(3) wants them; what is longer than maxLine is cut there.
type Lines struct {
	W    io.Writer
	rest []byte
}

const maxLine = 8 << 10

// Write takes some bytes. What the writer behind it says is of no concern to who wrote them.
func (l *Lines) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		l.rest = append(l.rest, line[:min(len(line), maxLine-len(l.rest))]...)
		if whole {
			_, _ = l.W.Write(append(l.rest, '\n'))
			l.rest = l.rest[:0]
		}
		b = rest
	}
	return n, nil
}
