package pftest

import (
	"fmt"
	"slices"
)

// Profile says in what one system's PF and pfctl(8) differ from another's. The sources are pfctl_table.c, pfctl.c and pf_table.c
// of each system and recorded sessions.
type Profile struct {
	Name string

	OpenBSD bool // OpenBSD's own pfctl, else one of FreeBSD's or older line
	Dot     bool // "Table does not exist." with a full stop
	AtSign  bool // -s Tables prints name@anchor, else name<TAB>anchor when verbose

	CountersWord   bool // the grammar knows "counters"
	CountersAlways bool // entries have counters without being asked
	CountersLazy   bool // an entry gets its counters at its first packet; before it prints no counter lines
	CountersFreed  bool // a load without "counters" frees them; else they are hidden (FreeBSD 12) or stay (OpenBSD)
	MatchLines     bool // counters of match rules: In/Match, Out/Match
	MatchRules     bool // the grammar knows match rules

	ReverseAdd     bool // add with feedback works through its list backwards
	CreatesRevived bool // "1 table created." also for a table that was killed but is still referenced
	WarnAlways     bool // warns of a table name used elsewhere at every add, replace and load
	ZeroAddresses  bool // -T zero takes addresses
	Reset          bool // -T reset exists
	Weights        bool // "weight N" after an address
	FinalNewline   bool // a rules file must end in a newline
	LateRuleFree   bool // tables of replaced rules stay referenced until the purge thread has run
	AnchorsDeep    bool // -s Anchors lists all levels, not only the next
	Recursion      bool // -a 'name/*' clears all anchors below, and shows them as they are nested
	LimitBusy      bool // a limit below what is in use is refused
	NewAdds        bool // add makes entries of all its addresses before it looks which are new

	RequestMax  int  // addresses in one ioctl (net.pf.request_maxcount); 0: no cap
	BlockAtMax  bool // -T add beyond the limit of table entries sleeps until there is room
	NetlinkAdds int  // adds and deletes travel in messages of so many addresses, each complete by itself; 0: one ioctl

	AltqNoise  bool // -v prints two lines about ALTQ on standard error
	AltqAlways bool // and so does every run
	FlushNoise bool // -f prints a warning on standard error
	KeepState  bool // -s rules prints "keep state" for the default
	PortNames  bool // -s rules prints service names for ports

	EnforceTables bool // the default limit of table entries counts, else only one that was set
	Limits        []Limit
}

// Limit is a line of -s memory.
type Limit struct {
	Name string
	Max  int
}

// Profiles lists the names that ProfileByName knows.
func Profiles() []string {
	return []string{"openbsd", "openbsd-old", "freebsd12", "freebsd15", "netbsd", "macos"}
}

// ProfileByName returns the profile of a system. An empty name is openbsd.
func ProfileByName(name string) (Profile, error) {
	small := []Limit{{"states", 10000}, {"src-nodes", 10000}, {"frags", 5000}, {"table-entries", 200000}}
	switch name {
	case "", "openbsd":
		return Profile{
			Name: "openbsd", OpenBSD: true, AtSign: true,
			CountersWord: true, CountersLazy: true, MatchLines: true, MatchRules: true,
			ReverseAdd: true, WarnAlways: true, ZeroAddresses: true, Weights: true, AnchorsDeep: true,
			BlockAtMax: true, Recursion: true, LimitBusy: true, NewAdds: true,
			Limits: []Limit{{"states", 100000}, {"src-nodes", 10000}, {"frags", 65536}, {"tables", 1000},
				{"table-entries", 200000}, {"pktdelay-pkts", 10000}, {"anchors", 512}},
		}, nil
	case "openbsd-old":
		return Profile{
			Name: "openbsd-old", OpenBSD: true, Dot: true,
			CountersWord: true, CountersLazy: true, MatchLines: true, MatchRules: true,
			CreatesRevived: true, ZeroAddresses: true, Weights: true, AnchorsDeep: true, BlockAtMax: true, Recursion: true, LimitBusy: true,
			Limits: []Limit{{"states", 100000}, {"src-nodes", 10000}, {"frags", 65536}, {"tables", 1000},
				{"table-entries", 200000}, {"pktdelay-pkts", 10000}},
		}, nil
	case "freebsd12":
		return Profile{
			Name: "freebsd12", Dot: true, CountersWord: true,
			CreatesRevived: true, FinalNewline: true, LateRuleFree: true,
			RequestMax: 65535, AltqNoise: true, KeepState: true, PortNames: true, EnforceTables: true,
			Limits: slices.Concat([]Limit{{"states", 100000}}, small[1:]),
		}, nil
	case "freebsd15":
		return Profile{
			Name: "freebsd15", Dot: true, CountersWord: true, CountersFreed: true,
			CreatesRevived: true, WarnAlways: true, ZeroAddresses: true, Reset: true, LateRuleFree: true, Recursion: true, MatchRules: true,
			RequestMax: 65535, NetlinkAdds: 256, AltqNoise: true, KeepState: true, PortNames: true, EnforceTables: true,
			Limits: []Limit{{"states", 100000}, {"src-nodes", 10000}, {"frags", 5000}, {"table-entries", 200000}, {"anchors", 512}},
		}, nil
	case "netbsd":
		return Profile{
			Name: "netbsd", Dot: true, CountersAlways: true, CreatesRevived: true, FinalNewline: true,
			KeepState: true, PortNames: true, EnforceTables: true, Limits: small,
		}, nil
	case "macos":
		return Profile{
			Name: "macos", Dot: true, CountersAlways: true, CreatesRevived: true, FinalNewline: true,
			AltqNoise: true, AltqAlways: true, FlushNoise: true,
			KeepState: true, PortNames: true, EnforceTables: true, Limits: small,
		}, nil
	}
	return Profile{}, fmt.Errorf("profile %q is not known; known are %v", name, Profiles())
}

// dot ends a message of the system's pfr_strerror.
func (p Profile) dot(s string) string {
	if p.Dot {
		return s + "."
	}
	return s
}
