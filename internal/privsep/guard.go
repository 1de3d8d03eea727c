package privsep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
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
}

// Counts say what workers asked for.
type Counts struct{ Done, Refused, Violations uint64 }

type counts struct{ done, refused, violations atomic.Uint64 }

// largeRequest is the size of a request, in bytes, behind which memory is given back at once; maxTold bounds what is said of one.
const (
	largeRequest = 128 << 10
	maxTold      = 20
)

// maxViolations is how many requests that no honest worker makes are refused before the worker is ended.
const maxViolations = 16

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
	g := &Guard{o: o, log: o.Log}
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

// Refresh asks anew what belongs to this machine. What cannot be found out keeps its last answer.
func (g *Guard) Refresh() {
	s := g.settings.Load()
	list := append([]netip.Prefix(nil), s.Never...)
	list = append(list, nobody()...)
	if s.NeverDefaults && g.o.Defaults != nil {
		found, err := g.o.Defaults()
		if err != nil {
			g.log.Debug("what is never banned is not known completely", "error", err)
		}
		if err != nil && g.never.Load() != nil {
			list = append(list, *g.never.Load()...)
		}
		for _, prefixes := range found {
			list = append(list, prefixes...)
		}
	}
	list = distinct(list)
	g.never.Store(&list)
}

// Counts gives what was counted so far.
func (g *Guard) Counts() Counts {
	return Counts{g.counts.done.Load(), g.counts.refused.Load(), g.counts.violations.Load()}
}

// nobody are addresses that can be nobody's source: RFC 6890.
func nobody() []netip.Prefix {
	return []netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom4([4]byte{}), 8), netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{224}), 4), netip.PrefixFrom(netip.IPv6Unspecified(), 128),
		netip.PrefixFrom(netip.IPv6Loopback(), 128), netip.PrefixFrom(netip.AddrFrom16([16]byte{0xff}), 8),
	}
}

func distinct(list []netip.Prefix) []netip.Prefix {
	seen := make(map[netip.Prefix]bool, len(list))
	out := list[:0]
	for _, p := range list {
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	return out
}

// protects says why an address is left alone, "" if it is not.
func (g *Guard) protects(p netip.Prefix) string {
	if p.Addr().Is4() && p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 16 {
		return "too wide"
	}
	for _, n := range *g.never.Load() {
		if n.Overlaps(p) {
			return "never-listed: " + n.String()
		}
	}
	return ""
}

// session is the service of one worker.
type session struct {
	g          *Guard
	wire       *wire
	violations int
	events     []*events // watches that were begun, the oldest first
	lanes      [2]chan func()
	paces      [kindRead + 1]*pace
}

// Serve answers a worker's requests until it closes its end of the socket, which is no error, breaks the protocol or ctx is done. It
// takes over the descriptor.
func (g *Guard) Serve(ctx context.Context, socket *os.File) error {
	w, err := newWire(socket)
	if err != nil {
		return err
	}
	return g.serve(ctx, w)
}

func (g *Guard) serve(ctx context.Context, w *wire) error {
	ctx, cancel := context.WithCancel(ctx)
	s := &session{g: g, wire: w, paces: newPaces()}
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
		cancel()
		_ = w.close()
		for _, lane := range s.lanes {
			close(lane)
		}
		running.Wait()
		for _, e := range s.events {
			e.close()
		}
	}()
	for {
		f, err := w.receive(maxRequest, false)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case gone(err):
			return nil
		case errors.Is(err, errProtocol):
			g.counts.violations.Add(1)
			return fmt.Errorf("the worker does not keep to the protocol: %w", err)
		case err != nil:
			return fmt.Errorf("socket to the worker: %w", err)
		}
		g.asked.Store(true)
		if err := s.handle(ctx, &f); err != nil {
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
		return fmt.Errorf("the worker does not keep to the protocol: %w", err)
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
		return s.reply(s.capture(number), r)
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
		err = fmt.Errorf("the worker asked %d times for what it may not have: %w", s.violations, errProtocol)
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
	large := len(r.packed) > largeRequest
	job := func() {
		f := s.runTo(ctx, runner, number, command, lane == 1)
		s.g.counts.done.Add(1)
		_ = s.wire.send(f) // a worker that is gone is noticed by receive
		if large {
			command = pfctl.Command{}
			debug.FreeOSMemory()
		}
	}
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
	var out *os.File
	if reading {
		r, w, err := os.Pipe()
		if err != nil {
			return fail(err)
		}
		err = s.wire.send(frame{kind: replyStream, number: number, file: r})
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

// command makes the run of pfctl that a request asks for, or says why not.
func (g *Guard) command(r *request) (c pfctl.Command, why string) {
	set := g.settings.Load()
	if r.kind == kindKill {
		p := r.addresses[0]
		if why := g.protects(p.Prefix); why != "" {
			return c, p.String() + ": " + why
		}
		return pfctl.Command{Args: killArgs(p, r.towards)}, ""
	}
	if r.kind == kindRead {
		return g.reading(set, r)
	}
	a, known := set.anchor(r.anchor)
	if !known {
		return c, "no such anchor is configured"
	}
	if r.kind == kindAnchor {
		if len(a.Rules) < 2 {
			return c, "the rules of this anchor are left to others"
		}
		c.Args, c.Stdin = a.args("-f", "-"), []byte(a.Rules[flag(r.alternate)])
		if r.way == anchorCheck {
			c.Args = a.args("-nf", "-")
		}
		return c, ""
	}
	if !a.has(r.table) {
		return c, "no such table is configured"
	}
	verb := map[byte]string{tableAdd: "add", tableDelete: "delete", tableReplace: "replace", tableFlush: "flush"}[r.way]
	c.Args = a.args("-t", r.table, "-T", verb)
	if r.way == tableFlush {
		return c, ""
	}
	c.Args = append(c.Args, "-f", "-")
	list := &addressList{left: make(map[int]bool)}
	n := 0
	for x := range r.each() {
		if r.way != tableDelete {
			if why := g.protects(x.Prefix); why != "" {
				g.counts.refused.Add(1)
				if list.left[n] = true; len(list.left) <= maxTold {
					g.log.Error("left out what the worker wanted to ban", "address", x.String(), "table", r.table, "why", why)
				}
			}
		}
		n++
	}
	switch {
	case len(list.left) == n:
		return pfctl.Command{}, "" // all of it was left out
	case len(list.left) > maxTold:
		g.log.Error("left out more of what the worker wanted to ban", "addresses", len(list.left), "table", r.table)
	}
	list.from.rest, c.Input = r.packed, list
	return c, ""
}

// reading makes the run of a read request.
func (g *Guard) reading(set *Settings, r *request) (c pfctl.Command, why string) {
	args := func(args ...string) (pfctl.Command, string) {
		if r.anchor != "" || r.table != "" {
			return c, "names that this reading does not need"
		}
		return pfctl.Command{Args: args}, ""
	}
	switch r.way {
	case readInfo:
		return args("-s", "info")
	case readMemory:
		return args("-s", "memory")
	case readMainRules:
		return args("-s", "rules")
	case readStates:
		return args("-s", "states")
	case readAnchors:
		return args("-v", "-s", "Anchors")
	case readAnchorCall:
		if !set.above(r.anchor) || r.table != "" {
			return c, "no configured anchor lies below this one"
		}
		return pfctl.Command{Args: []string{"-a", r.anchor, "-s", "rules"}}, ""
	}
	a, known := set.anchor(r.anchor)
	if !known {
		return c, "no such anchor is configured"
	}
	if r.way >= readShow {
		if !a.has(r.table) {
			return c, "no such table is configured"
		}
	} else if r.table != "" {
		return c, "names that this reading does not need"
	}
	switch r.way {
	case readRules:
		c.Args = a.args("-v", "-s", "rules")
	case readTables:
		c.Args = a.args("-v", "-s", "Tables")
	case readTablesMore:
		c.Args = a.args("-vv", "-s", "Tables")
	case readShow:
		c.Args = a.args("-t", r.table, "-T", "show")
	case readShowMore:
		c.Args = a.args("-t", r.table, "-v", "-T", "show")
	case readCounters:
		c.Args = a.args("-t", r.table, "-vv", "-s", "Tables", "-T", "show")
	}
	return c, ""
}

func (a *Anchor) args(rest ...string) []string {
	if a.Path == "" {
		return rest
	}
	return append([]string{"-a", a.Path}, rest...)
}

// killArgs name the states to end: those that the address began, or those towards it.
func killArgs(p address, towards bool) []string {
	if !towards {
		return []string{"-k", p.String()}
	}
	all := "0.0.0.0/0"
	if p.Addr().Is6() {
		all = "::/0"
	}
	return []string{"-k", all, "-k", p.String()}
}

// String names a request for the log, without its addresses.
func (r *request) String() string {
	name := [...]string{"?", "open", "capture", "anchor", "table", "kill", "read"}[r.kind]
	return fmt.Sprintf("%s/%d %.200q %.100q %.100q, %d addresses", name, r.way, r.path, r.anchor, r.table, len(r.addresses))
}
