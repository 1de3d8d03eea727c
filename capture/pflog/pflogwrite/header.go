package pflogwrite

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"pfwarden/capture"
)

// System is the operating system whose kernel writes; it decides the number of AF_INET6.
type System uint8

// The systems that have pflog.
const (
	OpenBSD System = iota
	FreeBSD
	NetBSD
	DragonFly
	Darwin
)

// inet6 is the system's AF_INET6.
func (s System) inet6() byte {
	switch s {
	case FreeBSD, DragonFly:
		return 28
	case Darwin:
		return 30
	default:
		return 24
	}
}

// Values that say "none" in the id fields.
const (
	NoUID    = 0xffffffff // OpenBSD, FreeBSD, DragonFly
	NoUID61  = 0x7fffffff // Darwin, NetBSD
	NoPID    = 100000
	rowBytes = 16 // of a name field
)

// Record is one pflog record as a kernel would write it. Fields that a dialect does not have are left out of its header.
type Record struct {
	Dialect   capture.Dialect // DialectOld, 45, 49, 61, 69, 100; any other length from 45 to 252 writes the common prefix and zeros
	System    System
	Family    uint8 // address family byte as it is to be written; 0 means that of the packet on System
	Action    capture.Action
	Reason    capture.Reason
	Direction capture.Direction
	Interface string // cut to 16 bytes
	Anchor    string // cut to 15 bytes

	Rule, Subrule    uint32 // capture.NoRule for none
	RuleID           uint32 // dialects 49 and 69
	TrackerHostOrder bool   // dialect 49: RuleID in the writer's order instead of big-endian
	UID, PID         uint32 // dialects 61, 69, 100
	RuleUID, RulePID uint32

	Rewritten  bool         // dialect 100
	Translated capture.Flow // dialect 100; if its addresses are not valid the field is zero, with address family 0

	Packet []byte // the IP packet, see Raw and its like
}

// headerLength returns the bytes in front of the IP packet.
func headerLength(d capture.Dialect) (int, error) {
	switch {
	case d == capture.DialectOld:
		return 28, nil
	case d >= 45 && d <= 252:
		return (int(d) + 3) &^ 3, nil
	}
	return 0, fmt.Errorf("pflogwrite: no dialect has length %d", d)
}

// Append appends the record's header and packet to dst. Ids are written in order, which ought to be the order of the file.
func (r *Record) Append(dst []byte, order binary.ByteOrder) ([]byte, error) {
	size, err := headerLength(r.Dialect)
	if err != nil {
		return dst, err
	}
	start := len(dst)
	dst = append(dst, make([]byte, size)...)
	h := dst[start:]
	family := r.Family
	if family == 0 {
		family = 2
		if len(r.Packet) > 0 && r.Packet[0]>>4 == 6 {
			family = r.System.inet6()
		}
	}
	if r.Dialect == capture.DialectOld {
		r.putOld(h, family)
		return append(dst, r.Packet...), nil
	}
	h[0], h[1], h[2], h[3] = byte(r.Dialect), family, byte(r.Action), byte(r.Reason)
	copy(h[4:4+rowBytes], r.Interface)
	copy(h[20:20+rowBytes-1], r.Anchor)
	binary.BigEndian.PutUint32(h[36:], r.Rule)
	binary.BigEndian.PutUint32(h[40:], r.Subrule)
	switch r.Dialect {
	case 45:
		h[44] = byte(r.Direction)
	case 49:
		if r.TrackerHostOrder {
			order.PutUint32(h[44:], r.RuleID)
		} else {
			binary.BigEndian.PutUint32(h[44:], r.RuleID)
		}
		h[48] = byte(r.Direction)
	case 61, 69, 100:
		order.PutUint32(h[44:], r.UID)
		order.PutUint32(h[48:], r.PID)
		order.PutUint32(h[52:], r.RuleUID)
		order.PutUint32(h[56:], r.RulePID)
		h[60] = byte(r.Direction)
	}
	switch r.Dialect {
	case 69:
		binary.BigEndian.PutUint32(h[64:], r.RuleID)
	case 100:
		r.putTranslated(h)
	}
	return append(dst, r.Packet...), nil
}

func (r *Record) putOld(h []byte, family byte) {
	binary.BigEndian.PutUint32(h[0:], uint32(family))
	copy(h[4:4+rowBytes], r.Interface)
	binary.BigEndian.PutUint16(h[20:], uint16(r.Rule)) // NoRule becomes -1
	binary.BigEndian.PutUint16(h[22:], uint16(r.Reason))
	binary.BigEndian.PutUint16(h[24:], uint16(r.Action))
	binary.BigEndian.PutUint16(h[26:], uint16(r.Direction))
}

func (r *Record) putTranslated(h []byte) {
	if r.Rewritten {
		h[61] = 1
	}
	t := r.Translated
	if !t.Source.IsValid() || !t.Destination.IsValid() {
		return
	}
	h[62] = 2
	if t.Source.Is6() {
		h[62] = r.System.inet6()
	}
	putAddr(h[64:80], t.Source)
	putAddr(h[80:96], t.Destination)
	binary.BigEndian.PutUint16(h[96:], t.SourcePort)
	binary.BigEndian.PutUint16(h[98:], t.DestinationPort)
}

func putAddr(dst []byte, a netip.Addr) {
	if a.Is4() {
		b := a.As4()
		copy(dst, b[:])
		return
	}
	b := a.As16()
	copy(dst, b[:])
}
