package pflog_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/capture/pflog/pflogwrite"
)

// generator makes random records together with the packet that has to be read from them.
type generator struct {
	*rand.Rand
	big bool
}

func (g generator) address(v6 bool) netip.Addr {
	var b [16]byte
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	if v6 {
		b[0] = 0x20
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(b[:4]))
}

func (g generator) pick(names ...string) string { return names[g.IntN(len(names))] }

func (g generator) number() uint32 { return []uint32{0, 1, 7, 0x01020304, capture.NoRule}[g.IntN(5)] }

// record returns a random record and what it must be read as, if nothing of its headers is cut off.
func (g generator) record() (pflogwrite.Record, capture.Packet) {
	dialect := []capture.Dialect{capture.DialectOld, 45, 49, 61, 69, 100, 84, 252}[g.IntN(8)]
	v6 := g.IntN(2) == 0
	r := pflogwrite.Record{
		Dialect: dialect, System: pflogwrite.System(g.IntN(5)), Action: capture.Action(g.IntN(17)), Reason: capture.Reason(g.IntN(18)),
		Direction: capture.Direction(g.IntN(4)), Interface: g.pick("em0", "vlan3", "bridge100", "sixteen-bytes-if"), Anchor: g.pick("", "relayd", "fifteen-bytes-a"),
		Rule: g.number(), Subrule: g.number(), RuleID: 1_000_000_100 + g.Uint32N(1000), UID: g.Uint32N(3000), PID: g.Uint32N(99999), RuleUID: g.Uint32N(9), RulePID: g.Uint32N(99999),
	}
	p := capture.Packet{Dialect: dialect, Action: r.Action, Reason: r.Reason, Direction: r.Direction, Interface: r.Interface, Anchor: r.Anchor, Rule: r.Rule, Subrule: r.Subrule,
		Flow: capture.Flow{Source: g.address(v6), Destination: g.address(v6)}}
	g.packet(&r, &p, v6)
	switch dialect {
	case capture.DialectOld:
		p.Anchor, p.Subrule = "", capture.NoRule
		r.Rule &= 0xffff // sixteen bits
		if p.Rule = r.Rule; r.Rule == 0xffff {
			p.Rule = capture.NoRule
		}
		p.Direction = []capture.Direction{capture.In, capture.Out, capture.Out, capture.Forward}[r.Direction]
	case 49:
		p.RuleID = r.RuleID
	case 61, 69, 100:
		g.ids(&r, &p)
		if dialect == 69 {
			p.RuleID = r.RuleID
		}
		if dialect == 100 {
			g.translation(&r, &p)
		}
	case 84, 252:
		p.Direction = capture.UnknownDirection
	}
	return r, p
}

// ids sometimes says that there is no user.
func (g generator) ids(r *pflogwrite.Record, p *capture.Packet) {
	p.UID, p.PID, p.RuleUID, p.RulePID = r.UID, r.PID, r.RuleUID, r.RulePID
	p.Has |= capture.HasUID | capture.HasPID | capture.HasRuleUID | capture.HasRulePID
	switch g.IntN(4) {
	case 0:
		r.UID, r.PID = pflogwrite.NoUID, pflogwrite.NoPID
		p.Has &^= capture.HasUID | capture.HasPID
	case 1:
		r.UID = pflogwrite.NoUID61 // an ordinary number elsewhere
		if r.Dialect == 61 {
			p.Has &^= capture.HasUID
		}
	}
	p.UID, p.PID = r.UID, r.PID
}

func (g generator) translation(r *pflogwrite.Record, p *capture.Packet) {
	v6 := g.IntN(2) == 0
	r.Translated = capture.Flow{Source: g.address(v6), Destination: g.address(v6), SourcePort: uint16(g.Uint32()), DestinationPort: uint16(g.Uint32())}
	if r.Rewritten = g.IntN(2) == 0; r.Rewritten {
		p.Rewritten, p.Translated = true, r.Translated
		p.Has |= capture.HasTranslated
	}
}

// packet builds the IP packet, sometimes with extension headers or options, sometimes a fragment.
func (g generator) packet(r *pflogwrite.Record, p *capture.Packet, v6 bool) {
	ip := pflogwrite.IP{Source: p.Source, Destination: p.Destination, TTL: uint8(1 + g.IntN(255)), ID: uint16(g.Uint32())}
	p.IPVersion, p.TTL, p.IPID = 4, ip.TTL, ip.ID
	p.Has |= capture.HasTTL | capture.HasProtocol
	if v6 {
		p.IPVersion, p.IPID = 6, 0
		for range g.IntN(3) {
			protocol := []uint8{0, 43, 60, 51}[g.IntN(4)]
			data := make([]byte, 16)
			data[1] = 1
			if protocol == 51 {
				data[1] = 2 // in units of 4 bytes, less 2
			}
			ip.Extensions = append(ip.Extensions, pflogwrite.Extension{Protocol: protocol, Data: data})
		}
	} else {
		ip.Options = make([]byte, 4*g.IntN(3))
	}
	later := false
	if g.IntN(6) == 0 {
		p.Fragment = true
		ip.MoreFragments = true
		if later = g.IntN(2) == 0; later {
			ip.FragmentOffset = 185
		}
	}
	payload := make([]byte, g.IntN(64))
	switch g.IntN(4) {
	case 0:
		t := pflogwrite.TCP{SourcePort: uint16(g.Uint32()), DestinationPort: uint16(g.Uint32()), Seq: g.Uint32(), Flags: uint8(g.Uint32()), Payload: payload}
		r.Packet = pflogwrite.TCPPacket(ip, t)
		p.Protocol = 6
		if !later {
			p.SourcePort, p.DestinationPort, p.TCPFlags, p.TCPSeq = t.SourcePort, t.DestinationPort, t.Flags, t.Seq
			p.Has |= capture.HasPorts | capture.HasTCPFlags | capture.HasTCPSeq
		}
	case 1:
		source, destination := uint16(g.Uint32()), uint16(g.Uint32())
		r.Packet = pflogwrite.UDPPacket(ip, source, destination, payload)
		p.Protocol = 17
		if !later {
			p.SourcePort, p.DestinationPort = source, destination
			p.Has |= capture.HasPorts
		}
	case 2:
		kind := uint8(g.Uint32())
		r.Packet = pflogwrite.ICMPPacket(ip, kind, 0, 0, payload)
		p.Protocol = 1
		if v6 {
			p.Protocol = 58
		}
		if !later {
			p.ICMPType = kind
			p.Has |= capture.HasICMPType
		}
	default:
		ip.Protocol = 47
		r.Packet = pflogwrite.Raw(ip, payload)
		p.Protocol = 47
	}
	p.Length = uint32(len(r.Packet))
}

// TestRandomRecords writes random records of every dialect in every format and reads them back.
func TestRandomRecords(t *testing.T) {
	t.Parallel()
	for _, format := range []pflogwrite.Format{{}, {BigEndian: true}, {Nanoseconds: true}, {BigEndian: true, Nanoseconds: true}, {LinkType: 17}, {LinkType: 17, BigEndian: true}} {
		t.Run(fmt.Sprintf("%+v", format), func(t *testing.T) {
			t.Parallel()
			g := generator{rand.New(rand.NewPCG(5, 6)), format.BigEndian}
			var file bytes.Buffer
			w, err := pflogwrite.NewWriter(&file, format)
			if err != nil {
				t.Fatal(err)
			}
			var want []capture.Packet
			for len(want) < 3000 {
				r, p := g.record()
				if (r.Dialect == capture.DialectOld) != (format.LinkType == 17) {
					continue
				}
				at := time.Unix(1700000000+int64(len(want)), g.Int64N(1e9)).UTC()
				if !format.Nanoseconds {
					at = at.Truncate(time.Microsecond)
				}
				if err := w.Write(at, &r); err != nil {
					t.Fatal(err)
				}
				p.Time, p.Nanos, p.Origin, p.Frame = at, format.Nanoseconds, "test", uint64(len(want)+1)
				want = append(want, p)
			}
			w.Flush()
			got, err := read(t, file.Bytes(), pflog.Options{})
			if err != io.EOF {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(capture.Packet{}, "Offset"), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("packets (-written +read):\n%s", diff)
			}
			if got[len(got)-1].Offset != int64(file.Len()) {
				t.Errorf("last offset %d in a file of %d bytes", got[len(got)-1].Offset, file.Len())
			}
		})
	}
}

// TestSnaplen cuts one packet at every length: a field is there exactly when its bytes are, and Truncated says when one is not.
func TestSnaplen(t *testing.T) {
	t.Parallel()
	v4, v6 := pflogwrite.IP{Source: netip.MustParseAddr("192.0.2.1"), Destination: netip.MustParseAddr("192.0.2.2")}, pflogwrite.IP{Source: netip.MustParseAddr("2001:db8::1"), Destination: netip.MustParseAddr("2001:db8::2")}
	hop := v6
	hop.Extensions = []pflogwrite.Extension{{Protocol: 0, Data: make([]byte, 8)}}
	tcp := pflogwrite.TCP{SourcePort: 1, DestinationPort: 2, Seq: 3, Flags: 2, Payload: []byte("payload")}
	tests := []struct {
		name                        string
		packet                      []byte
		addresses, ports, flags, l4 int // bytes of the packet that are needed for each; l4 is where the transport header is known to start
	}{
		{"tcp4", pflogwrite.TCPPacket(v4, tcp), 20, 24, 34, 10},
		{"tcp6", pflogwrite.TCPPacket(v6, tcp), 40, 44, 54, 7},
		{"udp4", pflogwrite.UDPPacket(v4, 1, 2, []byte("payload")), 20, 24, 24, 10},
		{"tcp6 after hop-by-hop", pflogwrite.TCPPacket(hop, tcp), 40, 52, 62, 41},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for n := range len(test.packet) + 1 {
				record := pflogwrite.Record{Dialect: 61, Packet: test.packet}
				data, err := record.Append(nil, pflogwrite.Format{}.Order())
				if err != nil {
					t.Fatal(err)
				}
				strict, partial := pflog.Decoder{}, pflog.Decoder{Partial: true}
				var p capture.Packet
				cause := strict.Decode(&p, data[:64+n], uint32(len(data)))
				if want := map[bool]pflog.Cause{true: pflog.CutIP, false: pflog.Accepted}[n < test.addresses]; cause != want {
					t.Errorf("%d bytes: %v, want %v", n, cause, want)
				}
				if cause := partial.Decode(&p, data[:64+n], uint32(len(data))); cause != pflog.Accepted {
					t.Errorf("%d bytes: partial: %v", n, cause)
				}
				if p.Truncated != (n < test.flags) {
					t.Errorf("%d bytes: truncated is %t", n, p.Truncated)
				}
				if has := p.Has&capture.HasPorts != 0; has != (n >= test.ports) {
					t.Errorf("%d bytes: ports are there: %t", n, has)
				}
				if has := p.Has&capture.HasTCPFlags != 0; has != (n >= test.flags && p.Protocol == 6) {
					t.Errorf("%d bytes: flags are there: %t", n, has)
				}
				if known := p.Protocol == 6 || p.Protocol == 17; known != (n >= test.l4) {
					t.Errorf("%d bytes: protocol is known: %t", n, known)
				}
				if p.Destination.IsValid() != (n >= test.addresses) {
					t.Errorf("%d bytes: destination %v", n, p.Destination)
				}
			}
		})
	}
}
