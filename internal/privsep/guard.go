package privsep

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
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
	Capture  func(name string, n int) (Captured, error) // opens bpf(4) for an interface; nil = the system's
	Program  string                                     // this program, for what a child does for us
	Defaults func() (map[string][]netip.Prefix, error)  // what belongs to this machine; nil = nothing
	Log      *slog.Logger                               // nil = silent
	Now      func() time.Time                           // nil = time.Now
}

// Guard is the privileged side of the socket: it does what the worker asks for, as far as Settings allow.
type Guard struct {
	o        GuardOptions
	settings atomic.Pointer[Settings]
	never    neverList
	counts   counts
	log      *slog.Logger
	asked    atomic.Bool // a worker made a request
	nowhere  *os.File    // for what pfctl prints about changes
	roots    roots       // what is left of the file system, since Narrow; nil = all
	narrowed Settings    // those that Narrow was called with
	feedTime time.Duration
}

// Counts say what workers asked for: requests that were answered, those that were refused (and addresses that were left out), and breaches of the protocol
// for which a worker was ended. Where anything was refused they are logged when a worker has gone.
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
		o.Capture = openCapture(o.Program)
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
	g := &Guard{o: o, log: o.Log, nowhere: nowhere, feedTime: feedTime}
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
	if wider := g.wider(&s); len(wider) > 0 {
		return fmt.Errorf("privileged process: %s: it has given up all that it did not need at its start; a restart is needed", strings.Join(wider, ", "))
	}
	g.settings.Store(&s)
	g.refresh(true) // a new worker tells again what it adds to the never-list
	return nil
}

// wider lists what settings need that was given up by Narrow.
func (g *Guard) wider(s *Settings) (list []string) {
	if g.roots == nil {
		return nil
	}
	list = g.roots.missing(slices.Concat(s.Files, s.Lists))
	if s.NeverDefaults && !g.narrowed.NeverDefaults {
		list = append(list, "never_defaults")
	}
	if s.Interface != "" && g.narrowed.Interface == "" {
		list = append(list, "pflog.interface")
	}
	return list
}

// Narrow opens the folders that the configured files are reached through, for a process that is about to lose sight of all others. It says in
// its error which could not be opened: files there are not found from then on. It is called before Serve.
func (g *Guard) Narrow() (folders []string, err error) {
	s := g.settings.Load()
	g.roots.close()
	g.narrowed = *s
	g.roots, err = openRoots(slices.Concat(s.Files, s.Lists))
	for _, r := range g.roots {
		folders = append(folders, r.path)
	}
	return folders, err
}

// Counts gives what was counted so far.
func (g *Guard) Counts() Counts {
	return Counts{g.counts.done.Load(), g.counts.refused.Load(), g.counts.violations.Load()}
}
