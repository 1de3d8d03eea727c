package pflog

import (
	"container/heap"
	"io"
	"time"

	"pfwarden/capture"
)

// Merger puts several sources in time order. Of equal times the source named first comes first. A source whose own times step
// back (a clock was set, a file was appended to after a reboot) keeps its own order.
type Merger struct {
	sources []Source // not yet asked for a first packet
	heads   mergeHeap
	latest  *mergeHead // whose packet was given out last and has to be replaced
}

type mergeHead struct {
	source Source
	rank   int
	packet capture.Packet
}

// Merge returns the packets of all sources in time order.
func Merge(sources ...Source) *Merger { return &Merger{sources: sources} }

// Next fills in the next packet and returns io.EOF when all sources are at their end. Any other error belongs to one source,
// which is given up; the packets of the others follow in later calls.
func (m *Merger) Next(p *capture.Packet) error {
	for len(m.sources) > 0 {
		h := &mergeHead{source: m.sources[0], rank: m.heads.ranks}
		m.sources = m.sources[1:]
		m.heads.ranks++
		switch err := h.source.Next(&h.packet); err {
		case nil:
			heap.Push(&m.heads, h)
		case io.EOF:
		default:
			return err
		}
	}
	if h := m.latest; h != nil {
		m.latest = nil
		switch err := h.source.Next(&h.packet); err {
		case nil:
			heap.Fix(&m.heads, 0)
		case io.EOF:
			heap.Pop(&m.heads)
		default:
			heap.Pop(&m.heads)
			return err
		}
	}
	if len(m.heads.list) == 0 {
		return io.EOF
	}
	m.latest = m.heads.list[0]
	*p = m.latest.packet
	return nil
}

type mergeHeap struct {
	list  []*mergeHead
	ranks int
}

func (h *mergeHeap) Len() int { return len(h.list) }
func (h *mergeHeap) Less(i, j int) bool {
	a, b := h.list[i], h.list[j]
	if c := a.packet.Time.Compare(b.packet.Time); c != 0 {
		return c < 0
	}
	return a.rank < b.rank
}
func (h *mergeHeap) Swap(i, j int) { h.list[i], h.list[j] = h.list[j], h.list[i] }
func (h *mergeHeap) Push(x any)    { h.list = append(h.list, x.(*mergeHead)) }
func (h *mergeHeap) Pop() any {
	last := len(h.list) - 1
	x := h.list[last]
	h.list[last] = nil
	h.list = h.list[:last]
	return x
}

// Distinct passes over the copies that OpenBSD's "log (matches)" writes of one packet, one for each rule that it matched: of
// records alike in all but rule, action and reason, within a millisecond, only the first is given out.
func Distinct(source Source) Source { return &distinct{source: source} }

// distinctWindow is how many packets back a copy is looked for: copies of one packet follow one another closely.
const distinctWindow = 16

type distinct struct {
	source Source
	recent [distinctWindow]distinctKey
	next   int
}

type distinctKey struct {
	time                   time.Time
	flow                   capture.Flow
	iface                  string
	direction              capture.Direction
	seq, length            uint32
	id                     uint16
	protocol, flags, itype uint8
}

func (d *distinct) Next(p *capture.Packet) error {
	for {
		if err := d.source.Next(p); err != nil {
			return err
		}
		key := distinctKey{p.Time, p.Flow, p.Interface, p.Direction, p.TCPSeq, p.Length, p.IPID, p.Protocol, p.TCPFlags, p.ICMPType}
		if p.Dialect != len100 || !d.seen(key) {
			d.recent[d.next] = key
			d.next = (d.next + 1) % distinctWindow
			return nil
		}
	}
}

func (d *distinct) seen(key distinctKey) bool {
	for _, r := range d.recent {
		apart := key.time.Sub(r.time)
		r.time = key.time
		if r == key && apart.Abs() <= time.Millisecond {
			return true
		}
	}
	return false
}
