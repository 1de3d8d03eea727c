package privsep

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"
)

// pace is a token bucket: whoever wants more waits.
type pace struct {
	every  time.Duration // one token
	most   int
	tokens int
	last   time.Time
}

// newPaces bounds the rates of the requests. An honest worker stays far below: 4 table runs and 16 killing runs a second, one look a
// second at each of 20,000 logs.
func newPaces() (p [kindRead + 1]*pace) {
	for kind, rate := range map[byte]pace{
		kindOpen:    {every: 20 * time.Microsecond, most: 50000},
		kindCapture: {every: time.Second, most: 5},
		kindAnchor:  {every: 100 * time.Millisecond, most: 50},
		kindTable:   {every: 20 * time.Millisecond, most: 200},
		kindKill:    {every: 10 * time.Millisecond, most: 200},
		kindRead:    {every: 10 * time.Millisecond, most: 200},
	} {
		rate.tokens = rate.most
		p[kind] = &rate
	}
	return p
}

// wait takes a token, and waits for it if there is none.
func (p *pace) wait(ctx context.Context, now func() time.Time) error {
	t := now()
	if since := t.Sub(p.last); p.last.IsZero() || since < 0 {
		p.last = t
	} else if n := int(min(since/p.every, time.Duration(p.most))); n > 0 {
		p.tokens = min(p.most, p.tokens+n)
		p.last = t
	}
	if p.tokens > 0 {
		p.tokens--
		return nil
	}
	timer := time.NewTimer(p.every)
	defer timer.Stop()
	select {
	case <-timer.C:
		p.last = now()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func isReset(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}
