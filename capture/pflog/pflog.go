// Package pflog reads PF's log: records of link type 117 (and 17, of OpenBSD 3.0 to 3.3) in every dialect of the pflog header,
// from pcap and pcapng files, compressed or not, and live from a pflog interface.
//
// A Decoder turns the bytes of one record into a capture.Packet and allocates nothing. A Reader walks a file, Merge puts several
// in time order, Live reads an interface. AppendJSON and AppendText print a packet.
//
// Input is taken to be hostile: a record that cannot be understood costs that record and is counted by its Cause; nothing here
// panics or allocates by what a length field says.
//
// The layouts are those of if_pflog.h of OpenBSD, FreeBSD, NetBSD, DragonFly, XNU and pfSense.
package pflog

// Cause says why a record was rejected; the zero value says that it was not.
type Cause uint8

// Causes of rejection.
const (
	Accepted      Cause = iota
	CutHeader           // the capture ends within the pflog header
	BadLength           // the header's length byte is not that of any pflog header
	UnknownFamily       // the address family is none of those that any system uses for IPv4 or IPv6
	WrongVersion        // the packet's version nibble is not that of the address family
	CutIP               // the capture ends within the IP header
	CutFile             // the file ends within the record
	BadBlock            // a pcapng packet block whose fields contradict each other
	Causes              // how many there are
)

// String returns the cause in a form that suits a metric label.
func (c Cause) String() string {
	switch c {
	case Accepted:
		return "accepted"
	case CutHeader:
		return "cut_header"
	case BadLength:
		return "bad_length"
	case UnknownFamily:
		return "unknown_family"
	case WrongVersion:
		return "wrong_version"
	case CutIP:
		return "cut_ip"
	case CutFile:
		return "cut_file"
	case BadBlock:
		return "bad_block"
	}
	return "unknown"
}

// Error says the same to a person, so that a Cause can be wrapped.
func (c Cause) Error() string {
	switch c {
	case CutHeader:
		return "cut short within the pflog header"
	case BadLength:
		return "not a pflog header: its length byte is that of no dialect"
	case UnknownFamily:
		return "unknown address family"
	case WrongVersion:
		return "IP version contradicts the address family"
	case CutIP:
		return "cut short within the IP header"
	case CutFile:
		return "the file ends within this record"
	case BadBlock:
		return "packet block with lengths that contradict each other"
	}
	return c.String()
}
