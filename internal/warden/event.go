package warden

import (
	"time"

	"pfwarden/detect"
	"pfwarden/internal/ledger"
)

// EventKind says what happened to a ban.
type EventKind uint8

// Kinds of events.
const (
	EventBan     EventKind = iota // a ban was made
	EventExtend                   // a later verdict, or an administrator, moved its end further away
	EventProlong                  // it was still hit at its end, and goes on
	EventUnban                    // it ended; Why says why
	EventRefuse                   // no ban was made; Why says why
)

var eventNames = [...]string{"ban", "extend", "prolong", "unban", "refuse"}

// String gives the kind's name.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "unknown"
}

// Event tells one thing that happened, with the whole story, for log line, metrics, hooks and reports.
type Event struct {
	Kind    EventKind
	Time    time.Time // of the verdict, or of the end
	Read    time.Time // of a ban: when the record was read that led to it; zero if not known
	Ban     ledger.Ban
	Verdict *detect.Verdict // what led to it; nil for manual changes and for ends
	// Why is a word of a fixed set. Unbans: expired, manual, never, moved, flushed, observe, replaced, refused.
	// Bans: "", adopted, resumed. Refusals: never, bogon, paused, full, daily, stale, wide, gate, source.
	Why  string
	Text string // refusals: the same for people, with what stood in the way
}

// Stats are the warden's counters since it began.
type Stats struct {
	Live     map[string]int    // bans in force by table
	Bans     map[string]uint64 // made, by jail
	Unbans   map[string]uint64 // by why
	Refused  map[string]uint64 // by why
	Extended uint64
	Prolong  uint64
	Already  uint64 // verdicts on sources that were already banned as long

	Forgot    uint64 // remembered sources dropped for want of room
	Lost      uint64 // ended bans whose end could not be written, dropped for want of room
	Shortened uint64 // bans whose evidence was left out, since too much waited for the ledger already
}

func newStats() Stats {
	return Stats{Live: make(map[string]int), Bans: make(map[string]uint64), Unbans: make(map[string]uint64), Refused: make(map[string]uint64)}
}

// Health says what stands between decisions and their being carried out.
type Health struct {
	Ledger      error     // of the last attempt to write; nil = well
	LedgerSince time.Time // first failure of the present row
	Unwritten   int       // bans whose present state the ledger lacks
	PF          error     // of the last attempt to tell PF
	PFSince     time.Time
	Untold      int // table entries that PF has yet to be told of
	Recovered   int // how often a corrupt ledger was replaced while running
	Paused      ledger.Pause
	Observe     bool
	Full        bool // the bound on live bans is reached
}

// tell queues an event for the next Commit.
func (w *Warden) tell(e Event) { w.events = append(w.events, e) }

func (w *Warden) refuse(now time.Time, b ledger.Ban, v *detect.Verdict, why, text string) {
	w.stats.Refused[why]++
	// Refusals can come as fast as records: what was refused is counted in full, told only as long as there is room.
	if len(w.events) < maxEvents {
		w.tell(Event{Kind: EventRefuse, Time: now, Ban: b, Verdict: v, Why: why, Text: text})
	}
}

const maxEvents = 10_000
