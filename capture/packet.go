package capture

import (
	"net/netip"
	"time"
)

// Action is pf's action number as the writer put it into the record. Names differ by dialect for numbers above 10;
// see capture/pflog for the names. (Sixteen bits, as link type 17 has it; elsewhere the writer has eight.)
type Action uint16

// The actions on which every dialect agrees.
const (
	ActionPass  Action = 0
	ActionBlock Action = 1
)

// Reason is pf's reason number as the writer put it into the record.
type Reason uint16

// ReasonMatch says that a rule decided, not pf's own checks.
const ReasonMatch Reason = 0

// Direction of a packet as pf saw it.
type Direction uint16

// Directions in pf's own numbering.
const (
	InOut Direction = iota
	In
	Out
	Forward

	// UnknownDirection is the direction of a record whose layout is not known well enough to tell.
	UnknownDirection Direction = 0xffff
)

// NoRule is the rule number of the implicit default rule and the subrule number of a record outside any anchor.
const NoRule = 0xffffffff

// Has tells which optional fields of a Packet hold a value.
type Has uint16

// Flags of Has.
const (
	HasUID Has = 1 << iota
	HasPID
	HasRuleUID
	HasRulePID
	HasPorts
	HasTCPFlags
	HasTCPSeq
	HasICMPType
	HasTranslated
	HasTTL      // the record holds the IP header as far as its TTL
	HasProtocol // and as far as its protocol
)

// TCP flag bits as they stand in the header (RFC 9293 section 3.1).
const (
	FlagFIN = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
	FlagURG
	FlagECE
	FlagCWR
)

// Flow is one pair of addresses with ports.
type Flow struct {
	Source, Destination         netip.Addr
	SourcePort, DestinationPort uint16
}

// Packet is one pflog record, decoded. It is a plain value without pointers into the capture buffer: copying it keeps it.
type Packet struct {
	Time      time.Time // UTC, with the file's own fraction
	Origin    string    // file path or interface name that the record was read from
	Frame     uint64    // number of the record in its source, from 1
	Nanos     bool      // the file's fraction has nine digits instead of six
	Offset    int64     // byte offset of the end of the record in its (uncompressed) file: reading resumes here; 0 when live
	Dialect   Dialect
	Action    Action
	Reason    Reason
	Direction Direction
	Interface string // interface that pf names, interned
	Anchor    string // last component of the anchor's name, at most 15 bytes, interned

	Rule, Subrule    uint32 // NoRule where there is none
	RuleID           uint32 // ridentifier or tracker, 0 = none
	UID, PID         uint32 // valid with HasUID, HasPID
	RuleUID, RulePID uint32 // valid with HasRuleUID, HasRulePID

	Has       Has
	IPVersion uint8 // 4 or 6
	Protocol  uint8 // of the transport header, behind IPv6 extension headers
	TTL       uint8 // or hop limit
	TCPFlags  uint8 // valid with HasTCPFlags
	ICMPType  uint8 // valid with HasICMPType
	Fragment  bool  // a fragment: of one that is not the first nothing behind the IP header is known
	Truncated bool  // a header field was cut off by the snaplen
	Rewritten bool  // by NAT, as the writer says

	IPID   uint16 // IPv4 identification
	Length uint32 // IP length on the wire, bytes
	TCPSeq uint32 // valid with HasTCPSeq

	Flow            // of the packet body
	Translated Flow // valid with HasTranslated
}

// Dialect names the layout of the pflog header that a record came with: the header's length byte, or DialectOld.
type Dialect uint8

// DialectOld is link type 17 (OpenBSD 3.0 to 3.3), which has no length byte.
const DialectOld Dialect = 0
