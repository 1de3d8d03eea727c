package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"pfwarden/internal/control"
)

// ownerLimit is how long a reload or a stop may take.
const ownerLimit = 2 * time.Minute

// askOwner asks the process that opened the control socket, by a signal, for what the one that answers has no rights to do, and waits until it is
// done.
func (c *fail2banClient) askOwner(ctx context.Context, client *control.Client, what string) error {
	pid, err := client.Owner(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("%w on this system: send SIGHUP (to reload) or SIGTERM (to stop) to \"pfwarden run\"", err)
	}
	if err != nil {
		return err
	}
	before, err := client.Status(ctx, "")
	if err != nil {
		return err
	}
	signal, done := syscall.SIGHUP, func() (bool, error) {
		now, err := client.Status(ctx, "")
		switch {
		case err != nil:
			return false, nil // between two workers nobody answers
		case now.PID != before.PID:
			return true, nil
		}
		if text := configFault(&now); text != "" && text != configFault(&before) {
			return false, errors.New("Failed during configuration: " + text) //nolint:staticcheck // fail2ban's own words
		}
		return false, nil
	}
	if what == control.OwnerStops {
		signal, done = syscall.SIGTERM, func() (bool, error) {
			_, err := client.Status(ctx, "")
			return errors.Is(err, control.ErrNotRunning), nil
		}
	}
	if err := syscall.Kill(pid, signal); err != nil {
		return fmt.Errorf("signal to process %d, which opened the control socket: %w", pid, err)
	}
	limit := time.NewTimer(ownerLimit)
	defer limit.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return fmt.Errorf("process %d has not done it within %v: see its log", pid, ownerLimit)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// configFault is what the daemon says of a configuration that it did not take over.
func configFault(s *control.Status) string {
	for _, h := range s.Health {
		if h.Name == "config" && !h.OK {
			return h.Text
		}
	}
	return ""
}
