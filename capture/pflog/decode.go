package pflog

import (
	"encoding/binary"
	"net/netip"

	"pfwarden/capture"
)

// Lengths of the pflog headers that are known byte by byte.
const (
	len45  capture.Dialect = 45  // OpenBSD 3.4, FreeBSD 5.3, NetBSD 3, DragonFly
	len49  capture.Dialect = 49  // pfSense and early OPNsense, with a tracker
	len61  capture.Dialect = 61  // OpenBSD 3.8, FreeBSD 7 to 13.0, NetBSD 5, DragonFly, Darwin
	len69  capture.Dialect = 69  // FreeBSD 13.1
	len100 capture.Dialect = 100 // OpenBSD 4.9
)

const (
	oldHeader = 28  // bytes of a header of link type 17
	prefix    = 44  // bytes that all other headers have in common
	minLength = 45  // smallest and
	maxLength = 252 // largest length byte that is believed
)

// Values in the records that mean "none".
const (
	noUID       = 0xffffffff
	noUIDOf61   = 0x7fffffff // UID_MAX of Darwin and NetBSD
	noPID       = 100000     // NO_PID of OpenBSD, FreeBSD and Darwin
	noRuleOfOld = 0xffff
)

// OldDirections tells how the direction field of link type 17 is numbered, which its bytes do not show.
type OldDirections uint8

// The two numberings.
const (
	FirstDirections OldDirections = iota // 0 in, 1 out: the first releases
	LaterDirections                      // 0 in/out, 1 in, 2 out: as in all later layouts
)

// Decoder turns the bytes of pflog records into packets. The zero value decodes link type 117 written by a little-endian
// machine. A Decoder is not safe for concurrent use.
type Decoder struct {
	Old           bool          // link type 17 instead of 117
	BigEndian     bool          // order of the ids within the records: that of the file, unless a tool re-wrote it
	FixedIDs      bool          // BigEndian was chosen by the user and holds for dialect 49's tracker too, whose order is else guessed
	OldDirections OldDirections // for link type 17
	Partial       bool          // accept records whose IP header is cut off; their addresses may be invalid

	names interner
}

// Decode decodes one record, as it stands after a pcap record header; wire is the length that the record had before it was cut
// to the snaplen. It sets every field of p except Time, Origin, Frame and Offset, which it leaves to the caller, and keeps no
// reference to record. If the cause is not Accepted, p holds nothing of use.
func (d *Decoder) Decode(p *capture.Packet, record []byte, wire uint32) Cause {
	at, origin, frame, offset := p.Time, p.Origin, p.Frame, p.Offset
	*p = capture.Packet{} // in place; a literal with the four fields would be built apart and copied
	p.Time, p.Origin, p.Frame, p.Offset = at, origin, frame, offset
	var family uint32
	var body int
	if d.Old {
		if len(record) < oldHeader {
			return CutHeader
		}
		body = oldHeader
		family = d.old(p, record)
	} else {
		if len(record) == 0 {
			return CutHeader
		}
		length := record[0]
		if length < minLength || length > maxLength {
			return BadLength
		}
		body = (int(length) + 3) &^ 3 // the header is padded to 4 bytes
		if len(record) < body {
			return CutHeader
		}
		p.Dialect = capture.Dialect(length)
		family = uint32(record[1])
		d.header(p, record[:body])
	}
	switch family {
	case 2:
		p.IPVersion = 4
	case 24, 28, 30, 10: // AF_INET6 of OpenBSD and NetBSD, of FreeBSD and DragonFly, of Darwin; and of Linux, where files get re-written
		p.IPVersion = 6
	default:
		return UnknownFamily
	}
	packet := record[body:]
	if len(packet) > 0 && packet[0]>>4 != p.IPVersion {
		return WrongVersion
	}
	full := int64(wire) - int64(body)
	if full < int64(len(packet)) {
		full = int64(len(packet))
	}
	if p.IPVersion == 4 {
		return d.ip4(p, packet, uint32(full))
	}
	return d.ip6(p, packet, uint32(full))
}

// old reads the header of link type 17, all big-endian.
func (d *Decoder) old(p *capture.Packet, h []byte) (family uint32) {
	p.Dialect = capture.DialectOld
	p.Interface = d.names.name(h[4:20])
	p.Rule = uint32(binary.BigEndian.Uint16(h[20:]))
	if p.Rule == noRuleOfOld {
		p.Rule = capture.NoRule
	}
	p.Subrule = capture.NoRule
	p.Reason = capture.Reason(binary.BigEndian.Uint16(h[22:]))
	p.Action = capture.Action(binary.BigEndian.Uint16(h[24:]))
	p.Direction = capture.Direction(binary.BigEndian.Uint16(h[26:]))
	if d.OldDirections == FirstDirections {
		switch p.Direction {
		case 0:
			p.Direction = capture.In
		case 1:
			p.Direction = capture.Out
		}
	}
	return binary.BigEndian.Uint32(h)
}

// header reads the header of link type 117; h is the whole of it with its padding.
func (d *Decoder) header(p *capture.Packet, h []byte) {
	_ = h[prefix-1]
	p.Action, p.Reason = capture.Action(h[2]), capture.Reason(h[3])
	p.Interface = d.names.name(h[4:20])
	p.Anchor = d.names.name(h[20:36])
	p.Rule = binary.BigEndian.Uint32(h[36:])
	p.Subrule = binary.BigEndian.Uint32(h[40:])
	switch p.Dialect {
	case len45:
		p.Direction = capture.Direction(h[44])
	case len49:
		p.RuleID = d.tracker(h[44:48])
		p.Direction = capture.Direction(h[48])
	case len61, len69, len100:
		d.ids(p, h)
		p.Direction = capture.Direction(h[60])
		if p.Dialect == len69 {
			p.RuleID = binary.BigEndian.Uint32(h[64:])
		} else if p.Dialect == len100 && h[61] != 0 {
			p.Rewritten = true
			translated(p, h)
		}
	default:
		p.Direction = capture.UnknownDirection
	}
}

// tracker reads pfSense's rule id. Its byte order is not documented: the field may have been in the kernel's own order, its
// successor in dialect 69 is big-endian. So the order that gives the more likely number is taken, the order of the file if both are alike,
// unless FixedIDs says that the order of ids is known.
func (d *Decoder) tracker(b []byte) uint32 {
	if d.FixedIDs {
		return d.id(b)
	}
	big, little := binary.BigEndian.Uint32(b), binary.LittleEndian.Uint32(b)
	switch l, g := likelyTracker(little), likelyTracker(big); {
	case l > g:
		return little
	case l < g:
		return big
	}
	return d.id(b)
}

// likelyTracker ranks a number: pfSense counts its own rules' trackers up from 1,000,000,000 and takes the Unix time of creation
// for the user's.
func likelyTracker(n uint32) int {
	switch {
	case n >= 1_000_000_000 && n < 1_001_000_000:
		return 3
	case n >= 1_300_000_000 && n < 1_800_000_000: // 2011 to 2027
		return 2
	case n >= 1_000_000_000 && n < 2_000_000_000:
		return 1
	}
	return 0
}

func (d *Decoder) id(b []byte) uint32 {
	if d.BigEndian {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (d *Decoder) ids(p *capture.Packet, h []byte) {
	h = h[:60]
	p.UID, p.PID, p.RuleUID, p.RulePID = d.id(h[44:]), d.id(h[48:]), d.id(h[52:]), d.id(h[56:])
	if isUID(p.Dialect, p.UID) {
		p.Has |= capture.HasUID
	}
	if p.PID != noPID {
		p.Has |= capture.HasPID
	}
	if isUID(p.Dialect, p.RuleUID) {
		p.Has |= capture.HasRuleUID
	}
	if p.RulePID != noPID {
		p.Has |= capture.HasRulePID
	}
}

func isUID(dialect capture.Dialect, uid uint32) bool {
	return uid != noUID && (dialect != len61 || uid != noUIDOf61)
}

// translated reads the addresses after NAT, whose family may differ from the packet's (af-to).
func translated(p *capture.Packet, h []byte) {
	h = h[:100]
	switch h[62] {
	case 2:
		p.Translated.Source = netip.AddrFrom4([4]byte(h[64:68]))
		p.Translated.Destination = netip.AddrFrom4([4]byte(h[80:84]))
	case 24, 28, 30, 10:
		p.Translated.Source = netip.AddrFrom16([16]byte(h[64:80]))
		p.Translated.Destination = netip.AddrFrom16([16]byte(h[80:96]))
	default: // tools of old releases left the pair empty
		return
	}
	p.Translated.SourcePort = binary.BigEndian.Uint16(h[96:])
	p.Translated.DestinationPort = binary.BigEndian.Uint16(h[98:])
	p.Has |= capture.HasTranslated
}
