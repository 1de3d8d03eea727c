// Package probe says what a packet is evidence of: it turns one record of PF's log into one observation of the packet jail, or into the notice
// that our side spoke to somebody.
//
// Only what a rule blocked (action block, reason match) on its way in on a watched interface is evidence; PF's own drops are not the sender's
// fault. A Classifier allocates nothing per packet and is not safe for concurrent use.
package probe

import (
	"encoding/binary"
	"net/netip"
	"time"

	"pfwarden/capture"
	"pfwarden/detect"
)

// Skip says why a record is no evidence.
type Skip uint8

// Causes for which a record is no evidence: label values.
const (
	SkipAction    Skip = iota // not blocked
	SkipReason                // dropped by PF's own checks, not by a rule
	SkipDirection             // not on its way in
	SkipInterface             // not on a watched interface
	SkipAddress               // without a source address
	numSkips
)

var skipNames = [numSkips]string{"action", "reason", "direction", "interface", "address"}

// String returns the cause's stable name.
func (s Skip) String() string {
	if s < numSkips {
		return skipNames[s]
	}
	return "invalid"
}

// maxAnchor is how much of an anchor's name a pflog record holds: a char[16] with its terminating NUL.
const maxAnchor = 15

// Config is what a Classifier is told at its start.
type Config struct {
	Jail   string       // name of the packet jail; "" = "portscan"
	Watch  []string     // interfaces whose blocks are evidence; none = all
	Anchor string       // our own anchor, as in pf.conf: what it blocks is a banned source still knocking
	Own    []netip.Addr // our own addresses: as a source they are forged
}

// Classifier turns packets into observations.
type Classifier struct {
	jail    string
	anchor  string
	watch   map[string]bool
	own     map[netip.Addr]bool
	last    string // interface looked up last
	watched bool   // and what came of it

	amplifiers bitset
	replies    bitset
	services   bitset
	reflected  [reflectedEntries]reflected
	swarms     [swarmEntries]swarm
	skipped    [numSkips]uint64
}

// New makes a classifier.
func New(c Config) *Classifier {
	x := &Classifier{jail: c.Jail, anchor: lastComponent(c.Anchor), own: map[netip.Addr]bool{}, watch: map[string]bool{}}
	if x.jail == "" {
		x.jail = "portscan"
	}
	for _, name := range c.Watch {
		x.watch[name] = true
	}
	for _, a := range c.Own {
		x.own[a.Unmap().WithZone("")] = true
	}
	for _, p := range amplifierPorts {
		x.amplifiers.add(p)
	}
	for _, p := range replyPorts {
		x.replies.add(p)
	}
	for _, p := range servicePorts {
		x.services.add(p)
	}
	x.watched = len(c.Watch) == 0
	return x
}

// lastComponent cuts an anchor's name to what a record holds of it.
func lastComponent(anchor string) string {
	for i := len(anchor) - 1; i >= 0; i-- {
		if anchor[i] == '/' {
			anchor = anchor[i+1:]
			break
		}
	}
	return anchor[:min(len(anchor), maxAnchor)]
}

// Skipped returns how many records were no evidence, by cause.
func (c *Classifier) Skipped() map[string]uint64 {
	m := make(map[string]uint64, numSkips)
	for i, n := range c.skipped {
		m[Skip(i).String()] = n
	}
	return m
}

func (c *Classifier) watches(name string) bool {
	if len(c.watch) == 0 {
		return true
	}
	if name != c.last {
		c.last, c.watched = name, c.watch[name]
	}
	return c.watched
}

// Observe fills o with what the packet is evidence of. It answers false where the record is no evidence; o is then untouched. read is when the
// record was read; zero in replay.
func (c *Classifier) Observe(p *capture.Packet, read time.Time, o *detect.Observation) bool {
	skip := numSkips
	switch {
	case p.Action != capture.ActionBlock:
		skip = SkipAction
	case p.Reason != capture.ReasonMatch:
		skip = SkipReason
	case p.Direction != capture.In:
		skip = SkipDirection
	case !c.watches(p.Interface):
		skip = SkipInterface
	case !p.Source.IsValid():
		skip = SkipAddress
	}
	if skip != numSkips {
		c.skipped[skip]++
		return false
	}
	if read.IsZero() {
		read = p.Time
	}
	*o = detect.Observation{
		Time: p.Time, Read: read, Source: p.Source, Jail: c.jail, TTL: p.TTL,
		Target: detect.Target{Address: p.Destination, Port: p.DestinationPort, Protocol: p.Protocol},
	}
	o.Kind = c.kind(p)
	if o.Kind == detect.Probe {
		o.Mark = mark(p)
	}
	if o.Kind == detect.Sweep {
		o.Target.Port = 0
	}
	return true
}

// Contact answers with the notice that our side spoke to an address: it sent a first packet that a rule passed and logged. Answers are no first
// packets, or else anybody could make himself our contact by asking us something.
func (c *Classifier) Contact(p *capture.Packet) (detect.Notice, bool) {
	if p.Action != capture.ActionPass || !p.Destination.IsValid() {
		return detect.Notice{}, false
	}
	if !c.ours(p) || c.own[p.Destination] || p.Destination.IsMulticast() || !c.opens(p) {
		return detect.Notice{}, false
	}
	return detect.Notice{
		Time: p.Time, Kind: detect.Contact, Source: netip.PrefixFrom(p.Destination, p.Destination.BitLen()),
		Target: detect.Target{Address: p.Destination, Port: p.DestinationPort, Protocol: p.Protocol},
	}, true
}

// ours says whether the packet comes from our side: it goes out on a watched interface or comes in on another. Where none is named, as a replay of a
// foreign gateway's file knows none, what comes in from a private address and goes on to a public one comes from inside.
func (c *Classifier) ours(p *capture.Packet) bool {
	switch p.Direction {
	case capture.Out:
		return c.watches(p.Interface)
	case capture.In:
		if len(c.watch) == 0 {
			return p.Source.IsPrivate() && !p.Destination.IsPrivate()
		}
		return !c.watches(p.Interface)
	}
	return false
}

// opens says whether the packet is the first of a connection.
func (c *Classifier) opens(p *capture.Packet) bool {
	switch p.Protocol {
	case protoTCP:
		if p.Has&capture.HasTCPFlags == 0 {
			return c.asks(p)
		}
		return p.TCPFlags&(capture.FlagSYN|capture.FlagACK|capture.FlagRST|capture.FlagFIN) == capture.FlagSYN
	case protoUDP:
		if p.Has&capture.HasPorts == 0 {
			return false
		}
		service := p.SourcePort < firstEphemeral || c.replies.has(p.SourcePort) || c.amplifiers.has(p.SourcePort)
		return !service || p.SourcePort == p.DestinationPort
	case protoICMP:
		return p.Has&capture.HasICMPType != 0 && p.ICMPType == icmpEcho
	case protoICMP6:
		return p.Has&capture.HasICMPType != 0 && p.ICMPType == icmp6Echo
	}
	return false
}

// mark looks for a known tool's fingerprint in a SYN.
func mark(p *capture.Packet) detect.Mark {
	if p.Has&capture.HasTCPSeq == 0 || !p.Destination.Is4() {
		return detect.NoMark
	}
	if m := markOf(p, &p.Flow); m != detect.NoMark || p.Has&capture.HasTranslated == 0 {
		return m
	}
	return markOf(p, &p.Translated)
}

func markOf(p *capture.Packet, f *capture.Flow) detect.Mark {
	if !f.Destination.Is4() {
		return detect.NoMark
	}
	b := f.Destination.As4()
	dst := binary.BigEndian.Uint32(b[:])
	switch {
	case p.TCPSeq == dst:
		return detect.Mirai
	case p.IPID == uint16(dst^uint32(f.DestinationPort)^p.TCPSeq):
		return detect.Masscan
	}
	return detect.NoMark
}

// bitset is a set of ports.
type bitset [65536 / 64]uint64

func (b *bitset) add(p uint16)      { b[p>>6] |= 1 << (p & 63) }
func (b *bitset) has(p uint16) bool { return b[p>>6]>>(p&63)&1 == 1 }
