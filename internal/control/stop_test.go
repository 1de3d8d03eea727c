package control

import (
	"context"
	"errors"
	"testing"
	"time"
)

// patient is a Service whose Status waits as long as it may.
type patient struct {
	recorder
	asked chan struct{}
	ended chan error
}

func (p *patient) Status(ctx context.Context, _ string) (Status, error) {
	close(p.asked)
	<-ctx.Done()
	p.ended <- context.Cause(ctx)
	return Status{}, context.Cause(ctx)
}

// TestStopEndsRequests: a request that waits when the server stops is told to give up, and is answered.
func TestStopEndsRequests(t *testing.T) {
	t.Parallel()
	p := &patient{asked: make(chan struct{}), ended: make(chan error, 1)}
	path, stop := start(t, p, nil, Limits{Stop: time.Millisecond})
	answered := make(chan error, 1)
	go func() {
		c := NewClient(path)
		defer c.Close()
		_, err := c.Status(t.Context(), "")
		answered <- err
	}()
	<-p.asked
	served := make(chan error, 1)
	go func() { served <- stop() }()
	if err := <-p.ended; !errors.Is(err, ErrStopping) {
		t.Errorf("the request ended by %v", err)
	}
	if err := <-answered; err == nil || errors.Is(err, ErrNotRunning) {
		t.Errorf("whoever asked got %v", err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
