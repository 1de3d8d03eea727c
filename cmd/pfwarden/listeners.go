package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"pfwarden/internal/control"
	"pfwarden/internal/metrics"
	"pfwarden/internal/privsep"
)

// listen opens the control socket and the metrics listener, for every worker to come. A daemon that was killed a moment ago may still
// hold them.
func listen(ctx context.Context, p *plan, o *privsep.ParentOptions) (closeAll func(), err error) {
	var files []*os.File
	closeAll = func() {
		for _, f := range files {
			_ = f.Close()
		}
		if o.Control != nil {
			_ = control.Remove(p.Socket) // a socket that is left does no harm
		}
	}
	if p.Socket != "" {
		if o.Control, err = openRetrying(ctx, func() (*os.File, error) {
			l, err := control.Listen(p.Socket, p.Group)
			if err != nil {
				return nil, err
			}
			defer l.Close()
			return l.File()
		}); err != nil {
			return nil, err
		}
		files = append(files, o.Control)
	}
	if p.Metrics != "" {
		if o.Metrics, err = openRetrying(ctx, func() (*os.File, error) {
			l, err := metrics.ListenRaw(ctx, p.Metrics)
			if err != nil {
				return nil, err
			}
			defer l.Close()
			return l.File()
		}); err != nil {
			closeAll()
			return nil, fmt.Errorf("metrics: %w", err)
		}
		files = append(files, o.Metrics)
	}
	return closeAll, nil
}

// openRetrying tries for two seconds to open what somebody else is about to close.
func openRetrying(ctx context.Context, open func() (*os.File, error)) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for {
		f, err := open()
		if err == nil || !errors.Is(err, control.ErrInUse) && !errors.Is(err, syscall.EADDRINUSE) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}
