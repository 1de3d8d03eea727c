package warden

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Jail is what the warden needs to know of a jail. Thresholds and windows are the detector's.
type Jail struct {
	Table      string          // table of its bans; "" = by proof, see Config
	NoTable    bool            // only hooks learn of its bans: PF is told nothing
	Ladder     []time.Duration // ban times of proven bans, step by step; the last one repeats; 0 or less = for ever
	Memory     time.Duration   // a step is forgotten this long after its ban ended
	Jitter     time.Duration   // up to this much is added to a ban's time
	Prefix4    int             // width of an IPv4 ban, 0 = as the verdict says
	Prefix6    int             // likewise IPv6
	Suspect    time.Duration   // ban time of a verdict that rests on spoofable evidence
	Prolong    bool            // a proven ban that is still hit when it ends goes on
	KillStates bool            // for bans in a table of its own: kill states too
	Fail2ban   *Growth         // set for jails taken from fail2ban: decides the ban's time; gates, proof and ladder are passed by
}

// Config is the warden's part of the configuration.
type Config struct {
	Banned, Suspects string // table names
	Observe          bool   // decide and report, never touch PF
	KillStates       bool   // kill the states of sources that get into Banned
	Jails            map[string]Jail
	Default          Jail   // for jails that Jails does not name, and for manual bans
	Seed             uint64 // of jitter: the same seed and verdicts give the same ends
	MaxBans          int    // live bans at most
	SuspectsPerDay   int    // suspect bans of one source within 24 h at most
	MaxUnwritten     int    // bytes of evidence that may wait for the ledger; bans beyond are made and kept without theirs
	// StillHit is how recently before its end a ban must have been hit to be prolonged.
	StillHit time.Duration
	// Last is when the ledger was surely in use last, by the clock of then: the time of its snapshot. Zero = not known.
	Last time.Time
	// OnEvent hears of everything that happened, in order, during Commit. It must not call the Warden's changing methods.
	OnEvent func(Event)
	// Read says when the record was read that is being judged, for Event.Read; asked during Judge. nil = not known.
	Read func() time.Time
	Log  *slog.Logger
}

// Defaults of Config and Jail where their fields are zero.
const (
	DefaultMaxBans        = 200_000
	DefaultSuspectsPerDay = 6
	DefaultMaxUnwritten   = 64 << 20
	DefaultSuspect        = 10 * time.Minute
	DefaultMemory         = 30 * 24 * time.Hour
	DefaultStillHit       = 10 * time.Minute
)

// DefaultLadder returns the ban times of proven bans.
func DefaultLadder() []time.Duration {
	return []time.Duration{10 * time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}
}

func (c Config) filled() (Config, error) {
	if c.Banned == "" {
		c.Banned = "banned"
	}
	if c.Suspects == "" {
		c.Suspects = "suspects"
	}
	if c.Banned == c.Suspects {
		return c, fmt.Errorf("table %q cannot hold both proven and spoofable bans: name two tables", c.Banned)
	}
	if c.MaxBans <= 0 {
		c.MaxBans = DefaultMaxBans
	}
	if c.SuspectsPerDay <= 0 {
		c.SuspectsPerDay = DefaultSuspectsPerDay
	}
	if c.MaxUnwritten <= 0 {
		c.MaxUnwritten = DefaultMaxUnwritten
	}
	if c.StillHit <= 0 {
		c.StillHit = DefaultStillHit
	}
	if c.OnEvent == nil {
		c.OnEvent = func(Event) {}
	}
	if c.Read == nil {
		c.Read = func() time.Time { return time.Time{} }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	c.Default = c.Default.filled()
	jails := make(map[string]Jail, len(c.Jails))
	for name, j := range c.Jails {
		jails[name] = j.filled()
	}
	c.Jails = jails
	return c, nil
}

func (j Jail) filled() Jail {
	if len(j.Ladder) == 0 {
		j.Ladder = DefaultLadder()
	}
	if j.Memory <= 0 {
		j.Memory = DefaultMemory
		if j.Fail2ban != nil {
			j.Memory = 24 * time.Hour // its dbpurgeage
		}
	}
	if j.Suspect <= 0 {
		j.Suspect = DefaultSuspect
	}
	return j
}
