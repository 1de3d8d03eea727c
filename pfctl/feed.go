package pfctl

import (
	"bytes"
	"errors"
	"io"
	"os"
	"syscall"
)

// atOnce is how much of standard input is put into its pipe before pfctl is started, in bytes. An empty pipe takes that much on every system.
const atOnce = 4096

// feed is standard input of one run: a pipe that holds its beginning, most often all of it, before pfctl is started. So a ban never waits
// for a goroutine of ours to be woken up once pfctl asks for it.
type feed struct {
	stdin *os.File // pfctl's end
	to    *os.File // ours; nil once everything is in the pipe
	rest  io.Reader
	done  chan error // of writing the rest; nil: there is none
}

// newFeed prepares what a command reads; nil: it reads nothing.
func newFeed(c Command) (*feed, error) {
	var begin []byte
	f := &feed{}
	switch {
	case c.Input != nil:
		begin = make([]byte, atOnce)
		n, err := io.ReadFull(c.Input, begin)
		begin = begin[:n]
		if err == nil {
			f.rest = c.Input
		} else if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
	case c.Stdin != nil:
		begin = c.Stdin[:min(len(c.Stdin), atOnce)]
		if len(c.Stdin) > atOnce {
			f.rest = bytes.NewReader(c.Stdin[atOnce:])
		}
	default:
		return nil, nil
	}
	var err error
	if f.stdin, f.to, err = os.Pipe(); err != nil {
		return nil, err
	}
	n, err := writeNow(f.to, begin)
	if err != nil {
		f.close()
		return nil, err
	}
	switch {
	case n < len(begin) && f.rest != nil:
		f.rest = io.MultiReader(bytes.NewReader(begin[n:]), f.rest)
	case n < len(begin):
		f.rest = bytes.NewReader(begin[n:])
	case f.rest == nil:
		err = f.to.Close()
		f.to = nil
	}
	return f, err
}

// writeNow writes what a pipe takes without waiting.
func writeNow(w *os.File, b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	conn, err := w.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = conn.Write(func(fd uintptr) bool {
		for {
			n, failed = syscall.Write(int(fd), b)
			if !errors.Is(failed, syscall.EINTR) {
				return true
			}
		}
	})
	if errors.Is(failed, syscall.EAGAIN) {
		failed = nil
	}
	return max(n, 0), errors.Join(err, failed)
}

// started gives up pfctl's end, which it has now, and writes the rest beside it. Where the rest cannot be read, kill is called before pfctl could take
// what it has for all of it.
func (f *feed) started(kill func()) {
	if f == nil {
		return
	}
	f.stdin.Close()
	if f.to == nil {
		return
	}
	f.done = make(chan error, 1)
	go func() {
		in := &source{r: f.rest}
		_, err := io.Copy(f.to, in)
		if in.err != nil {
			kill()
		}
		f.done <- errors.Join(err, f.to.Close())
	}()
}

// source keeps the error of reading apart from those of writing.
type source struct {
	r   io.Reader
	err error // nil at the end, too
}

// Read reads on.
func (r *source) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// ended is called when pfctl has ended, and says what kept us from writing, if that was not its end.
func (f *feed) ended() error {
	if f == nil || f.done == nil {
		return nil
	}
	_ = f.to.Close() // whoever has inherited the other end may hold it for ever
	err := <-f.done
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// close gives everything back when pfctl was not started.
func (f *feed) close() {
	if f == nil {
		return
	}
	f.stdin.Close()
	if f.to != nil {
		f.to.Close()
	}
}
