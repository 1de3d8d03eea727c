package report

import (
	"encoding/json"
	"io"
	"time"

	"pfwarden/internal/warden"
)

// banEvent and unbanEvent are lines of `replay -o json`.
type banEvent struct {
	Event   string             `json:"event"`
	Time    time.Time          `json:"time"`
	Address string             `json:"address"`
	Table   string             `json:"table"`
	Proven  bool               `json:"proven"`
	Until   *time.Time         `json:"until"`
	Jails   map[string]float64 `json:"jails"`
	Reasons []string           `json:"reasons"`
}

type unbanEvent struct {
	Event   string    `json:"event"`
	Time    time.Time `json:"time"`
	Address string    `json:"address"`
	Table   string    `json:"table"`
	Why     string    `json:"why"`
}

// JSON writes the events of a replay as JSON Lines while they happen. Its first error stays; Err returns it.
type JSON struct {
	w   *json.Encoder
	err error
}

// NewJSON returns a writer to w, which the caller buffers and flushes.
func NewJSON(w io.Writer) *JSON {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return &JSON{w: e}
}

// Event writes bans and unbans; the other kinds have no line of their own.
func (j *JSON) Event(e warden.Event) {
	switch e.Kind {
	case warden.EventBan:
		line := banEvent{
			Event: "ban", Time: e.Time.UTC(), Address: address(&e.Ban), Table: e.Ban.Table, Proven: e.Ban.Proven, Until: utc(e.Ban.Until),
			Jails: make(map[string]float64), Reasons: e.Ban.Reasons,
		}
		for _, s := range e.Ban.Story.Shares {
			line.Jails[s.Jail] = s.Fraction
		}
		if line.Reasons == nil {
			line.Reasons = []string{}
		}
		j.write(line)
	case warden.EventUnban:
		j.write(unbanEvent{"unban", e.Time.UTC(), address(&e.Ban), e.Ban.Table, e.Why})
	}
}

// guessEvent is one case of distributed guessing.
type guessEvent struct {
	Event     string    `json:"event"`
	User      *string   `json:"user"`
	Prefix    *string   `json:"prefix"`
	Addresses int       `json:"addresses"`
	Failures  int       `json:"failures"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
}

// scanEvent is one scan that alone bans nobody.
type scanEvent struct {
	Event   string    `json:"event"`
	Address string    `json:"address"`
	Scan    string    `json:"scan"`
	Targets uint64    `json:"targets"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

// End writes scans that alone ban nobody, the cases of distributed guessing, the scores and the summary.
func (j *JSON) End(r *Report) {
	for _, s := range r.Scans {
		j.write(scanEvent{"scan", prefixName(s.Source), s.Kind, s.Targets, s.First.UTC(), s.Last.UTC()})
	}
	for _, g := range r.Guesses {
		line := guessEvent{Event: "guessing", Addresses: g.Addresses, Failures: g.Failures, First: g.First.UTC(), Last: g.Last.UTC()}
		if g.User != "" {
			line.User = &g.User
		} else {
			p := g.Prefix.String()
			line.Prefix = &p
		}
		j.write(line)
	}
	for i := range r.Scores {
		j.write(r.Scores[i])
	}
	j.write(r.Summary)
}

// Err returns the first error in writing.
func (j *JSON) Err() error { return j.err }

func (j *JSON) write(line any) {
	if j.err == nil {
		j.err = j.w.Encode(line)
	}
}
