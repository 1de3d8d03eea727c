package privsep

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"
	"strings"
)

// Kinds of request.
const (
	kindOpen byte = 1 + iota
	kindCapture
	kindAnchor
	kindTable
	kindKill
	kindRead
)

// Ways of an open request.
const (
	openFile   byte = 1 + iota // the descriptor
	openStatus                 // what fstat(2) says
	openNames                  // what a configured glob matches now
	openBeside                 // files of a folder that belong to configured logs, with their status
	openEvents                 // an inotify instance (Linux)
	openWatch                  // watch a path's folder by it
)

// Ways of an anchor request.
const (
	anchorLoad byte = 1 + iota
	anchorCheck
)

// Ways of a table request.
const (
	tableAdd byte = 1 + iota
	tableDelete
	tableReplace
	tableFlush
	tableAwhile // of the never-list alone: adds what lapses when it is told no more
)

// What a read request may ask.
const (
	readInfo byte = 1 + iota
	readMemory
	readMainRules
	readStates
	readAnchors
	readAnchorCall // the rules of an anchor above a configured one
	readRules      // of a configured anchor, with counters
	readTables     // -v
	readTablesMore // -vv
	readShow       // of a table
	readShowMore   // -v
	readCounters   // tables -vv and one table's entries
)

// Bounds of what a request may hold.
const (
	maxPath      = 4096
	maxName      = 1024
	maxAddresses = 1 << 18 // more than bans are in force by default: a table is replaced in one request
	maxInline    = 1 << 10 // addresses within a request; more follow through a pipe, see feed
)

// request is a parsed request. Which fields count depends on the kind.
type request struct {
	kind byte
	way  byte

	path   string // open
	anchor string
	table  string
	// alternate asks for the rules' second form, which does not use the word counters.
	alternate bool
	towards   bool // kill: states towards the address, instead of those that it began
	addresses []address
	packed    []byte // table: what was received instead of addresses, checked
	follow    int    // table: how many addresses follow through a pipe, since they are more than maxInline
}

// address is an entry of a table request: a canonical prefix, perhaps negated (delete only).
type address struct {
	netip.Prefix
	negated bool
}

// encode gives a request's payload.
func (r *request) encode() []byte {
	b := []byte{r.way}
	text := func(s string) {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s))) //nolint:gosec // callers bound it
		b = append(b, s...)
	}
	switch r.kind {
	case kindOpen:
		text(r.path)
	case kindAnchor:
		text(r.anchor)
		b = append(b, flag(r.alternate))
	case kindTable:
		text(r.anchor)
		text(r.table)
		n := max(r.count(), r.follow)
		b = binary.BigEndian.AppendUint32(b, uint32(n)) //nolint:gosec // bounded
		if n > maxInline {
			return b
		}
		for a := range r.each() {
			b = a.append(b)
		}
	case kindKill:
		b = append(b, flag(r.towards))
		b = r.addresses[0].append(b)
	case kindRead:
		text(r.anchor)
		text(r.table)
	}
	return b
}

func flag(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// Bytes that an address takes in a request.
const addressSize4, addressSize6 = 3 + 4, 3 + 16

// append writes an address: 4 or 6, whether it is negated, its length in bits, its bytes.
func (a address) append(b []byte) []byte {
	if a.Addr().Is4() {
		b = append(b, 4, flag(a.negated), byte(a.Bits()))
	} else {
		b = append(b, 6, flag(a.negated), byte(a.Bits()))
	}
	return append(b, a.Addr().AsSlice()...)
}

// parseRequest reads a request's payload. It accepts exactly what encode gives: there is one way to write each request.
func parseRequest(kind byte, payload []byte) (*request, error) {
	p := parser{rest: payload}
	r := &request{kind: kind, way: p.byte()}
	switch kind {
	case kindOpen:
		p.within(r.way, openFile, openWatch)
		r.path = p.text(maxPath)
	case kindCapture:
		p.within(r.way, 0, 0)
	case kindAnchor:
		p.within(r.way, anchorLoad, anchorCheck)
		r.anchor = p.text(maxName)
		r.alternate = p.flag()
	case kindTable:
		p.within(r.way, tableAdd, tableAwhile)
		r.anchor, r.table = p.text(maxName), p.text(maxName)
		if r.way == tableAwhile && !r.isNever() {
			p.fail("way %d of a table with a name", r.way)
		}
		n := p.count()
		if r.way != tableAwhile && (n == 0) != (r.way == tableFlush) { // what lapses may all be gone: that is told, too
			p.fail("%d addresses for way %d", n, r.way)
		}
		if n > maxInline {
			if r.isNever() {
				p.fail("%d addresses for the never-list", n)
			}
			r.follow = n
			break
		}
		all := p.rest
		for range n {
			if a := p.address(); a.negated && r.way != tableDelete {
				p.fail("a negated address is for delete only")
			}
			if p.err != nil {
				break
			}
		}
		r.packed = all[:len(all)-len(p.rest)]
	case kindKill:
		p.within(r.way, 0, 0)
		r.towards = p.flag()
		a := p.address()
		if a.negated {
			p.fail("a negated address has no states")
		}
		r.addresses = []address{a}
	case kindRead:
		p.within(r.way, readInfo, readCounters)
		r.anchor, r.table = p.text(maxName), p.text(maxName)
	default:
		p.fail("kind %d", kind)
	}
	if p.err == nil && len(p.rest) > 0 {
		p.fail("%d bytes too many", len(p.rest))
	}
	if p.err != nil {
		return nil, p.err
	}
	return r, nil
}

// each yields the addresses of a request.
func (r *request) each() iter.Seq[address] {
	return func(yield func(address) bool) {
		for _, a := range r.addresses {
			if !yield(a) {
				return
			}
		}
		for p := (parser{rest: r.packed}); len(p.rest) > 0; {
			if a := p.address(); p.err != nil || !yield(a) {
				return
			}
		}
	}
}

// count is how many addresses there are.
func (r *request) count() (n int) {
	for range r.each() {
		n++
	}
	return n
}

// parser takes a payload apart; after the first error it yields zeros.
type parser struct {
	rest []byte
	err  error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("request: %s: %w", fmt.Sprintf(format, args...), errProtocol)
	}
	p.rest = nil
}

func (p *parser) take(n int) []byte {
	if n > len(p.rest) {
		p.fail("cut short")
		return nil
	}
	out := p.rest[:n]
	p.rest = p.rest[n:]
	return out
}

func (p *parser) byte() byte {
	if b := p.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (p *parser) flag() bool {
	switch b := p.byte(); b {
	case 0, 1:
		return b == 1
	default:
		p.fail("flag %d", b)
		return false
	}
}

func (p *parser) within(v, from, to byte) {
	if v < from || v > to {
		p.fail("way %d", v)
	}
}

func (p *parser) text(most int) string {
	b := p.take(2)
	if b == nil {
		return ""
	}
	n := int(binary.BigEndian.Uint16(b))
	if n > most {
		p.fail("text of %d bytes", n)
		return ""
	}
	s := string(p.take(n))
	if strings.ContainsAny(s, "\x00\n") {
		p.fail("control characters in a name")
		return ""
	}
	return s
}

func (p *parser) count() int {
	b := p.take(4)
	if b == nil {
		return 0
	}
	n := binary.BigEndian.Uint32(b)
	if n > maxAddresses {
		p.fail("%d addresses", n)
		return 0
	}
	return int(n)
}

// address reads a canonical prefix: no mapped IPv4, no bits after its length.
func (p *parser) address() address {
	family, negated, bits := p.byte(), p.flag(), p.byte()
	size := 4
	switch family {
	case 4:
	case 6:
		size = 16
	default:
		p.fail("address family %d", family)
		return address{}
	}
	b := p.take(size)
	if b == nil {
		return address{}
	}
	a, _ := netip.AddrFromSlice(b) // its length is that of an address
	prefix := netip.PrefixFrom(a, int(bits))
	if !prefix.IsValid() || prefix.Masked() != prefix || a.Is4In6() {
		p.fail("address %v/%d is not canonical", a, bits)
		return address{}
	}
	return address{prefix, negated}
}

// String writes an address as pfctl(8) reads it.
func (a address) String() string { return string(a.appendText(nil)) }

func (a address) appendText(b []byte) []byte {
	if a.negated {
		b = append(b, '!')
	}
	if a.IsSingleIP() {
		return a.Addr().AppendTo(b)
	}
	return a.AppendTo(b)
}

// String names a request for the log, without the addresses of a table.
func (r *request) String() string {
	switch way := int(r.way); r.kind {
	case kindOpen:
		return fmt.Sprintf("%s %.200q", [...]string{"", "open", "status of", "names like", "files beside", "events", "watch"}[way], r.path)
	case kindCapture:
		return "open the interface"
	case kindAnchor:
		return fmt.Sprintf("%s rules of anchor %.100q", [...]string{"", "load", "check"}[way], r.anchor)
	case kindTable:
		verb, n := [...]string{"", "add", "delete", "replace", "flush", "add for a while"}[way], max(r.count(), r.follow)
		if r.isNever() {
			return fmt.Sprintf("%s, never-list, addresses: %d", verb, n)
		}
		return fmt.Sprintf("%s, anchor %.100q, table %.100q, addresses: %d", verb, r.anchor, r.table, n)
	case kindKill:
		return "end states of " + r.addresses[0].String()
	default:
		what := [...]string{
			"", "info", "memory", "main rules", "states", "anchors", "anchor call", "rules", "tables", "tables", "entries", "entries",
			"counters",
		}[way]
		return fmt.Sprintf("read %s, anchor %.100q, table %.100q", what, r.anchor, r.table)
	}
}
