package privsep

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"

	"pfwarden/capture/pflog"
	"pfwarden/pfctl"
)

// maxOutput bounds what is kept of pfctl's standard output, in bytes.
const maxOutput = 256 << 20

// Client is the worker's side of the socket. It may be used by several goroutines.
type Client struct {
	wire       *wire
	rules      map[string][]string // by anchor, to recognise the driver's texts
	gone       chan struct{}
	hooks      chan HooksProcess
	succession chan Succession
	kept       chan string

	mu     sync.Mutex
	number uint32
	calls  map[uint32]chan frame
}

// NewClient takes over the worker's end of the socket. settings tell the texts of the anchors' rules.
func NewClient(socket *os.File, settings *Settings) (*Client, error) {
	w, err := newWire(socket)
	if err != nil {
		return nil, err
	}
	c := &Client{
		wire: w, rules: map[string][]string{}, gone: make(chan struct{}), hooks: make(chan HooksProcess, 1), kept: make(chan string, 1), succession: make(chan Succession, 1),
		calls: map[uint32]chan frame{},
	}
	for _, a := range settings.Anchors {
		c.rules[a.Path] = a.Rules
	}
	go c.read()
	return c, nil
}

// Gone is closed when the privileged process is gone.
func (c *Client) Gone() <-chan struct{} { return c.gone }

// Succession is what a worker is told before it is stopped.
type Succession struct {
	ID   string            `json:"id"`   // the next one is told it, too; "" = no other takes its place
	Keep map[string]string `json:"keep"` // actions that the next one has, too, with their digests
}

// Succession yields what follows this worker, before it is sent SIGTERM. Where nobody has taken it, the next replaces it.
func (c *Client) Succession() <-chan Succession { return c.succession }

// HooksProcess is a process that runs commands, and the socket to it.
type HooksProcess struct {
	Socket   net.Conn
	Restarts int    // processes before it that ended by themselves
	Last     string // how the one before it ended
}

// Hooks yields each process that has been started to run commands. One that nobody has taken is replaced by the next.
func (c *Client) Hooks() <-chan HooksProcess { return c.hooks }

// Kept yields why a changed configuration was not taken over, before the worker is sent SIGHUP for it. A reason that nobody has taken is
// replaced by the next.
func (c *Client) Kept() <-chan string { return c.kept }

// replace puts a value into a channel that has room for one, in the place of one that nobody has taken.
func replace[T any](c chan T, v T) {
	for {
		select {
		case c <- v:
			return
		case <-c:
		}
	}
}

func (c *Client) hooksCame(f *frame) {
	if f.file == nil || len(f.payload) < 4 {
		return
	}
	conn, err := net.FileConn(f.file)
	f.file.Close()
	if err != nil {
		return
	}
	h := HooksProcess{Socket: conn, Restarts: int(binary.BigEndian.Uint32(f.payload)), Last: string(f.payload[4:])}
	for {
		select {
		case c.hooks <- h:
			return
		case old := <-c.hooks:
			_ = old.Socket.Close()
		}
	}
}

// Close closes the socket.
func (c *Client) Close() error { return c.wire.close() }

func (c *Client) read() {
	defer close(c.gone)
	for {
		f, err := c.wire.receive(maxReply, true)
		if err != nil {
			return
		}
		if f.kind == replyEnd {
			var s Succession
			if json.Unmarshal(f.payload, &s) == nil {
				replace(c.succession, s)
			}
			continue
		}
		if f.kind == replyKept {
			replace(c.kept, string(f.payload))
			continue
		}
		if f.kind == replyHooks {
			c.hooksCame(&f)
			continue
		}
		c.mu.Lock()
		call := c.calls[f.number]
		if f.kind != replyStream && f.kind != replyFeed {
			delete(c.calls, f.number)
		}
		c.mu.Unlock()
		if call == nil {
			if f.file != nil {
				f.file.Close()
			}
			continue
		}
		call <- f // has room for all that may come
	}
}

// ask sends a request. The channel yields its replies: a stream or a feed, if there is one, and the last.
func (c *Client) ask(r *request) (<-chan frame, error) {
	call := make(chan frame, 3)
	c.mu.Lock()
	c.number++
	n := c.number
	c.calls[n] = call
	c.mu.Unlock()
	if err := c.wire.send(frame{kind: r.kind, number: n, payload: r.encode()}); err != nil {
		c.mu.Lock()
		delete(c.calls, n)
		c.mu.Unlock()
		return nil, fmt.Errorf("privileged process: %w", err)
	}
	return call, nil
}

var errGone = errors.New("the privileged process is gone")

// simple asks for what is answered at once.
func (c *Client) simple(r *request) (frame, error) {
	call, err := c.ask(r)
	if err != nil {
		return frame{}, err
	}
	select {
	case f := <-call:
		return f, replyError(&f)
	case <-c.gone:
		return frame{}, errGone
	}
}

// replyError makes an error of an answer that is one.
func replyError(f *frame) error {
	switch f.kind {
	case replyDone, replyStream, replyFeed:
		return nil
	case replyErrno:
		if len(f.payload) >= 4 {
			errno := syscall.Errno(binary.BigEndian.Uint32(f.payload))
			if text := string(f.payload[4:]); text != "" && text != errno.Error() {
				return fmt.Errorf("%s: %w", text, errno)
			}
			return errno
		}
	case replyRefuse:
		return fmt.Errorf("%w: %s: %w", ErrRefused, f.payload, fs.ErrPermission)
	case replyFail:
		return decodeFailure(f.payload)
	}
	return errProtocol
}

// OpenInterface is a pflog.Opener: the capture is opened and bound by the privileged process.
func (c *Client) OpenInterface(context.Context, pflog.LiveOptions) (pflog.Handle, error) {
	f, err := c.simple(&request{kind: kindCapture})
	if err != nil {
		return nil, err
	}
	if f.file == nil || len(f.payload) != 4 {
		return nil, errProtocol
	}
	h, err := attach(Captured{f.file, binary.BigEndian.Uint32(f.payload)})
	if err != nil {
		return nil, errors.Join(err, f.file.Close())
	}
	return h, nil
}

var _ pfctl.Runner = (*Client)(nil)

// Run makes a request of a run of pfctl. A run that is none of the driver's is refused here already.
func (c *Client) Run(ctx context.Context, command pfctl.Command) (pfctl.Result, error) {
	r, err := c.requestOf(command)
	if err != nil {
		return pfctl.Result{}, err
	}
	call, err := c.ask(r)
	if err != nil {
		return pfctl.Result{}, err
	}
	var out chan output
	for {
		select {
		case f := <-call:
			if f.kind == replyFeed {
				if f.file == nil || r.count() <= maxInline {
					return pfctl.Result{}, errProtocol
				}
				go pour(f.file, r)
				continue
			}
			if f.kind == replyStream {
				if f.file == nil || out != nil {
					return pfctl.Result{}, errProtocol
				}
				out = make(chan output, 1)
				go drain(f.file, out)
				continue
			}
			return finish(&f, out)
		case <-c.gone:
			return pfctl.Result{}, errGone
		case <-ctx.Done():
			go c.abandon(call, out)
			return pfctl.Result{}, fmt.Errorf("%w: %w", pfctl.ErrKilled, ctx.Err())
		}
	}
}

// abandon takes what still comes for a request that nobody waits for any more: a pipe that were kept open would be waited for over there.
func (c *Client) abandon(call <-chan frame, out <-chan output) {
	for last := false; !last; {
		select {
		case f := <-call:
			if f.file != nil {
				f.file.Close()
			}
			last = f.kind != replyStream && f.kind != replyFeed
		case <-c.gone:
			last = true
		}
	}
	if out != nil {
		<-out
	}
}

type output struct {
	data []byte
	err  error
}

// drain reads all that pfctl prints.
func drain(f *os.File, to chan<- output) {
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxOutput+1))
	if err == nil && len(b) > maxOutput {
		err = errors.New("pfctl printed more than is kept")
	}
	to <- output{b, err}
}

// finish makes the result of the last reply and the output before it.
func finish(f *frame, out <-chan output) (pfctl.Result, error) {
	var o output
	if out != nil && f.kind == replyDone {
		o = <-out // ends when pfctl has
	}
	if err := replyError(f); err != nil {
		return pfctl.Result{}, err
	}
	res, err := decodeResult(f.payload)
	if err == nil {
		err = o.err
	}
	res.Stdout = o.data
	return res, err
}
