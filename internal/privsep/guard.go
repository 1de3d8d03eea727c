package privsep

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"pfwarden/pfctl"
)

// Runner runs pfctl(8) with its standard output going to a file; *pfctl.ExecRunner is one.
type Runner interface {
	RunTo(ctx context.Context, c pfctl.Command, stdout *os.File) (pfctl.Result, error)
}

// GuardOptions make a Guard. The zero value of each field but Settings is a default.
type GuardOptions struct {
	Settings Settings
	Changes  Runner                                     // runs what changes PF; nil = pfctl(8)
	Reads    Runner                                     // runs what only reads, beside it; nil = pfctl(8)
	Capture  func(name string, n int) (*os.File, error) // opens bpf(4) for an interface; nil = the system's
	Defaults func() (map[string][]netip.Prefix, error)  // what belongs to this machine; nil = nothing
	Log      *slog.Logger                               // nil = silent
	Now      func() time.Time                           // nil = time.Now
}

// Guard is the privileged side of the socket: it does what the worker asks for, as far as Settings allow.
type Guard struct {
	o        GuardOptions
	settings atomic.Pointer[Settings]
	never    atomic.Pointer[[]netip.Prefix]
	counts   counts
	log      *slog.Logger
	asked    atomic.Bool // a worker made a request
	nowhere  *os.File    // for what pfctl prints about changes
}

// Counts say what workers asked for.
type Counts struct{ Done, Refused, Violations uint64 }

type counts struct{ done, refused, violations atomic.Uint64 }

// NewGuard checks the settings.
func NewGuard(o GuardOptions) (*Guard, error) {
	if o.Changes == nil {
		o.Changes = &pfctl.ExecRunner{Path: o.Settings.Pfctl, Env: o.Settings.Env}
	}
	if o.Reads == nil {
		o.Reads = &pfctl.ExecRunner{Path: o.Settings.Pfctl, Env: o.Settings.Env}
	}
	if o.Capture == nil {
		o.Capture = openCapture
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	nowhere, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("privileged process: %w", err)
	}
	g := &Guard{o: o, log: o.Log, nowhere: nowhere}
	if err := g.Change(o.Settings); err != nil {
		return nil, err
	}
	return g, nil
}

// Change takes over other settings, for the requests to come.
func (g *Guard) Change(s Settings) error {
	if err := s.Validate(); err != nil {
		return fmt.Errorf("privileged process: %w", err)
	}
	g.settings.Store(&s)
	g.Refresh()
	return nil
}

// Counts gives what was counted so far.
func (g *Guard) Counts() Counts {
	return Counts{g.counts.done.Load(), g.counts.refused.Load(), g.counts.violations.Load()}
}
