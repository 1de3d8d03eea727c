// Package hooks runs the commands of fail2ban's actions when bans begin and end, as fail2ban does, in a queue of their own. It
// promises that nobody ever waits for a command: events are taken at once, the queue is bounded, several commands run at a time, and
// what belongs to one address keeps its order. A value that came from a log reaches a shell only as a variable's value.
//
// The commands themselves are the administrator's; what they do is not judged.
package hooks

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"time"

	"pfwarden/internal/fail2ban"
	"pfwarden/internal/ledger"
	"pfwarden/internal/warden"
)

// Jail is a jail with the actions to run for its bans.
type Jail struct {
	Name    string
	BanTime float64 // seconds before any growth; less than 0 = for ever
	Actions []fail2ban.Action

	// Identifiers says that its filter may name sources by something else than addresses.
	Identifiers bool
}

// Counts are what <jail.found> and its like stand for: the sources with failures that count at present, all failures, the bans in force, and all
// bans.
type Counts struct{ Found, FoundTotal, Banned, BannedTotal int }

// Options of Hooks. The zero value of each field is a default.
type Options struct {
	Workers   int                                            // commands at once; 16, so that three actions that hang leave room for others
	PerAction int                                            // of them of one action; 4
	Queue     int                                            // bans that wait; 10000. More are dropped and counted. Twenty times as many ends of bans may wait
	Timeout   time.Duration                                  // of a command whose action names none; 60 s
	Shell     Shell                                          // nil: /bin/sh
	Remote    *Remote                                        // runs the commands in another process; nil: Shell does, in this one
	Counts    func(jail string) Counts                       // asked by workers, where a command names one of them; nil: all are 0
	History   func(p netip.Prefix, jail string) []ledger.Ban // earlier bans, of all jails if jail is ""
	Name      func(ctx context.Context, a netip.Addr) string // reverse look-up for <ip-host>
	Unclean   bool                                           // the run before did not end in order: what its actions left is cleared at the start
	Now       func() time.Time                               // nil = time.Now
	Log       *slog.Logger                                   // nil: silent
	Failed    func(jail, action, command string, err error)  // told of each command that failed for good
}

// Stats count what became of events.
type Stats struct {
	Waiting int
	Done    map[string]uint64 // by command: start, ban, unban …
	Failed  map[string]uint64
	Dropped uint64 // events for which there was no room
	Again   uint64 // bans made again since their action had to be repaired
	Spared  uint64 // bans that ended before their command was run: neither of both commands was
}

// Hooks runs actions. Make one with New, let it work with Run.
type Hooks struct {
	o Options

	mu      sync.Mutex // guards what follows
	wake    *sync.Cond
	actions map[name]*action
	order   []name
	lanes   map[laneKey]*lane
	ready   []*lane
	running map[string]int // commands under way, by what excludes each other
	waiting int
	busy    int
	closed  bool
	stats   Stats
	full    bool // said already that the queue is full
}

// name names an action.
type name struct{ jail, action string }

// laneKey is what keeps its order: one address in one action. The zero address is the action itself.
type laneKey struct {
	name    name
	address string
}

// lane is what waits in order.
type lane struct {
	key    laneKey
	action *action
	jobs   []job
	busy   bool
}

// job is one thing to do.
type job struct {
	verb string // "start", "ban", "unban", "prolong", "reload", "stop", "flush"
	ban  *ban
	new  *action // of a reload: what it is to become

	sweep bool // of a start: clear what the run before left
}

// New makes Hooks for the jails. Nothing is run before Run.
func New(jails []Jail, o Options) *Hooks {
	defaults := func(v *int, to int) {
		if *v <= 0 {
			*v = to
		}
	}
	defaults(&o.Workers, 16)
	defaults(&o.PerAction, 4)
	defaults(&o.Queue, 10000)
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	if o.Shell == nil {
		o.Shell = shell
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &Hooks{
		o: o, lanes: make(map[laneKey]*lane), running: make(map[string]int),
		stats: Stats{Done: make(map[string]uint64), Failed: make(map[string]uint64)},
	}
	h.wake = sync.NewCond(&h.mu)
	h.actions, h.order = h.build(jails)
	return h
}

func (h *Hooks) build(jails []Jail) (map[name]*action, []name) {
	actions, order := make(map[name]*action), []name(nil)
	for _, j := range jails {
		for _, a := range j.Actions {
			if a.Python {
				continue
			}
			n := name{j.Name, a.Name}
			actions[n] = newAction(h, j, a)
			order = append(order, n)
		}
	}
	return actions, order
}

// Run works until ctx is done. Commands that run then are given up; call Stop before to have the actions stopped in order.
func (h *Hooks) Run(ctx context.Context) {
	end := context.AfterFunc(ctx, func() {
		h.mu.Lock()
		h.closed = true
		h.wake.Broadcast()
		h.mu.Unlock()
	})
	defer end()
	var workers sync.WaitGroup
	for range h.o.Workers {
		workers.Go(func() { h.work(ctx) })
	}
	workers.Wait()
}

// Start queues the start of every action, and the bans in force as fail2ban does after a restart: marked as restored.
func (h *Hooks) Start(live []ledger.Ban) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.order {
		a := h.actions[n]
		a.toSweep = h.o.Unclean && !a.adopted && strings.TrimSpace(a.spec.Command["actionflush"]) != ""
		h.start(n, live)
	}
}

func (h *Hooks) start(n name, live []ledger.Ban) {
	a := h.actions[n]
	if a.adopted {
		a.hold(live)
		return
	}
	if !a.onDemand || a.toSweep {
		h.put(a, "", job{verb: "start", sweep: a.toSweep})
	}
	if a.spec.NoRestored {
		return
	}
	for i := range live {
		if b := &live[i]; b.Jail == n.jail && !b.Observed {
			h.put(a, addressOf(b), job{verb: "ban", ban: newBan(b, a, true)})
		}
	}
}

// Update takes over the actions of a changed configuration: those that went are stopped, new ones are started with the bans in force. An
// action with a command actionreload keeps what it has: it takes over its new options, and that command is run.
func (h *Hooks) Update(jails []Jail, live []ledger.Ban) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.actions
	fresh, order := h.build(jails)
	for n, a := range old {
		b, still := fresh[n]
		switch {
		case still && strings.TrimSpace(b.spec.Command["actionreload"]) != "":
			h.put(a, "", job{verb: "reload", new: b})
			fresh[n] = a
			continue
		case still && reflect.DeepEqual(a.spec, b.spec) && a.banTime == b.banTime:
			fresh[n] = a
			continue
		}
		h.end(a, live)
	}
	h.actions, h.order = fresh, order
	for _, n := range order {
		if fresh[n] != old[n] {
			fresh[n].before = old[n]
			h.start(n, live)
		}
	}
}

// Event takes what the warden did. It never waits.
func (h *Hooks) Event(e warden.Event) {
	b := &e.Ban
	if b.Observed {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.order {
		a := h.actions[n]
		if n.jail != b.Jail {
			continue
		}
		switch e.Kind {
		case warden.EventBan:
			x := newBan(b, a, false)
			h.put(a, addressOf(b), job{verb: "ban", ban: x})
			if longer := newBan(b, a, false); a.prolongs() && !b.Until.IsZero() && a.banTime >= 0 && b.Until.Sub(b.Since).Seconds() > a.banTime {
				longer.bantime = b.Until.Sub(b.Since).Seconds() // actionban hears of the plain ban time, this one of the grown
				h.put(a, addressOf(b), job{verb: "prolong", ban: longer})
			}
		case warden.EventExtend, warden.EventProlong:
			if a.prolongs() {
				x := newBan(b, a, false)
				x.bantime = -1
				if !b.Until.IsZero() {
					x.bantime = b.Until.Sub(b.Since).Seconds()
				}
				h.put(a, addressOf(b), job{verb: "prolong", ban: x})
			}
		case warden.EventUnban:
			h.put(a, addressOf(b), job{verb: "unban", ban: newBan(b, a, false)})
		}
	}
}

// Stop has every action let go of its bans and stopped, after what waits already, and returns when that is done or ctx ends.
func (h *Hooks) Stop(ctx context.Context, live []ledger.Ban) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.order {
		h.end(h.actions[n], live)
	}
	return h.drained(ctx)
}

// drained waits until all that waits is done, or ctx ends. h.mu is held.
func (h *Hooks) drained(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		h.mu.Lock()
		h.wake.Broadcast()
		h.mu.Unlock()
	})
	defer stop()
	for h.waiting+h.busy > 0 && !h.closed {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%d commands of actions were not run: %w", h.waiting, err)
		}
		h.wake.Wait()
	}
	return nil
}

// end queues what ends an action: its flush, or the end of each ban, and its stop once all its lanes are empty.
func (h *Hooks) end(a *action, live []ledger.Ban) {
	if a.spec.Command["actionflush"] != "" {
		h.put(a, "", job{verb: "flush"})
	} else {
		for i := range live {
			if b := &live[i]; b.Jail == a.name.jail && !b.Observed {
				h.put(a, addressOf(b), job{verb: "unban", ban: newBan(b, a, false)})
			}
		}
	}
	h.put(a, "", job{verb: "stop"})
}

// Stats gives what was counted so far.
func (h *Hooks) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stats
	s.Waiting, s.Done, s.Failed = h.waiting, maps.Clone(s.Done), maps.Clone(s.Failed)
	return s
}
