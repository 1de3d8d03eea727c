package report

import (
	"cmp"
	"hash/maphash"
	"net/netip"
	"slices"
	"time"

	"pfwarden/detect"
)

const (
	scanTargets = 8    // different targets that make a scan of what counts a quarter of a door each: with more the detector adds no more
	scansMost   = 1000 // scans that a report lists at most
)

// Scan is a source that asked for many UDP ports, or many addresses by echo request: a scan that alone bans nobody, since anybody can forge it.
type Scan struct {
	Source  netip.Prefix // an address, or the /64 of an IPv6 one
	Kind    string       // "udp_scan" or "echo_sweep"
	Targets uint64       // different ones
	First   time.Time
	Last    time.Time
}

type scanKey struct {
	source netip.Prefix
	kind   detect.Kind
}

// scans counts the different targets of each such source within a bound.
type scans struct {
	seed    maphash.Seed
	known   map[uint64]struct{} // sources with targets, hashed
	sources map[scanKey]*Scan
	limit   int
	full    bool // with scans: no other source is taken on
}

func newScans(limit int) *scans {
	return &scans{seed: maphash.MakeSeed(), known: make(map[uint64]struct{}), sources: make(map[scanKey]*Scan), limit: limit}
}

func (s *scans) add(o *detect.Observation) {
	if o.Kind != detect.UDPProbe && o.Kind != detect.Sweep {
		return
	}
	bits := o.Source.BitLen()
	if o.Source.Is6() {
		bits = 64
	}
	source, err := o.Source.Prefix(bits)
	if err != nil {
		return
	}
	k := scanKey{source, o.Kind}
	x := s.sources[k]
	if x == nil {
		if s.full || len(s.sources) >= s.limit && !s.makeRoom() {
			return
		}
		x = &Scan{Source: source, Kind: "udp_scan", First: o.Time, Last: o.Time}
		if o.Kind == detect.Sweep {
			x.Kind = "echo_sweep"
		}
		s.sources[k] = x
	}
	if o.Time.Before(x.First) {
		x.First = o.Time
	}
	if o.Time.After(x.Last) {
		x.Last = o.Time
	}
	pair := maphash.Comparable(s.seed, struct {
		k scanKey
		t detect.Target
	}{k, o.Target})
	if _, again := s.known[pair]; again {
		return
	}
	if len(s.known) >= s.limit {
		clear(s.known) // from here on a target may be counted once more
	}
	s.known[pair] = struct{}{}
	x.Targets++
}

// makeRoom forgets those who asked for little so far, or answers false for ever.
func (s *scans) makeRoom() bool {
	for k, x := range s.sources {
		if x.Targets < scanTargets {
			delete(s.sources, k)
		}
	}
	s.full = len(s.sources) > s.limit/2
	return !s.full
}

// list gives the scans, the widest first.
func (s *scans) list() []Scan {
	var all []Scan
	for _, x := range s.sources {
		if x.Targets >= scanTargets {
			all = append(all, *x)
		}
	}
	slices.SortFunc(all, func(a, b Scan) int {
		return cmp.Or(cmp.Compare(b.Targets, a.Targets), a.Source.Addr().Compare(b.Source.Addr()), cmp.Compare(a.Kind, b.Kind))
	})
	return all[:min(len(all), scansMost)]
}

// scanRows ranks them for people.
func scanRows(list []Scan) []Row {
	var rows []Row
	for _, x := range list[:min(len(list), topRows)] {
		what := ", UDP ports"
		if x.Kind == "echo_sweep" {
			what = ", echo requests"
		}
		rows = append(rows, Row{Name: prefixName(x.Source) + what, Count: x.Targets})
	}
	return rows
}

func prefixName(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}
