// Package ledger is pfwarden's memory on disk: every ban with its reasons, evidence and last counters, the addresses that an
// administrator added to the never-list, whether banning is paused, and the detector's snapshot with the log positions that
// belong to it.
//
// It promises that what Record or SaveSnapshot returned nil for survives kill -9 and a power cut, and that either all or nothing
// of one call is there afterwards. It never decides anything: the life of a ban is internal/warden's.
package ledger

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"pfwarden/capture"
	"pfwarden/detect"
)

// Errors that a caller can act on; what Store methods return wraps one of them where it applies. In every case nothing of the
// call was stored and it may be repeated.
var (
	ErrFull    = errors.New("disk full")
	ErrLocked  = errors.New("database locked by another process")
	ErrCorrupt = errors.New("database corrupt")
	ErrNewer   = errors.New("database written by a newer pfwarden")
	ErrForeign = errors.New("database of another program")
)

// State says how far a ban has come.
type State uint8

// States of a ban, in the order in which it passes through them. PF is touched between Intended and Active, and between Leaving
// and Ended, so that after a crash everything that may stand in one of our tables is found in the ledger.
const (
	Intended State = iota // decided and written; PF may know of it
	Active                // PF was told
	Leaving               // its end is decided and written; PF may still hold it
	Ended                 // PF was told to drop it, or never had it
)

var stateNames = [...]string{"intended", "active", "leaving", "ended"}

// String gives the state's name.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// Live tells whether the ban is in force.
func (s State) Live() bool { return s <= Active }

// Ban is one ban with its whole story. Times are kept to the microsecond.
type Ban struct {
	ID       int64        // given by the warden, never used twice
	Prefix   netip.Prefix // masked; invalid if only Ident is known
	Ident    string       // fail2ban's identifier where it is not simply the address; any bytes
	Scope    string       // bans of one source in different scopes live side by side: "" for our own jails, else see warden.Jail
	Table    string       // PF table; empty where nothing is told to PF
	Jail     string       // "" for a manual ban
	Proven   bool
	Observed bool // made in observe mode: PF never learns of it

	State   State
	Since   time.Time
	Until   time.Time // zero = for ever
	Step    int       // on the ladder, from 1; 0 for bans off the ladder (suspects, manual, fail2ban's)
	Count   int       // how many bans of this source this is, as the scope counts them
	Longer  int       // how often it was extended or prolonged
	By      string    // "pfwarden", or the user who asked for it
	Reasons []string  // sentences for people
	Story   Story

	Ended   time.Time // zero while live
	EndWhy  string    // "expired", "manual", "never", "moved", "flushed", "observe", "replaced", "refused"
	EndedBy string

	Forgiven bool // no longer counts for steps and caps; set by Batch.Forgiven only

	Packets uint64    // that PF blocked for it so far
	Bytes   uint64    // likewise, IP lengths
	LastHit time.Time // when Packets last grew, or our own anchor's rule last logged it; zero = never

	// What of Packets and Bytes was counted before PF's own counters of the entry last began anew; the rest is their last reading.
	BasePackets, BaseBytes uint64
}

// Permanent tells whether the ban has no end of its own.
func (b *Ban) Permanent() bool { return b.Until.IsZero() }

// Story is the part of a ban that only people ask for. It is large: Start leaves it out, and recording a ban with an empty Story
// keeps the one that is stored.
type Story struct {
	Score    float64             `json:"score,omitempty"`
	Failures int                 `json:"failures,omitempty"`
	Shares   []detect.Share      `json:"shares,omitempty"`
	Gates    []detect.GateAnswer `json:"gates,omitempty"`
	Evidence []detect.Evidence   `json:"evidence,omitempty"`
	Lost     string              `json:"lost,omitempty"` // why the rest could not be stored
}

// Empty tells whether there is no story.
func (s *Story) Empty() bool {
	return s.Score == 0 && s.Failures == 0 && len(s.Shares) == 0 && len(s.Gates) == 0 && len(s.Evidence) == 0 && s.Lost == ""
}

// Never is an entry that an administrator added to the never-list while pfwarden ran.
type Never struct {
	Prefix  netip.Prefix
	Since   time.Time
	By      string
	Comment string
}

// Pause says whether banning is suspended.
type Pause struct {
	Paused  bool
	Flushed bool // the tables are to be empty too
	Since   time.Time
	By      string
}

// Counters are the last known counters of one ban.
type Counters struct {
	ID             int64
	Packets, Bytes uint64
	LastHit        time.Time

	BasePackets, BaseBytes uint64 // as in Ban
}

// Transition moves a ban that is otherwise unchanged to another state.
type Transition struct {
	ID    int64
	State State
}

// Batch is what changed; it is stored as a whole or not at all.
type Batch struct {
	Bans        []Ban // inserted, or replaced if the ID is known
	Transitions []Transition
	Counters    []Counters
	NeverAdd    []Never
	NeverRemove []netip.Prefix
	NeverOnly   []Never // if not nil: before NeverRemove and NeverAdd, all others go, and those of it that are not there are added
	Forgiven    []Forgiven
	Pause       *Pause
}

// Forgiven says that the bans of a source up to At no longer count: an administrator wiped its slate clean.
type Forgiven struct {
	Prefix netip.Prefix // bans that hold it or lie inside it; invalid = all
	At     time.Time
}

// Empty tells whether there is nothing to store.
func (b *Batch) Empty() bool {
	return len(b.Bans) == 0 && len(b.Transitions) == 0 && len(b.Counters) == 0 && len(b.NeverAdd) == 0 && len(b.NeverRemove) == 0 &&
		b.NeverOnly == nil && len(b.Forgiven) == 0 && b.Pause == nil
}

// Start is what a warden needs to know when it begins.
type Start struct {
	Unsettled []Ban // every ban that is not Ended, by ID, without its Story
	Never     []Never
	Pause     Pause
	LastID    int64
}

// Past is the part of an old ban from which ladder steps, ban counts and daily caps are derived.
type Past struct {
	ID           int64
	Prefix       netip.Prefix
	Ident        string
	Scope        string
	Table        string
	Jail         string
	Proven       bool
	Observed     bool
	State        State
	Since, Until time.Time
	Step, Count  int
	Ended        time.Time
	EndWhy       string
	Forgiven     bool // no longer counts
}

// Past gives that part of a ban.
func (b *Ban) Past() Past {
	return Past{
		ID: b.ID, Prefix: b.Prefix, Ident: b.Ident, Scope: b.Scope, Table: b.Table, Jail: b.Jail, Proven: b.Proven, Observed: b.Observed,
		State: b.State, Since: b.Since, Until: b.Until, Step: b.Step, Count: b.Count, Ended: b.Ended, EndWhy: b.EndWhy, Forgiven: b.Forgiven,
	}
}

// Snapshot is the detector's state and the log positions that belong to exactly that state.
type Snapshot struct {
	Time      time.Time
	Detector  []byte
	Positions []capture.Position
	Waiting   []byte // of the lines before Positions, what the detector has yet to be told, as internal/screen writes it; may be empty
}

// Query selects bans for History. Zero fields do not restrict.
type Query struct {
	ID           int64
	Prefix       netip.Prefix // bans that hold it, or lie inside it
	Ident        string
	Table        string
	Jail         string
	By           string
	From, To     time.Time // Since in [From, To)
	LiveOnly     bool
	Limit        int  // 0 = 1000
	OldestFirst  bool // else newest first
	WithoutStory bool // leaves Story empty, which is much faster over many bans
}

// Store keeps the ledger. DB keeps it in SQLite, Memory for replay and demonstration. Its methods may be called from several
// goroutines.
type Store interface {
	// Start reads what is in force.
	Start(ctx context.Context) (Start, error)
	// Walk calls f for every ban with Since not before from, oldest first, until f returns an error, which it returns.
	Walk(ctx context.Context, from time.Time, f func(Past) error) error
	// WalkEnded is Walk without the bans that are Unsettled in Start.
	WalkEnded(ctx context.Context, from time.Time, f func(Past) error) error
	// WalkChanged is Walk over the bans that began or ended after the given time, whenever they began.
	WalkChanged(ctx context.Context, after time.Time, f func(Past) error) error
	// History returns the bans that q selects.
	History(ctx context.Context, q Query) ([]Ban, error)
	// Record stores b in one transaction.
	Record(ctx context.Context, b Batch) error
	// SaveSnapshot replaces the stored snapshot.
	SaveSnapshot(ctx context.Context, s Snapshot) error
	// LoadSnapshot returns the stored snapshot; ok is false if there is none. With ErrCorrupt there may be its time and positions.
	LoadSnapshot(ctx context.Context) (s Snapshot, ok bool, err error)
	// OldestEnd returns when the first of the bans ended that have; ok is false if there is none.
	OldestEnd(ctx context.Context) (at time.Time, ok bool, err error)
	// Purge deletes what ended before the given time and returns how many bans that were.
	Purge(ctx context.Context, before time.Time) (int, error)
	Close() error
}

const defaultLimit = 1000
