package detect

import (
	"net/netip"
	"time"
)

// Kind says what an observation is evidence of.
type Kind uint8

// Kinds of observations. Whatever comes from a server's log is a Failure; all other kinds come from packets.
const (
	Failure      Kind = iota // a server's log line: failed log-in, forbidden request …
	Probe                    // TCP SYN alone
	Stealth                  // FIN alone, NULL, XMAS, SYN-FIN
	UnknownFlags             // TCP whose flags the snaplen cut off
	UDPProbe                 // UDP to a port that is not open
	Sweep                    // ICMP echo request
	Backscatter              // SYN-ACK, RST: answer to a packet that somebody else forged in our name
	Late                     // packet of a connection whose state has expired, or a late UDP reply
	Reflection               // UDP request to an amplifier: the source is forged, and its owner the victim
	PeerToPeer               // UDP of a peer-to-peer network
	Forged                   // source is a bogon or one of our own addresses
	Knock                    // from a banned source, blocked by our own anchor's rules
	Other                    // ICMP errors, fragments without ports, other protocols
)

// Target is what a source knocked on. Port 0 for ICMP echo.
type Target struct {
	Address  netip.Addr
	Port     uint16
	Protocol uint8 // IP protocol number
}

// Mark is the fingerprint of a known scanner in a packet.
type Mark uint8

// Marks that halve the threshold of portscan.
const (
	NoMark  Mark = iota
	Mirai        // TCP sequence number equals the destination address
	Masscan      // IP id equals destination ^ port ^ sequence number
)

// Observation is what one record says about one source. All observations of a record go to the detector in one call.
type Observation struct {
	Time   time.Time  // of the record
	Read   time.Time  // when the record was read; equal to Time in replay
	Source netip.Addr // unmapped, without zone; invalid only if ID is an identifier that is not an address
	ID     string     // fail2ban's identifier if it is not simply the source ("<F-ID>", a subnet, a raw string); else ""
	Jail   string
	Kind   Kind
	Target Target // packets only
	Mark   Mark   // packets only
	TTL    uint8  // packets only
	Count  int    // attempts that this record stands for; 0 counts as 1
	Proven bool   // came over a completed handshake with Source
	Text   string // the log line, possibly cut; empty for packets, which are described from the fields above
	User   string // user name that was tried, if known
	Fields Fields // everything that the filter found, for hooks; nil for packets
}

// Fields are the named groups that a filter found in a line, by fail2ban's names ("user", "ip4", "host" …).
type Fields map[string]string

// NoticeKind says what a Notice reports.
type NoticeKind uint8

// Kinds of notices.
const (
	Banned   NoticeKind = iota // the warden made a ban; Count is how often this source was banned by Jail
	Unbanned                   // a ban expired
	Forgiven                   // an administrator unbanned the source: its suspicion is cleared too
	Login                      // a successful log-in from Source at Target
	State                      // PF holds a state with Source; Ours says who opened it
	Contact                    // our side opened a connection to Source, as a logged outbound packet shows
)

// Notice reports to the detector what became of its verdicts (bans made and ended) and what is known of our side: log-ins, PF states, outbound connections.
type Notice struct {
	Time        time.Time
	Kind        NoticeKind
	Source      netip.Prefix // single address, or the prefix that was banned
	ID          string       // fail2ban's identifier if it is not an address
	User        string       // Login: who logged in, if known
	Jail        string       // Banned, Unbanned: the jail that banned; Forgiven: "" = all jails
	Target      Target       // Login, State
	Ours        bool         // State: our side opened the connection
	Established bool         // State: both sides have acknowledged the other
	Until       time.Time    // Banned: its end; zero = for ever
	Count       int          // Banned: how many bans of this source there were, this one included
}

// Share is one jail's part of a source's suspicion.
type Share struct {
	Jail     string
	Fraction float64 // of the jail's threshold; 1 = full
	Proven   bool    // every observation behind it was proven
}

// GateAnswer is the answer of one gate when a verdict was due.
type GateAnswer struct {
	Gate    string // one of GateNever to GateMember: a label of metrics
	Stopped bool
	Text    string // for people
}

// Evidence is one observation as kept for explanations; its fields are those of Observation.
type Evidence struct {
	Time   time.Time
	Jail   string
	Kind   Kind
	Target Target
	Proven bool
	Text   string
	User   string
	Fields Fields
}

// Verdict is the detector's decision on a source whose suspicion reached 1, with its reasons.
type Verdict struct {
	Time     time.Time    // of the observation that reached the threshold
	Source   netip.Prefix // what to ban: an address, an IPv6 /64, or a wider prefix; invalid if only ID is known
	ID       string       // fail2ban's identifier where it is not simply the source
	Jail     string       // the jail with the largest share
	Shares   []Share      // largest first
	Score    float64      // their sum
	Proven   bool
	Stopped  bool         // a gate stopped it: nothing is banned, but it is shown and counted
	Gates    []GateAnswer // in the order asked
	Reasons  []string     // for people, a sentence per jail
	Evidence []Evidence   // the observations that count, oldest first, bounded
	Failures int          // how many observations counted, kept as evidence or not
}
