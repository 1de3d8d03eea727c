package report

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Label says what a source in labelled traffic is.
type Label struct {
	Address     netip.Addr
	Class       string
	Want        bool // it should be banned
	First, Last time.Time
}

const (
	maxLabels    = 10_000_000
	labelsHeader = "address,class,want,first,last"
)

// ReadLabels reads labels.csv: header address,class,want,first,last; an address, or the prefix of an IPv6 source as verdicts name it; want 1 or 0; times
// RFC 3339. The error names the line.
func ReadLabels(r io.Reader) ([]Label, error) {
	rows := csv.NewReader(r)
	rows.FieldsPerRecord = 5
	rows.ReuseRecord = true
	header, err := rows.Read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("labels: the file is empty, expected the header %s", labelsHeader)
	case err != nil:
		return nil, fmt.Errorf("labels: reading the header: %w", err)
	}
	if got := strings.TrimPrefix(strings.Join(header, ","), "\ufeff"); got != labelsHeader {
		return nil, fmt.Errorf("labels: header %q, expected %s", got, labelsHeader)
	}
	var labels []Label
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return labels, nil
		}
		if err != nil {
			return nil, fmt.Errorf("labels: %w", err)
		}
		line, _ := rows.FieldPos(0)
		l, err := label(row)
		if err != nil {
			return nil, fmt.Errorf("labels: line %d: %w", line, err)
		}
		if len(labels) == maxLabels {
			return nil, fmt.Errorf("labels: more than %d", maxLabels)
		}
		labels = append(labels, l)
	}
}

func label(row []string) (l Label, err error) {
	if l.Address, err = labelAddress(row[0]); err != nil {
		return l, err
	}
	if l.Class = strings.Clone(row[1]); l.Class == "" {
		return l, errors.New("class is empty")
	}
	switch row[2] {
	case "1", "0":
		l.Want = row[2] == "1"
	default:
		return l, fmt.Errorf("want is %q, expected 1 or 0", row[2])
	}
	for i, t := range []*time.Time{&l.First, &l.Last} {
		if row[3+i] == "" {
			continue
		}
		if *t, err = time.Parse(time.RFC3339Nano, row[3+i]); err != nil {
			return l, fmt.Errorf("%s is %q, expected a time such as 2026-10-01T00:00:00Z", [...]string{"first", "last"}[i], row[3+i])
		}
	}
	return l, nil
}

// labelAddress reads an address, or a prefix that lies within one source: the /64 of an IPv6 one.
func labelAddress(s string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().WithZone(""), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Addr{}, fmt.Errorf("address is %q, expected one such as 192.0.2.7 or 2001:db8::7", s)
	case !p.IsSingleIP() && (p.Addr().Unmap().Is4() || p.Bits() < 64):
		return netip.Addr{}, fmt.Errorf("address is the prefix %s, expected one source: an address, or the /64 of an IPv6 one", p)
	}
	return p.Masked().Addr().Unmap(), nil
}

// Score is how a class of sources fared.
type Score struct {
	Event   string  `json:"event"` // "score"
	Class   string  `json:"class"`
	Want    bool    `json:"want"`
	Sources int     `json:"sources"`
	Banned  int     `json:"banned"`
	Recall  float64 `json:"recall"` // banned of sources; of a class that is not wanted, its harm
	// Medians over the banned sources: from the label's first time to the ban, and records of the source (of IPv6, its /64) until then.
	MedianSeconds    float64 `json:"median_seconds_to_ban"`
	PacketsBeforeBan uint64  `json:"packets_before_ban"`
}

// marked is a labelled source as it fares.
type marked struct {
	Label
	records uint64 // until its first ban
	banned  bool
	at      time.Time
}

// scorer follows labelled sources.
type scorer struct {
	list   []*marked
	byAddr map[netip.Addr][]*marked
	byNet  map[netip.Prefix][]*marked // IPv6: a source is a /64
}

func newScorer(labels []Label) *scorer {
	s := &scorer{byAddr: make(map[netip.Addr][]*marked, len(labels)), byNet: make(map[netip.Prefix][]*marked)}
	for _, l := range labels {
		m := &marked{Label: l}
		s.list = append(s.list, m)
		s.byAddr[l.Address] = append(s.byAddr[l.Address], m)
		if l.Address.Is6() {
			net := net64(l.Address)
			s.byNet[net] = append(s.byNet[net], m)
		}
	}
	return s
}

func net64(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a.WithZone(""), 64).Masked() }

func (s *scorer) record(a netip.Addr) {
	marked := s.byAddr[a]
	if a.Is6() && len(s.byNet) > 0 {
		marked = s.byNet[net64(a)]
	}
	for _, m := range marked {
		if !m.banned {
			m.records++
		}
	}
}

func (s *scorer) ban(p netip.Prefix, at time.Time) {
	if p.IsSingleIP() {
		for _, m := range s.byAddr[p.Addr()] {
			m.ban(at)
		}
		return
	}
	for _, m := range s.list {
		if p.Contains(m.Address) {
			m.ban(at)
		}
	}
}

func (m *marked) ban(at time.Time) {
	if !m.banned {
		m.banned, m.at = true, at
	}
}

// scores sums up by class, wanted ones first, each by name.
func (s *scorer) scores() []Score {
	type class struct {
		Score
		seconds []float64
		records []uint64
	}
	classes := make(map[string]*class)
	for _, m := range s.list {
		key := fmt.Sprint(m.Want, m.Class)
		c := classes[key]
		if c == nil {
			c = &class{Score: Score{Event: "score", Class: m.Class, Want: m.Want}}
			classes[key] = c
		}
		c.Sources++
		if m.banned {
			c.Banned++
			if !m.First.IsZero() {
				c.seconds = append(c.seconds, max(0, m.at.Sub(m.First).Seconds()))
			}
			c.records = append(c.records, m.records)
		}
	}
	var all []Score
	for _, c := range classes {
		c.Recall = float64(c.Banned) / float64(c.Sources)
		if c.Banned > 0 {
			slices.Sort(c.seconds)
			slices.Sort(c.records)
			if n := len(c.seconds); n > 0 {
				c.MedianSeconds = (c.seconds[(n-1)/2] + c.seconds[n/2]) / 2
			}
			c.PacketsBeforeBan = c.records[c.Banned/2]
		}
		all = append(all, c.Score)
	}
	slices.SortFunc(all, func(a, b Score) int {
		if a.Want != b.Want {
			if a.Want {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Class, b.Class)
	})
	return all
}
