package privsep

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"pfwarden/pfctl"
)

// A table request of many addresses tells only how many they are. Once the lane has come to it, the privileged process hands over a pipe (replyFeed); the
// worker writes the addresses into it, and they go on to pfctl(8) one by one. So what a request holds there does not grow with it.

const (
	// feedTime is how long a worker has to write all addresses; pfctl, which only takes them up before it begins, has no more either.
	feedTime = 15 * time.Second
	feedRoom = 4 << 10 // bytes of them that are held
)

// errShort means that a worker, which may be dying, wrote fewer addresses than it had told.
var errShort = errors.New("the list of addresses ends early")

// feed reads addresses from a worker's pipe.
type feed struct {
	from    *bufio.Reader
	rest    int // that are to come
	negated bool
	broken  atomic.Bool // by what no list holds
}

// next reads an address. Nothing may follow the last one.
func (f *feed) next() (address, error) {
	if f.rest == 0 {
		_, err := f.from.ReadByte()
		if err == nil {
			return address{}, f.breach("more addresses than were told")
		}
		return address{}, err
	}
	begin, err := f.from.Peek(addressSize4)
	size := addressSize4
	if err == nil && begin[0] != 4 {
		size = addressSize6
		begin, err = f.from.Peek(size)
	}
	switch {
	case errors.Is(err, io.EOF):
		return address{}, fmt.Errorf("%d addresses are missing: %w", f.rest, errShort)
	case err != nil:
		return address{}, fmt.Errorf("addresses from the worker: %w", err)
	}
	p := parser{rest: begin}
	a := p.address()
	if a.negated && !f.negated {
		p.fail("a negated address is for delete only")
	}
	if p.err != nil {
		f.broken.Store(true)
		return address{}, p.err
	}
	f.rest--
	_, err = f.from.Discard(size)
	return a, err
}

func (f *feed) breach(text string) error {
	f.broken.Store(true)
	return fmt.Errorf("%s: %w", text, errProtocol)
}

// runFed runs pfctl with addresses that the worker writes meanwhile.
func (s *session) runFed(ctx context.Context, number uint32, r *request, command pfctl.Command, list *addressList) frame {
	fail := func(err error) frame { return frame{kind: replyFail, number: number, payload: encodeFailure(err)} }
	from, to, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	defer from.Close()
	_ = from.SetReadDeadline(time.Now().Add(s.g.feedTime)) // a pipe has deadlines
	defer context.AfterFunc(ctx, func() { _ = from.SetReadDeadline(time.Unix(1, 0)) })()
	if err = limitRights(to, handInput); err == nil {
		err = s.wire.send(frame{kind: replyFeed, number: number, file: to})
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return fail(err)
	}
	f := &feed{from: bufio.NewReaderSize(from, feedRoom), rest: r.follow, negated: r.way == tableDelete}
	list.next = f.next
	reply := frame{kind: replyDone, number: number, payload: encodeResult(pfctl.Result{})} // all of it was left out
	if list.some() {
		reply = s.runTo(ctx, s.g.o.Changes, number, command, false)
	} else if !errors.Is(list.err, io.EOF) {
		reply = fail(list.err)
	}
	if f.broken.Load() {
		s.g.counts.violations.Add(1)
		s.end(fmt.Errorf("the addresses of a request: %w", errProtocol))
	}
	return reply
}

// pour writes the addresses of a request into the pipe that was handed over for them. What keeps it from that, the reply says.
func pour(to *os.File, r *request) {
	defer to.Close()
	w := bufio.NewWriterSize(to, 32<<10)
	var b [addressSize6]byte
	for a := range r.each() {
		if _, err := w.Write(a.append(b[:0])); err != nil {
			return
		}
	}
	_ = w.Flush()
}
