package detect

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// The lines of a verdict log.
type (
	verdictLine struct {
		Event    string         `json:"event"` // "verdict"
		Time     time.Time      `json:"time"`
		Address  string         `json:"address"`
		Jail     string         `json:"jail"`
		Score    float64        `json:"score"`
		Proven   bool           `json:"proven"`
		Stopped  bool           `json:"stopped"`
		Failures int            `json:"failures"`
		Shares   []shareLine    `json:"shares"`
		Gates    []gateLine     `json:"gates"`
		Reasons  []string       `json:"reasons"`
		Evidence []evidenceLine `json:"evidence"`
	}
	shareLine struct {
		Jail     string  `json:"jail"`
		Fraction float64 `json:"fraction"`
		Proven   bool    `json:"proven"`
	}
	gateLine struct {
		Gate    string `json:"gate"`
		Stopped bool   `json:"stopped"`
		Text    string `json:"text"`
	}
	evidenceLine struct {
		Time   time.Time `json:"time"`
		Jail   string    `json:"jail"`
		Kind   string    `json:"kind"`
		Target string    `json:"target,omitempty"` // address, address:port, and the protocol's number
		Proven bool      `json:"proven"`
		Text   string    `json:"text,omitempty"`
		User   string    `json:"user,omitempty"`
	}
)

// AppendJSON appends the verdict as one line of a verdict log: a JSON object with everything that the verdict says, and a newline. The same
// verdict gives the same bytes.
func (v *Verdict) AppendJSON(dst []byte) []byte {
	l := verdictLine{
		Event: "verdict", Time: v.Time.UTC(), Address: v.ID, Jail: v.Jail, Score: v.Score, Proven: v.Proven, Stopped: v.Stopped, Failures: v.Failures,
		Shares: []shareLine{}, Gates: []gateLine{}, Reasons: v.Reasons, Evidence: []evidenceLine{},
	}
	if v.ID == "" {
		l.Address = v.Source.String()
		if v.Source.IsSingleIP() {
			l.Address = v.Source.Addr().String()
		}
	}
	if l.Reasons == nil {
		l.Reasons = []string{}
	}
	for _, s := range v.Shares {
		l.Shares = append(l.Shares, shareLine(s))
	}
	for _, g := range v.Gates {
		l.Gates = append(l.Gates, gateLine(g))
	}
	for i := range v.Evidence {
		e := &v.Evidence[i]
		l.Evidence = append(l.Evidence, evidenceLine{
			Time: e.Time.UTC(), Jail: e.Jail, Kind: e.Kind.String(), Target: e.Target.text(), Proven: e.Proven, Text: e.Text, User: e.User,
		})
	}
	b, err := json.Marshal(&l)
	if err != nil { // a score that is no number, or a year beyond 9999
		b = fmt.Appendf(nil, `{"event":"verdict","address":%q,"error":%q}`, l.Address, err.Error())
	}
	return append(append(dst, b...), '\n')
}

func (t *Target) text() string {
	switch {
	case !t.Address.IsValid():
		return ""
	case t.Port == 0:
		return t.Address.String() + "/" + strconv.Itoa(int(t.Protocol))
	}
	return netip.AddrPortFrom(t.Address, t.Port).String() + "/" + strconv.Itoa(int(t.Protocol))
}
