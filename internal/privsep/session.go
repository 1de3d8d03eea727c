package privsep

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"pfwarden/pfctl"
)

// maxTold bounds what is said of one request.
const maxTold = 20

// maxViolations is how many requests that no honest worker makes are refused before the worker is ended.
const maxViolations = 16

// session is the service of one worker.
type session struct {
	g          *Guard
	wire       *wire
	violations int
	end        context.CancelCauseFunc // ends the service, and so the worker
	events     []*events               // watches that were begun, the oldest first
	lanes      [2]chan func()
	paces      [kindRead + 1]*pace
}

// serve answers a worker's requests until it closes its end of the socket, which is no error, breaks the protocol or ctx is done.
func (g *Guard) serve(ctx context.Context, w *wire) error {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &session{g: g, wire: w, paces: newPaces(), end: cancel}
	var running sync.WaitGroup
	for i := range s.lanes { // one for changes, one for readings, so that a long reading keeps no ban waiting
		lane := make(chan func(), 4)
		s.lanes[i] = lane
		running.Go(func() {
			for job := range lane {
				job()
			}
		})
	}
	stop := context.AfterFunc(ctx, func() { _ = w.close() })
	defer func() {
		stop()
		cancel(nil)
		_ = w.close()
		for _, lane := range s.lanes {
			close(lane)
		}
		running.Wait()
		for _, e := range s.events {
			e.close()
		}
		if n := g.Counts(); n.Refused+n.Violations > 0 {
			g.log.Warn("workers asked for what they may not have", "answered", n.Done, "refused", n.Refused, "breaches", n.Violations)
		}
	}()
	for {
		f, err := w.receive(maxRequest, false)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case gone(err):
			return nil
		case errors.Is(err, errProtocol):
			g.counts.violations.Add(1)
			return err
		case err != nil:
			return fmt.Errorf("socket to the worker: %w", err)
		}
		g.asked.Store(true)
		if err := s.handle(ctx, &f); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		}
	}
}

func gone(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) || isReset(err)
}

// handle deals with one frame. An error ends the worker.
func (s *session) handle(ctx context.Context, f *frame) error {
	r, err := parseRequest(f.kind, f.payload)
	if err != nil {
		s.g.counts.violations.Add(1)
		return err
	}
	if err := s.paces[r.kind].wait(ctx, s.g.o.Now); err != nil {
		return err
	}
	number := f.number
	f.payload = nil // a request keeps what it needs of it
	switch r.kind {
	case kindOpen:
		return s.reply(s.open(number, r), r)
	case kindCapture:
		set := s.g.settings.Load()
		if set.Interface == "" {
			return s.reply(refusal(number, "no interface is configured"), r)
		}
		return s.queue(ctx, 1, func() { // it may take a child's time
			f := s.capture(set, number)
			s.g.counts.done.Add(1)
			_ = s.wire.send(f)
			if f.file != nil {
				f.file.Close()
			}
		})
	case kindRead:
		return s.run(ctx, 1, number, r)
	default:
		return s.run(ctx, 0, number, r)
	}
}

// reply sends an answer and closes the descriptor that went with it. The worker is ended once it was refused too much.
func (s *session) reply(f frame, r *request) error {
	if f.kind == replyRefuse {
		s.g.counts.refused.Add(1)
		s.violations++
		s.g.log.Warn("refused what the worker asked for", "request", r.String(), "why", string(f.payload))
	} else {
		s.g.counts.done.Add(1)
	}
	err := s.wire.send(f)
	if f.file != nil {
		f.file.Close()
	}
	if err == nil && s.violations > maxViolations {
		s.g.counts.violations.Add(1)
		err = fmt.Errorf("%d requests for what no worker may have: %w", s.violations, errProtocol)
	}
	if gone(err) {
		return nil // receive says so, too
	}
	return err
}

func refusal(number uint32, format string, args ...any) frame {
	return frame{kind: replyRefuse, number: number, payload: fmt.Appendf(nil, format, args...)}
}

// run checks a request for PF and queues its run of pfctl.
func (s *session) run(ctx context.Context, lane int, number uint32, r *request) error {
	if r.isNever() {
		return s.reply(s.teach(number, r), r)
	}
	command, why := s.g.command(r)
	if why != "" {
		return s.reply(refusal(number, "%s", why), r)
	}
	if command.Args == nil { // nothing is left to do
		return s.reply(frame{kind: replyDone, number: number, payload: encodeResult(pfctl.Result{})}, r)
	}
	runner := s.g.o.Changes
	if lane == 1 {
		runner = s.g.o.Reads
	}
	return s.queue(ctx, lane, func() {
		var f frame
		if list, is := command.Input.(*addressList); is && r.follow > 0 {
			f = s.runFed(ctx, number, r, command, list)
		} else {
			f = s.runTo(ctx, runner, number, command, lane == 1)
		}
		s.g.counts.done.Add(1)
		_ = s.wire.send(f) // a worker that is gone is noticed by receive
	})
}

// queue hands a job to a lane, when there is room.
func (s *session) queue(ctx context.Context, lane int, job func()) error {
	select {
	case s.lanes[lane] <- job:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// runTo runs pfctl; what a reading prints goes to the worker through a pipe, unread.
func (s *session) runTo(ctx context.Context, runner Runner, number uint32, command pfctl.Command, reading bool) frame {
	fail := func(err error) frame { return frame{kind: replyFail, number: number, payload: encodeFailure(err)} }
	out := s.g.nowhere
	if reading {
		r, w, err := os.Pipe()
		if err != nil {
			return fail(err)
		}
		if err = limitRights(r, handOutput); err == nil {
			err = s.wire.send(frame{kind: replyStream, number: number, file: r})
		}
		r.Close()
		if err != nil {
			w.Close()
			return fail(err)
		}
		defer w.Close()
		out = w
	}
	res, err := runner.RunTo(ctx, command, out)
	if err != nil {
		return fail(err)
	}
	return frame{kind: replyDone, number: number, payload: encodeResult(res)}
}
