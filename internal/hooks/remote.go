package hooks

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"pfwarden/internal/screen"
)

// Remote has commands run by another process, a Server's. That process may come late, end, and be followed by another: whoever wants
// something run meanwhile waits as long as the command's own time limit. It may be used by several goroutines.
type Remote struct {
	send sync.Mutex

	mu     sync.Mutex // guards what follows
	conn   net.Conn   // nil: there is none
	arrive chan struct{}
	number uint32
	calls  map[uint32]chan frame
	fault  string
}

// writeLimit is how long the other side may take to take a frame.
const writeLimit = 10 * time.Second

var errGone = errors.New("the process that runs commands has ended")

// NewRemote makes one without a process; Attach gives it one.
func NewRemote() *Remote {
	return &Remote{arrive: make(chan struct{}), calls: make(map[uint32]chan frame)}
}

// Attach takes over the socket to a process that has been started, in the place of the one before. restarts and last tell how many ended before
// it by themselves, and how the last of them did.
func (r *Remote) Attach(conn net.Conn, restarts int, last string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn != nil {
		_ = r.conn.Close()
		r.fail()
	} else {
		close(r.arrive)
	}
	r.conn, r.fault = conn, ""
	if restarts > 0 {
		r.fault = fmt.Sprintf("the process that runs commands was started again (restarts: %d); the one before ended by: %s", restarts, last)
	}
	go r.read(conn)
}

// Fault says what is not as it should be, "" if nothing is: that the process has ended, or had to be started again.
func (r *Remote) Fault() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fault
}

// read hands out the answers that come through a socket until it ends.
func (r *Remote) read(conn net.Conn) {
	var err error
	for {
		var f frame
		if f, err = readFrame(conn); err != nil {
			break
		}
		r.mu.Lock()
		call := r.calls[f.number]
		delete(r.calls, f.number)
		r.mu.Unlock()
		if call != nil {
			call <- f // has room for one
		}
	}
	_ = conn.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn != conn {
		return // another has taken its place
	}
	r.conn, r.arrive = nil, make(chan struct{})
	r.fail()
	r.fault = "the process that runs commands has ended: commands wait until it is started again"
}

// fail tells all who wait for an answer that there will be none. r.mu is held.
func (r *Remote) fail() {
	for n, call := range r.calls {
		close(call)
		delete(r.calls, n)
	}
}

// write sends a frame. A process that takes nothing for a while is given up.
func (r *Remote) write(conn net.Conn, f *frame) error {
	r.send.Lock()
	defer r.send.Unlock()
	err := conn.SetWriteDeadline(time.Now().Add(writeLimit))
	if err == nil {
		_, err = conn.Write(f.encode())
	}
	if err != nil {
		_ = conn.Close() // the reader tells all who wait
	}
	return err
}

// do sends a request and waits for its answer.
func (r *Remote) do(ctx context.Context, kind byte, payload []byte) (frame, error) {
	conn, number, call, err := r.begin(ctx)
	if err != nil {
		return frame{}, err
	}
	f := frame{kind: kind, number: number, payload: payload}
	if err := r.write(conn, &f); err != nil {
		return frame{}, fmt.Errorf("%w: %w", errGone, err)
	}
	select {
	case f, ok := <-call:
		if !ok {
			return frame{}, errGone
		}
		return f, nil
	case <-ctx.Done():
		_ = r.write(conn, &frame{kind: askCancel, number: number})
		r.mu.Lock()
		delete(r.calls, number)
		r.mu.Unlock()
		return frame{}, fmt.Errorf("it did not end in time: %w", ctx.Err())
	}
}

// begin waits for a process to talk to, and draws a number.
func (r *Remote) begin(ctx context.Context) (net.Conn, uint32, chan frame, error) {
	for {
		r.mu.Lock()
		if r.conn != nil {
			defer r.mu.Unlock()
			r.number++
			call := make(chan frame, 1)
			r.calls[r.number] = call
			return r.conn, r.number, call, nil
		}
		arrive := r.arrive
		r.mu.Unlock()
		select {
		case <-arrive:
		case <-ctx.Done():
			return nil, 0, nil, fmt.Errorf("the process that runs commands is not there: %w", ctx.Err())
		}
	}
}

// outcome reads an answer.
func outcome(f frame) (status int, err error) {
	switch {
	case f.kind == sayDone && len(f.payload) == 4:
		return int(int32(binary.BigEndian.Uint32(f.payload))), nil //nolint:gosec // as it was written
	case f.kind == sayFailed && len(f.payload) > 0 && len(f.payload) <= 1+maxText:
		err = errors.New(string(f.payload[1:]))
		switch f.payload[0] {
		case causeRefused:
			why := strings.TrimPrefix(err.Error(), ErrRefused.Error()+": ")
			err = fmt.Errorf("%w: %s: reload the configuration if it was changed", ErrRefused, why)
		case causeTime:
			if why, said := strings.CutSuffix(err.Error(), ": "+context.DeadlineExceeded.Error()); said {
				err = errors.New(why)
			}
			err = fmt.Errorf("%w: %w", err, context.DeadlineExceeded)
		}
		return -1, err
	}
	return -1, errProtocol
}

// Run runs a command of an action.
func (r *Remote) Run(ctx context.Context, text string, timeout time.Duration, fields []field) error {
	request := run{id: idOf(ofAction, timeout, text)}
	tags := tagsOf(text)
	for _, f := range fields { // in the order of tags
		request.values = append(request.values, value{uint16(slices.Index(tags, f.tag)), f.value}) //nolint:gosec // below maxTags
	}
	answer, err := r.do(ctx, askRun, request.encode())
	if err != nil {
		return err
	}
	_, err = outcome(answer)
	return err
}

// Ask is a screen.Run.
func (r *Remote) Ask(ctx context.Context, c *screen.Command, values []string) (status int, err error) {
	request := run{id: idOf(ofIgnore, c.Timeout(), c.Text())}
	for i, v := range values {
		request.values = append(request.values, value{uint16(i), v}) //nolint:gosec // as many as the command has tags
	}
	answer, err := r.do(ctx, askIgnore, request.encode())
	if err != nil {
		return -1, err
	}
	return outcome(answer)
}
