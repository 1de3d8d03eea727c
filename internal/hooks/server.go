package hooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"pfwarden/internal/screen"
)

// ServerOptions make a Server. The zero value of each field is a default.
type ServerOptions struct {
	Most  int   // commands at once; 32. More are refused: an honest worker runs 20 at most
	Shell Shell // nil: /bin/sh
	Log   *slog.Logger
}

// Server runs the commands of a book for a worker without rights. The worker says which one, by its ID, and gives the values; it can neither
// bring a command of its own nor change one.
type Server struct {
	book *Book
	o    ServerOptions
	conn net.Conn

	slots chan struct{}
	send  sync.Mutex

	mu      sync.Mutex // guards what follows
	running map[uint32]context.CancelFunc
	notices *Notices
}

// NewServer makes a server over the worker's socket.
func NewServer(book *Book, conn net.Conn, o ServerOptions) *Server {
	if o.Most <= 0 {
		o.Most = 32
	}
	if o.Shell == nil {
		o.Shell = shell
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{book: book, o: o, conn: conn, slots: make(chan struct{}, o.Most), running: make(map[uint32]context.CancelFunc)}
}

// Serve answers until the worker closes its end, which is no error, breaks the protocol, or ctx is done. Commands that run then are told to
// end, and killed if they do not.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var jobs sync.WaitGroup
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer func() {
		stop()
		cancel()
		_ = s.conn.Close()
		jobs.Wait()
		if s.notices != nil {
			_ = s.notices.Close()
		}
	}()
	for {
		f, err := readFrame(s.conn)
		switch {
		case ctx.Err() != nil, errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
			return nil
		case errors.Is(err, errProtocol):
			return err
		case err != nil:
			return nil // the worker was killed
		}
		if err := s.handle(ctx, &f, &jobs); err != nil {
			return err
		}
	}
}

func (s *Server) handle(ctx context.Context, f *frame, jobs *sync.WaitGroup) error {
	switch f.kind {
	case askRun, askIgnore:
		r, err := parseRun(f.payload)
		if err != nil {
			return err
		}
		job, err := s.job(f.kind, r)
		if err != nil {
			s.o.Log.Warn("refused what the worker asked for", "error", err)
			return s.answer(f.number, 0, fmt.Errorf("%w: %w", ErrRefused, err))
		}
		return s.begin(ctx, f.number, job, jobs)
	case askNote:
		n, err := parseNote(f.payload)
		if err != nil {
			return err
		}
		return s.answer(f.number, 0, s.note(n))
	case askCancel:
		s.mu.Lock()
		end := s.running[f.number]
		s.mu.Unlock()
		if end != nil {
			end()
		}
		return nil
	}
	return fmt.Errorf("request of kind %d: %w", f.kind, errProtocol)
}

// begin runs a job beside the others, if there is room.
func (s *Server) begin(ctx context.Context, number uint32, job func(context.Context) (int, error), jobs *sync.WaitGroup) error {
	select {
	case s.slots <- struct{}{}:
	default:
		return s.answer(number, 0, errBusy)
	}
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	_, twice := s.running[number]
	s.running[number] = cancel
	s.mu.Unlock()
	if twice {
		cancel()
		<-s.slots
		return fmt.Errorf("request %d runs already: %w", number, errProtocol)
	}
	jobs.Go(func() {
		status, err := job(ctx)
		s.mu.Lock()
		delete(s.running, number)
		s.mu.Unlock()
		cancel()
		<-s.slots
		_ = s.answer(number, status, err) // a worker that is gone is noticed by the reader
	})
	return nil
}

// job makes what is to be run of a request, or says why not.
func (s *Server) job(kind byte, r *run) (func(context.Context) (int, error), error) {
	if kind == askIgnore {
		c := s.book.ignores[r.id]
		if c == nil {
			return nil, errors.New("no such ignore command is configured")
		}
		values, err := inOrder(c, r)
		if err == nil {
			err = s.book.ignoring(c, values)
		}
		return func(ctx context.Context) (int, error) { return c.Exec(ctx, values) }, err
	}
	t := s.book.actions[r.id]
	if t == nil {
		return nil, errors.New("no such command is configured")
	}
	var fields []field
	for _, v := range r.values {
		if int(v.tag) >= len(t.tags) {
			return nil, fmt.Errorf("the command has no tag %d", v.tag)
		}
		fields = append(fields, field{t.tags[v.tag], v.text})
	}
	if err := (kinds{s.book.jails, t.others}).check(fields); err != nil {
		return nil, err
	}
	command, args := fill(t.text, fields)
	return func(ctx context.Context) (int, error) {
		ctx, cancel := context.WithTimeout(ctx, t.timeout)
		defer cancel()
		return 0, s.o.Shell(ctx, command, args)
	}, nil
}

// inOrder takes the values of all tags of an ignore command, which come in its own order.
func inOrder(c *screen.Command, r *run) (values []string, err error) {
	tags := c.Tags()
	if len(r.values) != len(tags) {
		return nil, fmt.Errorf("%d values for %d tags", len(r.values), len(tags))
	}
	for _, v := range r.values {
		values = append(values, v.text) // ascending and as many as there are: each once
	}
	if i := slices.IndexFunc(r.values, func(v value) bool { return int(v.tag) >= len(tags) }); i >= 0 {
		return nil, fmt.Errorf("the command has no tag %d", r.values[i].tag)
	}
	return values, nil
}

func (s *Server) note(n note) (err error) {
	if s.book.log == "" || !s.book.jails[n.jail] {
		return fmt.Errorf("%w: no log, or no jail %.40q, is configured", ErrRefused, n.jail)
	}
	if !(kinds{s.book.jails, s.book.others[n.jail]}).source(n.address) {
		return fmt.Errorf("%w: %.40q is nobody whom jail %s bans", ErrRefused, n.address, n.jail)
	}
	if s.notices == nil {
		if s.notices, err = OpenNotices(s.book.log); err != nil {
			return err
		}
	}
	verb := "Ban"
	if n.unban {
		verb = "Unban"
	}
	return s.notices.write(n.at.Local(), n.jail, verb, n.address)
}

// answer sends how a request ended. A worker that takes no answers is left; that is no error.
func (s *Server) answer(number uint32, status int, err error) error {
	f := frame{kind: sayDone, number: number, payload: encodeDone(status)}
	if err != nil {
		cause := causeOther
		switch {
		case errors.Is(err, ErrRefused):
			cause = causeRefused
		case errors.Is(err, errBusy):
			cause = causeBusy
		case errors.Is(err, context.DeadlineExceeded):
			cause = causeTime
		}
		f.kind, f.payload = sayFailed, encodeFailed(cause, err.Error())
	}
	s.send.Lock()
	defer s.send.Unlock()
	if err = s.conn.SetWriteDeadline(time.Now().Add(writeLimit)); err == nil {
		_, err = s.conn.Write(f.encode())
	}
	if err != nil {
		_ = s.conn.Close() // the reader ends
	}
	return nil
}
