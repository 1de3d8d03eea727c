package pfctl

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Config configures a Driver. The zero value of every field but Anchor is a sensible default.
type Config struct {
	Anchor   string // path of our anchor; its last component is unique and at most 15 characters, since pflog shows no more
	Banned   string // name of the table in PF, default "banned"
	Suspects string // default "suspects"

	Rules      string      // the administrator's own text for the anchor; "" is the default rules
	NoLog      bool        // default rules without "log"
	PortTables []PortTable // further tables that block some ports only
	// TablesOnly leaves the rules to others: tables are filled, nothing is loaded. Anchor may be empty then: the main ruleset's tables.
	TablesOnly bool
	LongAnchor bool // the anchor is the administrator's own and may be longer than what pflog shows

	// Observe looks at PF and never changes anything in it: no rules are loaded, no table is touched, no state killed.
	Observe bool

	KillStates    bool // end the connections of entries that ask for it
	Flush         bool // Stop empties our tables instead of leaving them
	RemoveForeign bool // take out entries that were never ours; else they are kept and shown

	// Reader runs what only reads, beside the runner of changes, so that a long reading never keeps a ban waiting. nil: the runner.
	Reader Runner

	// Refuse is asked at the last step before PF for every address: a text refuses it. It is called from the driver's worker and
	// must not call the driver.
	Refuse func(netip.Prefix) string
	// Known says which of the entries found in a table were ever put there by us, so that they may be taken out again. They may be very many, but each
	// is asked for until it got an answer, and then no more while it stays. After an error all are kept. nil: none was ours.
	Known func(context.Context, Table, []netip.Prefix) ([]netip.Prefix, error)

	Reconcile  time.Duration // between comparisons of PF with what should be, default 1m
	RequestMax int           // net.pf.request_maxcount; 0: ask the system, or assume 65535
	Chunk      int           // addresses in one run at most, default 30000

	// Budgets of pfctl runs, as token buckets: those that change tables, and those that kill states.
	RunsPer   time.Duration // a table run earns its turn in this time, default 250ms
	Burst     int           // turns that may be saved up, default 4
	KillsPer  time.Duration // the same for runs that kill states, default 125ms
	KillBurst int           // default 8
	KillQueue int           // addresses waiting for it at most, default 65536
}

// PortTable is a table whose addresses are blocked on some ports only: each jail with ports has one.
type PortTable struct {
	Name   string // of the table, and Entry.Table
	Protos []string
	Ports  []uint16 // none: all
	Spoof  bool     // its entries are spoofable: only inbound packets are dropped
}

var (
	tableName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$`)
	component = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
)

// AnchorComponentMax is how many characters of an anchor's last component a pflog record can hold.
const AnchorComponentMax = 15

func (c Config) withDefaults() Config {
	def := func(p *time.Duration, d time.Duration) {
		if *p == 0 {
			*p = d
		}
	}
	num := func(p *int, n int) {
		if *p == 0 {
			*p = n
		}
	}
	if c.Banned == "" {
		c.Banned = string(Banned)
	}
	if c.Suspects == "" {
		c.Suspects = string(Suspects)
	}
	if c.Rules != "" && !strings.Contains(c.Rules, "<"+c.Suspects+">") {
		c.Suspects = c.Banned // rules of the administrator's own that know one table only
	}
	def(&c.Reconcile, time.Minute)
	def(&c.RunsPer, 250*time.Millisecond)
	def(&c.KillsPer, 125*time.Millisecond)
	num(&c.Burst, 4)
	num(&c.KillBurst, 8)
	num(&c.KillQueue, 65536)
	num(&c.Chunk, 30000)
	if c.RequestMax == 0 {
		c.RequestMax = requestMaxcount()
	}
	if c.RequestMax > 0 {
		c.Chunk = min(c.Chunk, c.RequestMax)
	}
	return c
}

// Validate returns every fault of the names and texts at once.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	parts := strings.Split(c.Anchor, "/")
	for _, p := range parts {
		if c.TablesOnly && c.Anchor == "" {
			break
		}
		if !component.MatchString(p) {
			fault("anchor %q: %q is not a name; use letters, digits, '.', '_', '-', and no leading '_' or '/'", c.Anchor, p)
		}
	}
	if last := parts[len(parts)-1]; len(last) > AnchorComponentMax && !c.LongAnchor {
		fault("anchor %q: last component has %d characters; pflog shows %d at most", c.Anchor, len(last), AnchorComponentMax)
	}
	if len(c.Anchor) >= 1024 {
		fault("anchor: path has %d characters; pf takes 1023 at most", len(c.Anchor))
	}
	names := []string{c.Banned, c.Suspects}
	for _, t := range c.PortTables {
		names = append(names, t.Name)
		for _, p := range t.Protos {
			if p != "tcp" && p != "udp" {
				fault("table %q: protocol %q has no ports; expected tcp or udp", t.Name, p)
			}
		}
	}
	for i, n := range names {
		if !tableName.MatchString(n) {
			fault("table %q: not a table name; use 1 to 31 letters, digits, '.', '_', '-'", n)
		}
		if slices.Contains(names[:i], n) && !(i == 1 && (c.Rules != "" || c.TablesOnly)) {
			fault("table %q: named twice", n)
		}
	}
	if c.Rules != "" && !strings.Contains(c.Rules, "<"+c.Banned+">") {
		fault("rules: they do not mention <%s>, so bans would do nothing", c.Banned)
	}
	return errors.Join(errs...)
}
