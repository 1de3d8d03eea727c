// Package warden is the life of a ban: it turns verdicts and an administrator's wishes into bans with an end, climbs the ladder,
// checks the never-list as the last step before PF, prolongs, ends, and says what PF's tables should hold.
//
// It promises that a ban is in the ledger before PF hears of it and that PF hears of its end after the ledger does, so that a
// crash at any moment loses none. It detects nothing, keeps no clock (every call is told the time), and never runs a program.
//
// A Warden stages its decisions; Commit carries them out: one ledger transaction, then PF, then the events. All methods may be
// called from several goroutines.
package warden

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gaissmai/bart"

	"pfwarden/detect"
	"pfwarden/internal/ledger"
)

// Entry is one address or prefix in one of PF's tables.
type Entry struct {
	Table      string
	Prefix     netip.Prefix // masked, unmapped, without zone
	KillStates bool         // when added: also kill the states of Prefix
}

// PF takes what the tables should hold from now on. Returning nil means that PF has it, or that the driver will see to it by
// itself. The driver may be slow: it is called without any lock held.
type PF interface {
	Add(ctx context.Context, entries ...Entry) error
	Delete(ctx context.Context, entries ...Entry) error
}

// key tells bans apart: one source has at most one live ban in a scope.
type key struct {
	scope  string
	prefix netip.Prefix
	ident  string
}

// place is an entry of a PF table.
type place struct {
	table  string
	prefix netip.Prefix
}

// spot is what is known of one place.
type spot struct {
	place
	refs    int     // live bans that want it in PF
	kill    bool    // kill states when it is added
	told    bool    // PF was told to hold it, or may hold it
	again   bool    // PF's driver refused to add it
	touched bool    // refs and told may differ
	leaving []*held // ended, PF not told yet
}

// held is a ban in memory: live, or ended and not yet settled in the ledger.
type held struct {
	*ledger.Ban
	heap    int    // index in the queue of ends, -1 if not in it
	version uint64 // grows with every change that the ledger should know
	saved   uint64 // version that the ledger has
	weight  int    // of its story, while the ledger does not have it
	raw     uint64 // last reading of PF's counter of packets
	rawB    uint64 // and of bytes
}

func (h *held) key() key     { return key{h.Scope, h.Prefix, h.Ident} }
func (h *held) place() place { return place{h.Table, h.Prefix} }

// inPF tells whether the ban stands in a table while it is live.
func (h *held) inPF() bool { return !h.Observed && h.Prefix.IsValid() && h.Table != "" }

// Warden keeps the bans. See the package comment.
type Warden struct {
	committing sync.Mutex // one Commit at a time; taken before mu

	mu    sync.Mutex
	cfg   Config
	store ledger.Store
	pf    PF
	never *NeverList

	now    time.Time
	lastID int64
	live   map[key]*held
	cover  bart.Table[[]*held] // the same, by prefix
	ends   queue
	past   memory
	pause  ledger.Pause

	spots   map[place]*spot
	touched []*spot // those that say so

	dirty     map[int64]*held        // differ from the ledger
	unwritten int                    // bytes that their stories take up
	moved     map[int64]ledger.State // differ from the ledger in their state only
	staged    ledger.Batch           // the rest of the next batch
	counted   map[int64]*held        // have new counters
	events    []Event

	stats  Stats
	health Health
	retry  time.Time // no ledger write before
	pace   time.Duration

	clock    Clock
	doubtful []ledger.Ban // ended at the start, by a clock that may be wrong

	recovering bool // the ledger is being replaced: it is not to be tried
	recovery   sync.WaitGroup
}

// New returns a warden that continues what store holds: bans in force stay, those whose end passed meanwhile are ended at
// their time, addresses that the never-list now holds are let go. PF is not touched: hand Desired to the driver, then call Commit.
// never must already hold the configured entries; those added at run time are read from store.
func New(ctx context.Context, cfg Config, store ledger.Store, pf PF, never *NeverList, now time.Time) (*Warden, error) {
	cfg, err := cfg.filled()
	if err != nil {
		return nil, err
	}
	w := &Warden{
		cfg: cfg, store: store, pf: pf, never: never, now: now,
		live: make(map[key]*held), spots: make(map[place]*spot),
		dirty: make(map[int64]*held), counted: make(map[int64]*held), moved: make(map[int64]ledger.State),
		past:  memory{limit: 4 * cfg.MaxBans},
		stats: newStats(),
	}
	start, err := store.Start(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading bans from the ledger: %w", err)
	}
	if n := len(start.Unsettled); n > 0 { // a restart with many bans shall be quick
		w.live, w.spots = make(map[key]*held, n), make(map[place]*spot, n)
		w.past.records = make(map[key]*record, n)
	}
	w.compare(start.Unsettled)
	if err := w.recall(ctx, start.Unsettled); err != nil {
		return nil, err
	}
	w.lastID, w.pause = start.LastID, start.Pause
	runtime := make([]netip.Prefix, 0, len(start.Never))
	for _, n := range start.Never {
		runtime = append(runtime, n.Prefix)
	}
	never.Set(OriginRuntime, runtime)
	all := make([]held, len(start.Unsettled))
	for i := range start.Unsettled {
		w.resume(&all[i], &start.Unsettled[i])
	}
	if w.clock.Behind > 0 || w.clock.Misdated > 0 {
		for _, h := range w.live {
			w.changed(h)
		}
	}
	w.doubt()
	w.expire(now, true)
	w.letGo(now)
	return w, nil
}

// recall derives steps, counts and daily caps from the bans of the past and those not settled yet, oldest first.
func (w *Warden) recall(ctx context.Context, unsettled []ledger.Ban) error {
	longest := w.cfg.Default.Memory
	for _, j := range w.cfg.Jails {
		longest = max(longest, j.Memory)
	}
	// A step is remembered from the end of its ban on, so bans that began earlier by the longest ladder step count too.
	from := w.now.Add(-longest - w.longestBan())
	recent := make([]*ledger.Ban, 0, len(unsettled))
	for i := range unsettled {
		if !unsettled[i].Since.Before(from) {
			recent = append(recent, &unsettled[i])
		}
	}
	slices.SortFunc(recent, func(a, b *ledger.Ban) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID)) })
	err := w.store.WalkEnded(ctx, from, func(p ledger.Past) error {
		p = w.earlier(p)
		for len(recent) > 0 && cmp.Or(recent[0].Since.Compare(p.Since), cmp.Compare(recent[0].ID, p.ID)) < 0 {
			w.remember(recent[0].Past())
			recent = recent[1:]
		}
		w.remember(p)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the history of bans from the ledger: %w", err)
	}
	for _, b := range recent {
		w.remember(b.Past())
	}
	return nil
}

func (w *Warden) longestBan() time.Duration {
	longest := time.Duration(0)
	for _, j := range w.cfg.Jails {
		for _, d := range j.Ladder {
			longest = max(longest, d)
		}
	}
	for _, d := range w.cfg.Default.Ladder {
		longest = max(longest, d)
	}
	return longest + 24*time.Hour
}

// resume takes up one ban of the ledger in h.
func (w *Warden) resume(h *held, b *ledger.Ban) {
	*h = held{Ban: b, heap: -1, raw: b.Packets - min(b.Packets, b.BasePackets), rawB: b.Bytes - min(b.Bytes, b.BaseBytes)}
	switch old := w.live[h.key()]; {
	case b.State == ledger.Leaving:
		w.leave(h)
		s := w.spot(h.place())
		s.told, s.again = true, true // the crash left open whether PF holds it
		return
	case old != nil: // cannot happen by our own writing; the older one gives way
		w.end(old, w.now, "replaced", byItself)
	}
	s := w.insert(h)
	if s != nil {
		s.told = true // by way of Desired
		if w.pause.Flushed {
			s.again = true
		}
		if w.pause.Flushed || b.State == ledger.Intended {
			w.touch(s)
		}
	}
	if b.Observed && !w.cfg.Observe {
		w.end(h, w.now, "observe", byItself)
	}
}

// Reload takes over a changed configuration. Bans in force keep their table and end.
func (w *Warden) Reload(cfg Config) error {
	cfg, err := cfg.filled()
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if cfg.Observe != w.cfg.Observe {
		return errors.New("observe cannot be changed while running: restart")
	}
	w.cfg = cfg
	w.past.limit = 4 * cfg.MaxBans
	return nil
}

func (w *Warden) jail(name string) Jail {
	if j, ok := w.cfg.Jails[name]; ok {
		return j
	}
	return w.cfg.Default
}

// insert makes h live in every index, and gives the spot that it wants to stand in, nil if none.
func (w *Warden) insert(h *held) *spot {
	w.live[h.key()] = h
	if h.Prefix.IsValid() {
		list, _ := w.cover.Get(h.Prefix)
		w.cover.Insert(h.Prefix, append(list, h))
	}
	if !h.Permanent() {
		w.ends.add(h)
	}
	w.stats.Live[h.Table]++
	if !h.inPF() {
		return nil
	}
	s := w.spot(h.place())
	s.refs++
	s.kill = s.kill || w.killStates(h)
	return s
}

// spot gives what is known of a place.
func (w *Warden) spot(p place) *spot {
	s := w.spots[p]
	if s == nil {
		s = &spot{place: p}
		w.spots[p] = s
	}
	return s
}

// touch has the next Commit look at a spot.
func (w *Warden) touch(s *spot) {
	if !s.touched {
		s.touched = true
		w.touched = append(w.touched, s)
	}
}

// tidy forgets a spot of which there is nothing to know.
func (w *Warden) tidy(s *spot) {
	if s.refs == 0 && !s.told && !s.again && !s.touched && len(s.leaving) == 0 && w.spots[s.place] == s {
		delete(w.spots, s.place)
	}
}

// end takes h out of every index and stages its end; the event is told at the next Commit.
func (w *Warden) end(h *held, at time.Time, why, by string) {
	delete(w.live, h.key())
	if h.Prefix.IsValid() {
		list, _ := w.cover.Get(h.Prefix)
		rest := make([]*held, 0, len(list))
		for _, o := range list {
			if o != h {
				rest = append(rest, o)
			}
		}
		if len(rest) == 0 {
			w.cover.Delete(h.Prefix)
		} else {
			w.cover.Insert(h.Prefix, rest)
		}
	}
	w.ends.remove(h)
	w.stats.Live[h.Table]--
	w.stats.Unbans[why]++
	h.Ended, h.EndWhy, h.EndedBy = at, why, by
	if h.inPF() {
		s := w.spot(h.place())
		if s.refs--; s.refs == 0 {
			s.kill = false
		}
		w.leave(h)
	} else {
		h.State = ledger.Ended
	}
	w.changed(h)
	w.past.closed(h)
	w.tell(Event{Kind: EventUnban, Time: at, Ban: *h.Ban, Why: why})
}

// leave puts an ended ban on the list of those that PF has yet to drop.
func (w *Warden) leave(h *held) {
	h.State = ledger.Leaving
	s := w.spot(h.place())
	s.leaving = append(s.leaving, h)
	w.touch(s)
}

func (w *Warden) changed(h *held) {
	h.version++
	w.dirty[h.ID] = h
	delete(w.moved, h.ID) // the whole row says it too, and the counters
	delete(w.counted, h.ID)
}

func (w *Warden) killStates(h *held) bool {
	if j := w.jail(h.Jail); j.Fail2ban != nil {
		return j.KillStates
	}
	if h.Table == w.cfg.Banned {
		return w.cfg.KillStates && h.Proven
	}
	return h.Table != w.cfg.Suspects && w.jail(h.Jail).KillStates
}

const byItself = "pfwarden"

// notice tells the detector of a ban in force.
func (h *held) notice(at time.Time) detect.Notice {
	return detect.Notice{Time: at, Kind: detect.Banned, Source: h.Prefix, ID: h.Ident, Jail: h.Jail, Until: h.Until, Count: h.Count}
}
