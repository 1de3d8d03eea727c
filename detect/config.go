package detect

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"
)

// Strategy is how a log jail counts failures.
type Strategy uint8

// The strategies.
const (
	// Window judges at Threshold failures within a sliding window of Findtime.
	Window Strategy = iota
	// Fail2ban counts as fail2ban does: once Findtime is over, old failures are kept in proportion to the observed rate, see rate.go.
	Fail2ban
)

// JailConfig configures one log jail.
type JailConfig struct {
	Name      string
	Strategy  Strategy
	Threshold int           // failures; fail2ban's maxretry
	Findtime  time.Duration // how long a failure counts; fail2ban's findtime

	// Combine adds the jail's fraction to the suspicion from other jails. Always off for Strategy Fail2ban.
	Combine bool
	// BypassGates asks no gate but the never-list. Set for jails taken from fail2ban.
	BypassGates bool

	Prefix4, Prefix6 int // length of the prefix that counts as one source; 0 = 32 and 64, for Strategy Fail2ban always 32 and 128
	KeepMatches      int // observations kept as evidence; 0 = 10

	// Increment makes failures of sources that were banned before weigh more, as fail2ban's bantime.increment does (Strategy Fail2ban only).
	Increment bool
	// KeepStale never drops entries whose last failure is older than Findtime but thins them by rate (Strategy Fail2ban only). fail2ban drops
	// them in a clean-up that runs on a timer, so that which of the two happens depends on how busy it is; a running fail2ban drops nearly always.
	KeepStale bool
}

// PortscanConfig configures the packet jail.
type PortscanConfig struct {
	Disabled  bool
	Name      string        // "" = "portscan"
	Threshold float64       // doors; 0 = 7, at most MaxDoors
	HalfLife  time.Duration // in which a door's weight halves; 0 = 24 h
	TrapPorts []uint16      // nil = DefaultTrapPorts
	Addresses int           // how many addresses the gateway protects: below 4, knocking on a known trap port again in a later hour counts half a door; 0 = learn it from the packets

	NoCombine        bool // do not add the jail's fraction to the suspicion from other jails
	Prefix4, Prefix6 int  // length of the prefix that counts as one source; 0 = 32 and 64
	Slots            int  // sources in the table of slots, rounded up to a power of two; 0 = 2^18
	Doorkeeper       int  // bytes of each of the doorkeeper's two generations, rounded up to a power of two; 0 = 16 MiB
}

// MaxDoors is the largest threshold of portscan.
const MaxDoors = 12

// PrefixConfig configures verdicts on whole prefixes, which rest on proven evidence alone.
type PrefixConfig struct {
	Enabled bool
	Members int           // proven members with a verdict that judge the prefix; 0 = 12
	Window  time.Duration // within which; 0 = 6 h
	Bits4   int           // length of an IPv4 prefix; 0 = 24
	Bits6   int           // length of an IPv6 prefix; 0 = 48
}

// GuessConfig configures what is done about guessing below a jail's threshold: distributed, by many addresses of one prefix or many that try one
// user name, and slow, by one source that tries many user names.
type GuessConfig struct {
	Act       bool          // in jails that combine, failures of sources that take part in distributed guessing weigh more; else it is only reported
	Addresses int           // addresses that make a case; 0 = 12
	Failures  int           // and failures that they need; 0 = 24
	Window    time.Duration // within which, from the first on; 0 = 6 h
	Weight    int           // with Act, what a failure of those who take part weighs; 0 = 2

	Names       int           // user names that judge one source, in each jail that combines; 0 = slow guessing is not looked for; half of them in distributed guessing of names nobody has
	NamesWindow time.Duration // within which; 0 = 24 h
	TrapNames   []string      // names that count a half each time they are tried again; nil = DefaultTrapNames
}

// Never is the never-list. If it also implements OverlapsPrefix(netip.Prefix) bool, as bart.Lite does, that is asked about prefixes.
type Never interface {
	Contains(netip.Addr) bool
}

// Limits bound the tables other than portscan's slots. A zero means the default, which stands last in each comment.
type Limits struct {
	Sources       int // sources with failures in log jails; 65536
	EvidenceBytes int // text kept as evidence, all sources together; 8 MiB
	CountBytes    int // failures being counted, all sources together; 16 MiB
	Contacts      int // addresses that our side talked to, rounded up to a power of two; 2^18
	Bans          int // bans in force and past ones that are remembered; 65536
	Trails        int // sources whose latest targets are kept for explanations, rounded up to a power of two; 2^13
	Companies     int // prefixes watched for companies, rounded up to a power of two; 2^12
}

// Config is everything that a Detector is told at its start.
type Config struct {
	Seed     uint64 // of the hash tables; secret, since whoever knows it can choose sources that collide
	Jails    []JailConfig
	Portscan PortscanConfig
	Prefix   PrefixConfig
	Guess    GuessConfig
	Never    Never        // nil = empty
	Own      []netip.Addr // our own addresses
	Limits   Limits
}

// DefaultTrapPorts lists ports that only scanners try from outside.
func DefaultTrapPorts() []uint16 {
	return []uint16{
		23, 135, 139, 445, 1433, 2323, 3306, 3389, 5555, 6379, 7547, 8291, 37215, 52869,
	}
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// faults collects what is wrong with a configuration.
type faults []error

func (f *faults) add(format string, a ...any) { *f = append(*f, fmt.Errorf(format, a...)) }

// addBits reports lengths of prefixes that are out of range.
func (f *faults) addBits(of string, bits4, bits6 int) {
	if bits4 < 8 || bits4 > 32 || bits6 < 16 || bits6 > 128 {
		f.add("%s: prefix lengths %d and %d, expected 8 to 32 for IPv4 and 16 to 128 for IPv6", of, bits4, bits6)
	}
}

// fill sets defaults, in a list of jails of its own, and returns all faults joined.
func (c *Config) fill() error {
	var f faults
	c.Portscan.fill(&f)
	seen := map[string]bool{c.Portscan.Name: true}
	c.Jails = slices.Clone(c.Jails)
	for i := range c.Jails {
		j := &c.Jails[i]
		if j.Name == "" {
			f.add("jail %d has no name", i)
		}
		if seen[j.Name] {
			f.add("jail %s is there twice", j.Name)
		}
		seen[j.Name] = true
		j.fill(&f)
	}
	c.Prefix.fill(&f)
	c.Guess.fill(&f)
	c.Limits.fill(&f)
	return errors.Join(f...)
}

func (p *PortscanConfig) fill(f *faults) {
	setDefault(&p.Name, "portscan")
	setDefault(&p.Threshold, 7)
	setDefault(&p.HalfLife, 24*time.Hour)
	setDefault(&p.Prefix4, 32)
	setDefault(&p.Prefix6, 64)
	setDefault(&p.Slots, 1<<18)
	setDefault(&p.Doorkeeper, 16<<20)
	if p.TrapPorts == nil {
		p.TrapPorts = DefaultTrapPorts()
	}
	if !(p.Threshold >= 1 && p.Threshold <= MaxDoors) {
		f.add("jail %s: threshold is %v, expected 1 to %d doors", p.Name, p.Threshold, MaxDoors)
	}
	if p.HalfLife < time.Second {
		f.add("jail %s: half-life is %v, expected at least 1s", p.Name, p.HalfLife)
	}
	if p.Slots < 0 || p.Slots > 1<<26 {
		f.add("jail %s: %d slots, expected 1 to 2^26", p.Name, p.Slots)
	}
	if p.Doorkeeper < 0 || p.Doorkeeper > 1<<30 {
		f.add("jail %s: doorkeeper of %d bytes, expected at most 2^30", p.Name, p.Doorkeeper)
	}
	f.addBits("jail "+p.Name, p.Prefix4, p.Prefix6)
}

func (j *JailConfig) fill(f *faults) {
	if j.Threshold < 1 || j.Threshold > math.MaxInt32 {
		f.add("jail %s: threshold is %d, expected 1 or more failures", j.Name, j.Threshold)
	}
	if j.Findtime <= 0 {
		f.add("jail %s: findtime is %v, expected more than 0", j.Name, j.Findtime)
	}
	setDefault(&j.KeepMatches, 10)
	switch j.Strategy {
	case Window:
		setDefault(&j.Prefix4, 32)
		setDefault(&j.Prefix6, 64)
	case Fail2ban:
		j.Prefix4, j.Prefix6, j.Combine = 32, 128, false
	default:
		f.add("jail %s: unknown strategy %d", j.Name, j.Strategy)
	}
	f.addBits("jail "+j.Name, j.Prefix4, j.Prefix6)
}

func (p *PrefixConfig) fill(f *faults) {
	setDefault(&p.Members, 12)
	setDefault(&p.Window, 6*time.Hour)
	setDefault(&p.Bits4, 24)
	setDefault(&p.Bits6, 48)
	if p.Members < 2 || p.Members > maxMembers || p.Window <= 0 {
		f.add("prefix: %d members within %v, expected 2 to %d and a window above 0", p.Members, p.Window, maxMembers)
	}
	f.addBits("prefix", p.Bits4, p.Bits6)
}

func (g *GuessConfig) fill(f *faults) {
	setDefault(&g.Addresses, 12)
	setDefault(&g.Failures, 24)
	setDefault(&g.Window, 6*time.Hour)
	setDefault(&g.Weight, 2)
	setDefault(&g.NamesWindow, 24*time.Hour)
	if g.TrapNames == nil {
		g.TrapNames = DefaultTrapNames()
	}
	if g.Names < 0 || g.Names > maxNames || g.NamesWindow <= 0 {
		f.add("guessing: %d user names within %v, expected 0 to %d, and a window above 0", g.Names, g.NamesWindow, maxNames)
	}
	if g.Addresses < 2 || g.Addresses > maxMembers || g.Failures < 2 || g.Window <= 0 || g.Weight < 1 {
		f.add("guessing: %d addresses and %d failures within %v that weigh %d, expected 2 to %d addresses, 2 failures or more, a window above 0 and a weight of 1 or more",
			g.Addresses, g.Failures, g.Window, g.Weight, maxMembers)
	}
}

func (l *Limits) fill(f *faults) {
	setDefault(&l.Sources, 1<<16)
	setDefault(&l.EvidenceBytes, 8<<20)
	setDefault(&l.CountBytes, 16<<20)
	setDefault(&l.Contacts, 1<<18)
	setDefault(&l.Bans, 1<<16)
	setDefault(&l.Trails, 1<<13)
	setDefault(&l.Companies, 1<<12)
	for _, v := range []int{l.Sources, l.EvidenceBytes, l.CountBytes, l.Contacts, l.Bans, l.Trails, l.Companies} {
		if v < 1 || v > 1<<28 {
			f.add("limits: %d, expected 1 to 2^28", v)
		}
	}
}
