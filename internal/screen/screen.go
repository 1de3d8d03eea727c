// Package screen stands between a filter's candidate and the detector, for what needs the outside world: host names found in
// log lines are looked up, ignore lists and ignore commands asked, and the never-list's names, files and defaults kept fresh.
//
// Nothing here decides on evidence, and nothing waits: what must be asked for comes back later through Ready and Take. An address
// that was found by a name is never proof, since whoever owns the address or the name chooses the answer.
//
// What is being asked for belongs to the stage until it is taken: Waiting lists it, so that it can be kept with the detector's snapshot or handed to
// another Screen, and no failure is lost because its answer came late.
package screen

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"pfwarden/detect"
)

// Jail says what is asked for one jail.
type Jail struct {
	Ignore  []*List  // ignore lists; sources on one of them do not count
	Command *Command // asked for sources that are on no list; nil: none
	Warn    bool     // fail2ban's usedns = warn: looking a name up is logged
}

// Options of a Screen. The zero value of each field is a default.
type Options struct {
	Jails    map[string]Jail
	Refresh  []*List // lists that Run keeps fresh
	Defaults *List   // list that gets System's defaults; nil: none
	System   System
	Every    time.Duration // between two refreshes; 1 min

	Resolver Resolver                                       // nil: the system's
	NameOf   func(ctx context.Context, a netip.Addr) string // looks an address up for ignore commands that ask its name; nil: none has one
	Workers  int                                            // lookups and commands at once; 4
	Queue    int                                            // observations that wait; 1000. More are dropped and counted
	Cache    int                                            // names, and answers of commands, that are kept; 1000 each
	TTL      time.Duration                                  // of a name's answer; 5 min. A failure is kept for a fifth of it

	Run   Run              // how commands are run; nil: as child processes
	Now   func() time.Time // nil: time.Now
	Tick  <-chan time.Time // nil: a ticker of Every
	Watch <-chan time.Time // when to see whether files of lists were changed; nil: every second, if any list has files
	Log   *slog.Logger     // nil: silent
}

// Stats count what was asked and what came of it.
type Stats struct {
	Names    map[string]uint64 // looked_up, cached, failed, invalid, dropped
	Commands map[string]uint64 // run, cached, ignored, failed, timeout, dropped
	Ignored  uint64            // observations whose source is on an ignore list
	Refresh  uint64            // errors in refreshing lists
	Waiting  int               // observations that wait
}

// Screen screens candidates. Make one with New.
type Screen struct {
	opts  Options
	ready chan struct{}
	tasks chan task

	mu       sync.Mutex // guards what follows
	names    *cache[[]netip.Addr]
	answers  map[string]*cache[bool] // of commands, by jail
	entries  map[uint64]*entry       // all that wait, by number
	last     uint64                  // number
	inFlight map[string][]*entry     // by name: who waits for it
	answered []*entry                // wait for Take only
	stats    Stats
	warned   map[string]string // refresh errors that were logged, so that each is logged once
}

// task is one thing for a worker to do: look up a name, or ask an observation's command. There is never more than one for an entry, so that the
// queue of them always has room for one that must be put off.
type task struct {
	host  string
	entry *entry
}

// New makes a Screen; Run makes it work.
func New(opts Options) *Screen {
	if opts.Resolver == nil {
		opts.Resolver = net.DefaultResolver
	}
	if opts.Run == nil {
		opts.Run = func(ctx context.Context, c *Command, values []string) (int, error) { return c.Exec(ctx, values) }
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		v  *int
		to int
	}{{&opts.Workers, 4}, {&opts.Queue, 1000}, {&opts.Cache, 1000}} {
		if *d.v <= 0 {
			*d.v = d.to
		}
	}
	if opts.TTL <= 0 {
		opts.TTL = 5 * time.Minute
	}
	if opts.Every <= 0 {
		opts.Every = time.Minute
	}
	s := &Screen{
		opts: opts, ready: make(chan struct{}, 1), tasks: make(chan task, opts.Queue),
		names: newCache[[]netip.Addr](opts.Cache), answers: map[string]*cache[bool]{},
		entries: map[uint64]*entry{}, inFlight: map[string][]*entry{}, warned: map[string]string{},
		stats: Stats{Names: map[string]uint64{}, Commands: map[string]uint64{}},
	}
	for name, j := range opts.Jails {
		if j.Command == nil {
			continue
		}
		size := j.Command.most
		if size <= 0 {
			size = opts.Cache
		}
		s.answers[name] = newCache[bool](size)
	}
	return s
}

// Run works until ctx is done. What waits then goes on waiting, for another Run or for whoever asks Waiting.
func (s *Screen) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	for range s.opts.Workers {
		workers.Go(func() { s.work(ctx) })
	}
	tick := s.opts.Tick
	if tick == nil {
		t := time.NewTicker(s.opts.Every)
		defer t.Stop()
		tick = t.C
	}
	watch := s.opts.Watch
	if watch == nil && slices.ContainsFunc(s.opts.Refresh, (*List).HasFiles) {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		watch = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
			s.Refresh(ctx)
		case <-watch:
			for _, l := range s.opts.Refresh {
				for _, err := range l.RefreshFiles(ctx) {
					s.opts.Log.Warn("a file of addresses was changed, and holds faults", "error", err)
				}
			}
		}
	}
}

// Refresh brings the lists up to date; call it once before the first record. What fails keeps its last answer, is logged when it
// is new, and counted.
func (s *Screen) Refresh(ctx context.Context) {
	var errs []error
	if s.opts.Defaults != nil {
		found, err := s.opts.System.Defaults()
		if err != nil {
			errs = append(errs, err)
		}
		for _, origin := range slices.Sorted(maps.Keys(found)) {
			s.opts.Defaults.Put(origin, found[origin])
		}
	}
	for _, l := range s.opts.Refresh {
		errs = append(errs, l.Refresh(ctx)...)
	}
	now := map[string]string{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, err := range errs {
		s.stats.Refresh++
		text := err.Error()
		if now[text] = text; s.warned[text] == "" && ctx.Err() == nil {
			s.opts.Log.Warn("never-list is not up to date", "error", err)
		}
	}
	s.warned = now
}

// Resolve asks for the addresses of a name that a line holds; o comes back once for each of them.
func (s *Screen) Resolve(jail, host string, o detect.Observation) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	s.mu.Lock()
	defer s.mu.Unlock()
	if !validName(host) {
		s.stats.Names["invalid"]++
		return
	}
	if len(s.entries) >= s.opts.Queue {
		s.stats.Names["dropped"]++
		return
	}
	o.Jail = jail
	s.look(s.enter(Waiting{Host: host, Observation: keep(o)}))
}

// look has the name of an entry looked up, together with all that wait for the same. It is called with mu held.
func (s *Screen) look(e *entry) {
	waiters, flying := s.inFlight[e.Host]
	if !flying {
		s.tasks <- task{host: e.Host}
	}
	s.inFlight[e.Host] = append(waiters, e)
}

// Ignored tells whether o is not to be counted now: its source is on an ignore list, or a command says so, or is still to be
// asked. In that case o comes back if the answer is no.
func (s *Screen) Ignored(jail string, o *detect.Observation) bool {
	j := s.opts.Jails[jail]
	if s.listed(&j, o) {
		return true
	}
	if j.Command == nil {
		return false
	}
	held := *o
	held.Jail = jail
	key, ok := j.Command.cacheKey(&held, "", false)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok {
		if ignore, known := s.answers[jail].get(key, s.opts.Now()); known {
			s.count("cached", ignore)
			return ignore
		}
	}
	if len(s.entries) >= s.opts.Queue {
		s.stats.Commands["dropped"]++
		return true
	}
	s.tasks <- task{entry: s.enter(Waiting{Observation: keep(held)})}
	return true
}

// Stats gives what was counted so far.
func (s *Screen) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.Names, out.Commands, out.Waiting = maps.Clone(s.stats.Names), maps.Clone(s.stats.Commands), len(s.entries)
	return out
}

// keep copies what would else keep the chunk alive that its line is part of.
func keep(o detect.Observation) detect.Observation {
	o.Text, o.User, o.ID = strings.Clone(o.Text), strings.Clone(o.User), strings.Clone(o.ID)
	fields := detect.Fields(nil)
	if o.Fields != nil {
		fields = make(detect.Fields, len(o.Fields))
	}
	for k, v := range o.Fields {
		fields[k] = strings.Clone(v)
	}
	o.Fields = fields
	return o
}

// listed asks the ignore lists.
func (s *Screen) listed(j *Jail, o *detect.Observation) bool {
	if !o.Source.IsValid() {
		return false
	}
	for _, l := range j.Ignore {
		if l.Contains(o.Source) {
			s.mu.Lock()
			s.stats.Ignored++
			s.mu.Unlock()
			return true
		}
	}
	return false
}
