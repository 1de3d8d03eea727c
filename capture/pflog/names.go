package pflog

import (
	"fmt"
	"strings"

	"pfwarden/capture"
)

// System is the operating system that wrote a record. Where a dialect was shared by several systems, as 61 was, the same number
// means different actions and reasons; System resolves that.
type System uint8

// The systems. Auto resolves nothing: a number that is ambiguous in its dialect has no name.
const (
	Auto System = iota
	OpenBSD
	FreeBSD
	NetBSD
	DragonFly
	Darwin
)

// ParseSystem reads the value of a --dialect flag or of the configuration's pflog.dialect.
func ParseSystem(s string) (System, error) {
	switch strings.ToLower(s) {
	case "auto", "":
		return Auto, nil
	case "openbsd":
		return OpenBSD, nil
	case "freebsd", "pfsense", "opnsense", "midnightbsd":
		return FreeBSD, nil
	case "netbsd":
		return NetBSD, nil
	case "dragonfly", "dragonflybsd":
		return DragonFly, nil
	case "darwin", "macos", "ios":
		return Darwin, nil
	}
	return Auto, fmt.Errorf("unknown dialect %q: want auto, openbsd, freebsd, netbsd, dragonfly or darwin", s)
}

// String returns the name that ParseSystem reads.
func (s System) String() string {
	switch s {
	case OpenBSD:
		return "openbsd"
	case FreeBSD:
		return "freebsd"
	case NetBSD:
		return "netbsd"
	case DragonFly:
		return "dragonfly"
	case Darwin:
		return "darwin"
	}
	return "auto"
}

// writer returns the system whose numbers a dialect uses: the dialect's own if only one system writes it, else the given one.
func (s System) writer(d capture.Dialect) System {
	switch d {
	case len100:
		return OpenBSD
	case len69, len49:
		return FreeBSD
	case capture.DialectOld:
		return OpenBSD
	}
	return s
}

// ActionName returns pf's word for an action of a dialect, "" for a number that the dialect does not define or that is
// ambiguous in it and that system does not resolve.
func ActionName(d capture.Dialect, a capture.Action, system System) string {
	switch a {
	case 0:
		return "pass"
	case 1:
		return "block"
	case 2:
		return "scrub"
	case 3:
		return "noscrub"
	case 4:
		return "nat"
	case 5:
		return "nonat"
	case 6:
		return "binat"
	case 7:
		return "nobinat"
	case 8:
		return "rdr"
	case 9:
		return "nordr"
	case 10:
		return "synproxy-drop"
	}
	if d == capture.DialectOld {
		return "" // OpenBSD 3.3 knew no more
	}
	switch system.writer(d) {
	case OpenBSD:
		switch a {
		case 11:
			return "defer"
		case 12:
			return "match"
		case 13:
			return "divert"
		case 14:
			return "rt"
		case 15:
			return "afrt"
		}
	case FreeBSD:
		switch a {
		case 11:
			return "defer"
		case 12:
			return "match"
		}
	case Darwin:
		switch a {
		case 11:
			return "dummynet"
		case 12:
			return "nodummynet"
		case 13:
			return "nat64"
		case 14:
			return "nonat64"
		}
	}
	return ""
}

// ReasonName returns pf's word for a reason, as ActionName does for actions.
func ReasonName(d capture.Dialect, r capture.Reason, system System) string {
	switch r {
	case 0:
		return "match"
	case 1:
		return "bad-offset"
	case 2:
		return "fragment"
	case 3:
		return "short"
	case 4:
		return "normalize"
	case 5:
		return "memory"
	case 6:
		return "bad-timestamp"
	case 7:
		return "congestion"
	case 8:
		return "ip-option"
	case 9:
		return "proto-cksum"
	case 10:
		return "state-mismatch"
	case 11:
		return "state-insert"
	case 12:
		return "state-limit"
	case 13:
		return "src-limit"
	case 14:
		return "synproxy"
	}
	if d == capture.DialectOld {
		return ""
	}
	switch system.writer(d) {
	case OpenBSD:
		switch r {
		case 15:
			return "translate"
		case 16:
			return "no-route"
		}
	case FreeBSD:
		if r == 15 {
			return "map-failed"
		}
	case NetBSD:
		if r == 15 {
			return "state-locked"
		}
	case Darwin:
		switch r {
		case 15:
			return "dummynet"
		case 16:
			return "invalid-port"
		}
	}
	return ""
}

// directionName returns in, out, inout or fwd, "" for any other number.
func directionName(d capture.Direction) string {
	switch d {
	case capture.InOut:
		return "inout"
	case capture.In:
		return "in"
	case capture.Out:
		return "out"
	case capture.Forward:
		return "fwd"
	}
	return ""
}

// protocolName returns tcp, udp, icmp or icmp6, "" for any other protocol.
func protocolName(p uint8) string {
	switch p {
	case protoTCP:
		return "tcp"
	case protoUDP:
		return "udp"
	case protoICMP:
		return "icmp"
	case protoICMPv6:
		return "icmp6"
	}
	return ""
}

// droppedByPF tells whether pf dropped the packet by a check of its own rather than by a rule. Such records may carry the action
// of the rule that would have passed the packet, so their "pass" is none.
func droppedByPF(p *capture.Packet) bool {
	return p.Reason != capture.ReasonMatch && p.Action == capture.ActionPass
}
