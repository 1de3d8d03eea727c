package control

import (
	"context"
	"net/netip"
	"time"
)

// Service is what the daemon lets itself be asked. Methods may be called from several goroutines. by names who asks, for the
// ledger: "root", or the user's number. Errors that wrap one of this package's keep their meaning on the other end.
type Service interface {
	// Status tells how the daemon is; with a jail only of that one, and with its bans. ErrNotFound if there is no such jail.
	Status(ctx context.Context, jail string) (Status, error)
	// Bans returns the bans in force, oldest first.
	Bans(ctx context.Context, q BanQuery) ([]Ban, error)
	// Ban bans each prefix; what was refused (never-listed …) comes back with the reason.
	Ban(ctx context.Context, by string, o BanOrder) (BanResult, error)
	// Unban ends every ban that holds one of the prefixes or lies inside it, or all of them, and clears their suspicion.
	Unban(ctx context.Context, by string, o UnbanOrder) (BanResult, error)
	// Never returns the never-list with what each entry comes from.
	Never(ctx context.Context) ([]NeverEntry, error)
	// NeverAdd puts prefixes on the never-list for good and ends their bans at once.
	NeverAdd(ctx context.Context, by string, prefixes []netip.Prefix, comment string) (BanResult, error)
	// NeverRemove takes back what NeverAdd did. Entries of another origin are refused.
	NeverRemove(ctx context.Context, by string, prefixes []netip.Prefix) (BanResult, error)
	// Pause stops banning, not watching; with flush the tables are emptied too.
	Pause(ctx context.Context, by string, flush bool) error
	// Resume takes back Pause.
	Resume(ctx context.Context, by string) error
	// Explain tells all that is known of an address, or of a prefix: of the source it is, or of the bans that hold it or lie inside.
	Explain(ctx context.Context, p netip.Prefix) (Explanation, error)
	// PF shows our part of PF.
	PF(ctx context.Context) (PFView, error)
	// Health returns every item, the good ones too.
	Health(ctx context.Context) ([]HealthItem, error)
}

// BanQuery selects bans. Zero fields do not restrict.
type BanQuery struct {
	Prefix netip.Prefix // bans that hold it or lie inside it
	Table  string
	Jail   string
}

// BanOrder asks for bans.
type BanOrder struct {
	Prefixes []netip.Prefix
	For      time.Duration // 0 = the next step of the ladder
	Forever  bool          // then For is 0
	Reason   string
}

// UnbanOrder asks for bans to end.
type UnbanOrder struct {
	Prefixes []netip.Prefix
	All      bool // then there are no prefixes
}

// BanResult says what became of an order.
type BanResult struct {
	Bans    []Ban     `json:"bans"` // as they stand now; of an unban those that ended; empty for never-list entries without a ban
	Refused []Refusal `json:"refused"`
	Note    string    `json:"note,omitempty"` // what whoever asked should know
}

// Refusal says why one address was left as it is.
type Refusal struct {
	Address string `json:"address"`
	Text    string `json:"text"`
}

// Ban is one ban, with the keys of `bans -o json`.
type Ban struct {
	Address string     `json:"address"` // bare, or a prefix
	Table   string     `json:"table"`
	Jail    string     `json:"jail"` // "" = by hand
	Proven  bool       `json:"proven"`
	Since   time.Time  `json:"since"`
	Until   *time.Time `json:"until"` // null = for ever
	Step    int        `json:"step"`  // on the ladder, from 1; 0 = none
	Reason  string     `json:"reason"`
	Packets uint64     `json:"packets"` // blocked for it so far
	Bytes   uint64     `json:"bytes"`
	LastHit *time.Time `json:"last_hit"` // null = never
	// Observed is a ban that would have been made: the daemon only observes, and PF never learns of it.
	Observed bool `json:"observed,omitempty"`
}

// PastBan is a ban that may have ended.
type PastBan struct {
	Ban
	State   string     `json:"state"` // intended, active, leaving, ended
	Ended   *time.Time `json:"ended"`
	EndWhy  string     `json:"end_why,omitempty"`
	By      string     `json:"by"`
	EndedBy string     `json:"ended_by,omitempty"`
	Verdict *Verdict   `json:"verdict"` // what led to it; null = none: made by hand, imported, found in PF
}

// Verdict is what the detector decided, with all that is kept of why.
type Verdict struct {
	Score    float64    `json:"score"` // judged at 1
	Failures int        `json:"failures"`
	Shares   []Share    `json:"shares"`         // of the jails, the largest first
	Gates    []Gate     `json:"gates"`          // that were asked
	Evidence []Evidence `json:"evidence"`       // oldest first
	Lost     string     `json:"lost,omitempty"` // why a part of it could not be kept
}

// Status says how the daemon is.
type Status struct {
	Version string         `json:"version"`
	PID     int            `json:"pid"`
	Started time.Time      `json:"started"`
	Now     time.Time      `json:"now"`
	Config  string         `json:"config"` // "" = defaults only
	Backend string         `json:"backend"`
	Observe bool           `json:"observe"`
	Paused  *Pause         `json:"paused"` // null = not paused
	Sources []SourceStatus `json:"sources"`
	Jails   []JailStatus   `json:"jails"`
	Tables  []TableStatus  `json:"tables"`
	Health  []HealthItem   `json:"health"`
	Guesses []Guess        `json:"guessing,omitempty"` // distributed guessing of the last 24 hours, the widest first
	Bans    []Ban          `json:"bans,omitempty"`     // of the jail asked for
}

// Pause says since when banning is suspended.
type Pause struct {
	Since   time.Time `json:"since"`
	By      string    `json:"by"`
	Flushed bool      `json:"flushed"`
}

// SourceStatus is one source of records.
type SourceStatus struct {
	Name     string     `json:"name"` // interface or path
	Kind     string     `json:"kind"` // pflog or log
	State    string     `json:"state"`
	OK       bool       `json:"ok"`
	Records  uint64     `json:"records"`
	Rejected uint64     `json:"rejected"`
	Dropped  uint64     `json:"dropped"`
	Last     *time.Time `json:"last"` // of the last record's own clock; null = none yet
}

// JailStatus is one jail.
type JailStatus struct {
	Name         string   `json:"name"`
	Filter       string   `json:"filter,omitempty"`
	Logs         []string `json:"logs,omitempty"`
	Threshold    float64  `json:"threshold"`
	Window       string   `json:"window"`       // findtime, or half-life of a door
	Observations uint64   `json:"observations"` // since the start
	Verdicts     uint64   `json:"verdicts"`
	Bans         int      `json:"bans"`       // in force
	BansTotal    uint64   `json:"bans_total"` // made since the start
}

// TableStatus is one table of our anchor.
type TableStatus struct {
	Name      string `json:"name"`
	Addresses int    `json:"addresses"`
	Packets   uint64 `json:"packets"` // blocked
	Bytes     uint64 `json:"bytes"`
}

// Guess is one case of distributed guessing: many addresses that try one user name, or that are of one prefix.
type Guess struct {
	User      string    `json:"user,omitempty"`
	Prefix    string    `json:"prefix,omitempty"`
	Addresses int       `json:"addresses"` // estimated
	Failures  int       `json:"failures"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
}

// HealthItem is one thing that should be so, and whether it is.
type HealthItem struct {
	Name   string `json:"item"`
	OK     bool   `json:"ok"`
	Text   string `json:"text,omitempty"`
	Remedy string `json:"remedy,omitempty"` // what the administrator should do
}

// NeverEntry is one entry of the never-list.
type NeverEntry struct {
	Address string   `json:"address"`
	Origins []string `json:"origins"` // "configuration", "never add", "own address" …
}

// Explanation tells all that is known of one address or prefix.
type Explanation struct {
	Address  string     `json:"address"`
	Source   string     `json:"source,omitempty"` // the prefix that counts as one source with it; "" = it alone
	Now      time.Time  `json:"now"`
	Saved    *time.Time `json:"saved,omitempty"` // no daemon runs: its ledger tells this, suspicion as of then
	Story    []string   `json:"story"`           // sentences, as a person would tell it
	Never    []string   `json:"never"`           // why it is never banned; empty = it may be
	Score    float64    `json:"score"`           // suspicion now; judged at 1
	Shares   []Share    `json:"shares"`
	Gates    []Gate     `json:"gates"`              // as a verdict on spoofable evidence meets them
	Labels   []string   `json:"labels,omitempty"`   // what else the packets tell: udp_scan, victim, ttl_spread, tool_mark, company, flood
	Suspect  int        `json:"suspect,omitempty"`  // how often it was a suspect in the last 24 hours
	Evidence []Evidence `json:"evidence"`           // every observation kept, oldest first
	Spent    bool       `json:"spent,omitempty"`    // the evidence has led to its newest ban, and counts no more
	Guesses  []Guess    `json:"guessing,omitempty"` // distributed guessing that it takes part in
	Bans     []PastBan  `json:"bans"`               // newest first
}

// Share is what one jail adds to the suspicion.
type Share struct {
	Jail     string  `json:"jail"`
	Fraction float64 `json:"fraction"` // of its threshold
	Proven   bool    `json:"proven"`
}

// Gate is one gate's answer.
type Gate struct {
	Gate    string `json:"gate"`
	Stopped bool   `json:"stopped"`
	Text    string `json:"text"`
}

// Evidence is one observation that was kept.
type Evidence struct {
	Time   time.Time `json:"time"`
	Jail   string    `json:"jail"`
	Kind   string    `json:"kind"`
	Target string    `json:"target,omitempty"` // address and port
	Proven bool      `json:"proven"`
	Text   string    `json:"text,omitempty"`
	User   string    `json:"user,omitempty"`
}

// PFView is what pfctl's show commands tell of us.
type PFView struct {
	Backend   string        `json:"backend"`
	Filtering bool          `json:"filtering"` // packets of banned addresses are really being blocked
	Words     []string      `json:"words"`     // the same in words, with what is missing
	Enabled   bool          `json:"enabled"`
	Since     string        `json:"since,omitempty"` // as pfctl -si says
	Anchor    string        `json:"anchor"`
	Called    bool          `json:"called"` // from the main ruleset
	Main      []string      `json:"main"`   // main ruleset, anchors inline
	Anchors   []string      `json:"anchors"`
	Rules     []string      `json:"rules"` // of our anchor
	Tables    []TableStatus `json:"tables"`
	Addresses []PFAddress   `json:"addresses"`
	Limits    []PFLimit     `json:"limits"`
	Problems  []HealthItem  `json:"problems"`
}

// PFAddress is one address of a table with PF's counters.
type PFAddress struct {
	Table      string     `json:"table"`
	Address    string     `json:"address"`
	Cleared    *time.Time `json:"cleared"`
	InBlock    Counter    `json:"in_block"`
	InPass     Counter    `json:"in_pass"`
	OutBlock   Counter    `json:"out_block"`
	OutPass    Counter    `json:"out_pass"`
	NoCounters bool       `json:"no_counters,omitempty"`
}

// Counter counts packets and their bytes.
type Counter struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// PFLimit is one of PF's hard limits.
type PFLimit struct {
	Name  string `json:"name"`
	Value uint64 `json:"value"`
}
