package probe_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/capture/pflog/pflogwrite"
	"pfwarden/detect"
	"pfwarden/detect/probe"
)

var (
	source = netip.MustParseAddr("198.51.100.7")
	target = netip.MustParseAddr("203.0.113.5")
	six    = netip.MustParseAddr("2001:db8:5::7")
	six2   = netip.MustParseAddr("2001:db8:1::5")
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// packet is an IP packet from source to target; n numbers it within its row.
type packet func(n int) []byte

func ends(n int, ip pflogwrite.IP) pflogwrite.IP {
	if !ip.Source.IsValid() {
		ip.Source = source
	}
	if !ip.Destination.IsValid() {
		ip.Destination = target
	}
	return ip
}

func tcp(flags uint8) packet {
	return func(n int) []byte {
		return pflogwrite.TCPPacket(ends(n, pflogwrite.IP{}), pflogwrite.TCP{SourcePort: 40000, DestinationPort: uint16(1000 + n), Flags: flags, Seq: 77})
	}
}

// answer is a SYN-ACK, or with data a late segment, from a port.
func answer(sport uint16, dport func(n int) uint16, data int) packet {
	return func(n int) []byte {
		return pflogwrite.TCPPacket(ends(n, pflogwrite.IP{}), pflogwrite.TCP{SourcePort: sport, DestinationPort: dport(n), Flags: capture.FlagSYN | capture.FlagACK, Seq: 77, Payload: make([]byte, data)})
	}
}

func udp(sport, dport func(n int) int) packet {
	return func(n int) []byte {
		return pflogwrite.UDPPacket(ends(n, pflogwrite.IP{}), uint16(sport(n)), uint16(dport(n)), []byte("x"))
	}
}

func fixed(v int) func(int) int   { return func(int) int { return v } }
func rising(v int) func(int) int  { return func(n int) int { return v + n } }
func cut(p packet, to int) packet { return func(n int) []byte { return p(n)[:to] } }

func sweep(kind uint8) packet {
	return func(n int) []byte {
		b := target.As4()
		b[3] = byte(n)
		return pflogwrite.ICMPPacket(pflogwrite.IP{Source: source, Destination: netip.AddrFrom4(b)}, kind, 0, 0, nil)
	}
}

func from(a string) packet {
	return func(n int) []byte {
		return pflogwrite.TCPPacket(pflogwrite.IP{Source: netip.MustParseAddr(a), Destination: target}, pflogwrite.TCP{SourcePort: 4, DestinationPort: uint16(1000 + n), Flags: capture.FlagSYN})
	}
}

// decode turns bytes into the packet that a capture source would hand over.
func decode(t *testing.T, r pflogwrite.Record, at time.Time) (p capture.Packet) {
	t.Helper()
	b, err := r.Append(nil, binary.LittleEndian)
	if err != nil {
		t.Fatal(err)
	}
	d := pflog.Decoder{Old: r.Dialect == capture.DialectOld, OldDirections: pflog.LaterDirections}
	p.Time = at
	if cause := d.Decode(&p, b, uint32(len(b)+1000)); cause != pflog.Accepted {
		t.Fatalf("decode: %v", cause)
	}
	return p
}

// TestEvidence goes through the evidence table row by row, from bytes on: what each packet is, and how many doors a hundred of them to new
// targets make.
func TestEvidence(t *testing.T) {
	const syn, ack, fin, rst, psh, urg = capture.FlagSYN, capture.FlagACK, capture.FlagFIN, capture.FlagRST, capture.FlagPSH, capture.FlagURG
	type row struct {
		name   string
		bytes  packet
		record func(*pflogwrite.Record)
		config func(*probe.Config)
		want   detect.Kind // of the last packet
		none   bool        // no evidence at all
		sent   int         // packets, default 100
		doors  float64     // -1 = enough for a verdict
	}
	block := func(f func(*pflogwrite.Record)) func(*pflogwrite.Record) { return f }
	rows := []row{
		{name: "SYN", bytes: tcp(syn), want: detect.Probe, sent: 6, doors: 6},
		{name: "SYN scan", bytes: tcp(syn), want: detect.Probe, doors: -1},
		{name: "SYN with ECN", bytes: tcp(syn | capture.FlagECE | capture.FlagCWR), want: detect.Probe, sent: 3, doors: 3},
		{name: "SYN to one port again and again", bytes: func(int) []byte { return tcp(syn)(0) }, want: detect.Probe, doors: 1},
		{name: "SYN-ACK", bytes: tcp(syn | ack), want: detect.Backscatter},
		{name: "RST", bytes: tcp(rst), want: detect.Backscatter},
		{name: "RST-ACK", bytes: tcp(rst | ack), want: detect.Backscatter},
		{name: "ACK", bytes: tcp(ack), want: detect.Late},
		{name: "PSH-ACK", bytes: tcp(psh | ack), want: detect.Late},
		{name: "FIN-ACK", bytes: tcp(fin | ack), want: detect.Late},
		{name: "FIN-PSH-ACK", bytes: tcp(fin | psh | ack), want: detect.Late},
		{name: "FIN alone", bytes: tcp(fin), want: detect.Stealth, sent: 10, doors: 5},
		{name: "NULL", bytes: tcp(0), want: detect.Stealth, sent: 10, doors: 5},
		{name: "XMAS", bytes: tcp(fin | psh | urg), want: detect.Stealth, sent: 10, doors: 5},
		{name: "SYN-FIN", bytes: tcp(syn | fin), want: detect.Stealth, sent: 10, doors: 5},
		{name: "stealth scan", bytes: tcp(fin), want: detect.Stealth, doors: -1},
		{name: "flags cut off", bytes: cut(tcp(syn), 28), want: detect.UnknownFlags, sent: 10, doors: 5},
		{name: "flags cut off, from a port that no server is known of", bytes: cut(answer(40001, func(n int) uint16 { return uint16(20 + n) }, 0), 24), want: detect.UnknownFlags, sent: 10, doors: 5},
		{name: "flags cut off, from a web server to ports that its attacker made up", bytes: cut(answer(443, func(n int) uint16 { return uint16(20 + n) }, 0), 24), want: detect.Late},
		{name: "flags cut off, from a web server to a client's port", bytes: cut(answer(443, func(n int) uint16 { return uint16(20000 + n) }, 0), 24), want: detect.Late},
		{name: "flags cut off, from a game server to a client's port", bytes: cut(answer(25565, func(n int) uint16 { return uint16(20000 + n) }, 0), 24), want: detect.Late},
		{name: "flags cut off, with data", bytes: cut(answer(40000, func(n int) uint16 { return uint16(n) }, 100), 24), want: detect.Late},
		{name: "IPv6 answer as FreeBSD's pflogd cuts it", bytes: func(n int) []byte {
			return pflogwrite.TCPPacket(pflogwrite.IP{Source: six, Destination: six2}, pflogwrite.TCP{SourcePort: 80, DestinationPort: uint16(50000 + n), Flags: syn | ack})[:44]
		}, want: detect.Late},
		{name: "UDP scan", bytes: udp(fixed(40000), rising(2000)), want: detect.UDPProbe, doors: 2},
		{name: "late answer of a name server", bytes: udp(fixed(53), rising(20000)), want: detect.Late},
		{name: "late answer of a clock", bytes: udp(fixed(123), fixed(123)), want: detect.Late},
		{name: "late QUIC", bytes: udp(fixed(443), rising(20000)), want: detect.Late},
		{name: "late STUN", bytes: udp(fixed(3478), rising(20000)), want: detect.Late},
		{name: "one name server query", bytes: udp(fixed(40000), fixed(53)), sent: 1, want: detect.UDPProbe, doors: 0.25},
		{name: "reflection over name servers", bytes: udp(rising(30000), fixed(53)), want: detect.Reflection, doors: 0.25},
		{name: "reflection over memcached", bytes: udp(rising(30000), fixed(11211)), want: detect.Reflection, doors: 0.25},
		{name: "echo sweep", bytes: sweep(8), want: detect.Sweep, doors: 2},
		{name: "echo answer", bytes: sweep(0), want: detect.Other},
		{name: "ICMP unreachable", bytes: sweep(3), want: detect.Other},
		{name: "ICMP time exceeded", bytes: sweep(11), want: detect.Other},
		{name: "fragment without ports", bytes: func(n int) []byte {
			return pflogwrite.Raw(ends(n, pflogwrite.IP{Protocol: 6, FragmentOffset: 100, ID: uint16(n)}), make([]byte, 64))
		}, want: detect.Other},
		{name: "first fragment too short for flags", bytes: func(n int) []byte {
			return pflogwrite.Raw(ends(n, pflogwrite.IP{Protocol: 6, MoreFragments: true, ID: uint16(n)}), []byte{200, 1, 0, byte(20 + n), 0, 0, 0, 1})
		}, want: detect.UnknownFlags, sent: 10, doors: 5},
		{name: "first fragment of a long late answer, cut off", bytes: cut(func(n int) []byte {
			return pflogwrite.Raw(ends(n, pflogwrite.IP{Protocol: 6, MoreFragments: true, ID: uint16(n)}), append([]byte{200, 1, 200, byte(n)}, make([]byte, 600)...))
		}, 28), want: detect.Late},
		{name: "GRE", bytes: func(n int) []byte { return pflogwrite.Raw(ends(n, pflogwrite.IP{Protocol: 47}), make([]byte, 64)) }, want: detect.Other},
		{name: "record of our own anchor", bytes: tcp(syn), record: block(func(r *pflogwrite.Record) { r.Anchor = "pfwarden" }), want: detect.Knock},
		{name: "own anchor with a long path", bytes: tcp(syn), config: func(c *probe.Config) { c.Anchor = "filters/my-very-own-anchor" },
			record: block(func(r *pflogwrite.Record) { r.Anchor = "my-very-own-anc" }), want: detect.Knock},
		{name: "another anchor", bytes: tcp(syn), sent: 3, record: block(func(r *pflogwrite.Record) { r.Anchor = "ftp-proxy" }), want: detect.Probe, doors: 3},
		{name: "unspecified source", bytes: from("0.0.0.0"), want: detect.Forged},
		{name: "loopback source", bytes: from("127.0.0.1"), want: detect.Forged},
		{name: "link-local source", bytes: from("169.254.1.1"), want: detect.Forged},
		{name: "multicast source", bytes: from("224.0.0.5"), want: detect.Forged},
		{name: "class E source", bytes: from("250.1.2.3"), want: detect.Forged},
		{name: "an IPv4 address inside an IPv6 one", bytes: func(n int) []byte {
			b := pflogwrite.TCPPacket(pflogwrite.IP{Source: six, Destination: six2}, pflogwrite.TCP{SourcePort: 4, DestinationPort: uint16(n), Flags: syn})
			mapped := netip.MustParseAddr("::ffff:198.51.100.7").As16()
			copy(b[8:], mapped[:])
			return b
		}, want: detect.Forged},
		{name: "private source is an ordinary one", bytes: from("192.168.1.9"), sent: 3, want: detect.Probe, doors: 3},
		{name: "documentation source is an ordinary one", bytes: from("192.0.2.9"), sent: 3, want: detect.Probe, doors: 3},
		{name: "to itself", bytes: from("203.0.113.5"), want: detect.Forged},
		{name: "own address", bytes: from("203.0.113.77"), want: detect.Forged},
		{name: "passed", bytes: tcp(syn), record: block(func(r *pflogwrite.Record) { r.Action = capture.ActionPass }), none: true},
		{name: "out of memory", bytes: tcp(syn), record: block(func(r *pflogwrite.Record) { r.Reason = 5 }), none: true},
		{name: "state mismatch", bytes: tcp(syn), record: block(func(r *pflogwrite.Record) { r.Reason = 9 }), none: true},
		{name: "outbound", bytes: tcp(syn), record: block(func(r *pflogwrite.Record) { r.Direction = capture.Out }), none: true},
		{name: "LAN side", bytes: tcp(syn), record: block(func(r *pflogwrite.Record) { r.Interface = "em1" }), none: true},
		{name: "IPv6 SYN", bytes: func(n int) []byte {
			return pflogwrite.TCPPacket(pflogwrite.IP{Source: six, Destination: six2}, pflogwrite.TCP{SourcePort: 4, DestinationPort: uint16(n), Flags: syn})
		}, sent: 6, want: detect.Probe, doors: 6},
		{name: "IPv6 SYN after extension headers", bytes: func(n int) []byte {
			return pflogwrite.TCPPacket(pflogwrite.IP{Source: six, Destination: six2, Extensions: []pflogwrite.Extension{{Protocol: 60, Data: make([]byte, 8)}}},
				pflogwrite.TCP{SourcePort: 4, DestinationPort: uint16(n), Flags: syn})
		}, sent: 6, want: detect.Probe, doors: 6},
		{name: "Mirai", bytes: func(n int) []byte {
			b := target.As4()
			return pflogwrite.TCPPacket(ends(n, pflogwrite.IP{ID: 0x8000}), pflogwrite.TCP{DestinationPort: uint16(23 + n), Flags: syn, Seq: binary.BigEndian.Uint32(b[:])})
		}, sent: 4, want: detect.Probe, doors: -1},
		{name: "masscan", bytes: func(n int) []byte {
			b := target.As4()
			id := uint16(binary.BigEndian.Uint32(b[:]) ^ uint32(80+n) ^ 0xcafe1234)
			return pflogwrite.TCPPacket(ends(n, pflogwrite.IP{ID: id}), pflogwrite.TCP{DestinationPort: uint16(80 + n), Flags: syn, Seq: 0xcafe1234})
		}, sent: 4, want: detect.Probe, doors: -1},
	}
	for _, dialect := range []capture.Dialect{45, 61, 69, 100} {
		for _, r := range rows {
			t.Run(r.name, func(t *testing.T) {
				config := probe.Config{Watch: []string{"em0"}, Anchor: "pfwarden", Own: []netip.Addr{netip.MustParseAddr("203.0.113.77")}}
				if r.config != nil {
					r.config(&config)
				}
				classifier := probe.New(config)
				detector, err := detect.New(detect.Config{Portscan: detect.PortscanConfig{Slots: 64, Doorkeeper: 1 << 12}})
				if err != nil {
					t.Fatal(err)
				}
				verdicts, seen := 0, 0
				var o detect.Observation
				if r.sent == 0 {
					r.sent = 100
				}
				for n := range r.sent {
					record := pflogwrite.Record{Dialect: dialect, Action: capture.ActionBlock, Direction: capture.In, Interface: "em0", Subrule: capture.NoRule, Packet: r.bytes(n)}
					if r.record != nil {
						r.record(&record)
					}
					p := decode(t, record, noon)
					o = detect.Observation{}
					if !classifier.Observe(&p, time.Time{}, &o) {
						continue
					}
					seen++
					detector.Observe([]detect.Observation{o}, func(v detect.Verdict) { verdicts++ })
				}
				if r.none {
					if seen != 0 {
						t.Fatalf("%d of %d packets are evidence (%v), expected none", seen, r.sent, o.Kind)
					}
					return
				}
				if seen != r.sent || o.Kind != r.want {
					t.Fatalf("%d of %d packets are evidence, the last of them %v; expected all and %v", seen, r.sent, o.Kind, r.want)
				}
				if (verdicts > 0) != (r.doors < 0) {
					t.Fatalf("%d verdicts", verdicts)
				}
				if r.doors >= 0 {
					if got := detector.Explain(o.Source, noon).Doors; got != r.doors {
						t.Errorf("%v doors, expected %v", got, r.doors)
					}
				}
			})
		}
	}
}

func TestContact(t *testing.T) {
	tests := []struct {
		name   string
		record pflogwrite.Record
		want   bool
	}{
		{"SYN passed out", pflogwrite.Record{Direction: capture.Out, Interface: "em0", Packet: tcp(capture.FlagSYN)(0)}, true},
		{"SYN passed in from the LAN", pflogwrite.Record{Direction: capture.In, Interface: "em1", Packet: tcp(capture.FlagSYN)(0)}, true},
		{"SYN passed in from outside", pflogwrite.Record{Direction: capture.In, Interface: "em0", Packet: tcp(capture.FlagSYN)(0)}, false},
		{"our server's SYN-ACK", pflogwrite.Record{Direction: capture.Out, Interface: "em0", Packet: tcp(capture.FlagSYN | capture.FlagACK)(0)}, false},
		{"our server's RST", pflogwrite.Record{Direction: capture.Out, Interface: "em0", Packet: tcp(capture.FlagRST)(0)}, false},
		{"our name server's answer", pflogwrite.Record{Direction: capture.Out, Interface: "em0", Packet: udp(fixed(53), fixed(3333))(0)}, false},
		{"our query", pflogwrite.Record{Direction: capture.Out, Interface: "em0", Packet: udp(fixed(33333), fixed(53))(0)}, true},
		{"our clock's query", pflogwrite.Record{Direction: capture.Out, Interface: "em0", Packet: udp(fixed(123), fixed(123))(0)}, true},
		{"our echo", pflogwrite.Record{Direction: capture.Out, Interface: "em0", Packet: sweep(8)(1)}, true},
		{"our answer to an echo", pflogwrite.Record{Direction: capture.Out, Interface: "em0", Packet: sweep(0)(1)}, false},
		{"flags cut off, to a service", pflogwrite.Record{Direction: capture.Out, Interface: "em0", Packet: cut(answer(40000, func(int) uint16 { return 443 }, 0), 24)(0)}, true},
		{"flags cut off, our server's answer", pflogwrite.Record{Direction: capture.Out, Interface: "em0", Packet: cut(answer(443, func(int) uint16 { return 40000 }, 0), 24)(0)}, false},
		{"flags cut off, our server's answer to a low port", pflogwrite.Record{Direction: capture.Out, Interface: "em0", Packet: cut(answer(443, func(int) uint16 { return 22 }, 0), 24)(0)}, false},
		{"flags cut off, with data", pflogwrite.Record{Direction: capture.Out, Interface: "em0", Packet: cut(answer(40000, func(int) uint16 { return 443 }, 100), 24)(0)}, false},
		{"blocked", pflogwrite.Record{Action: capture.ActionBlock, Direction: capture.Out, Interface: "em0", Packet: tcp(capture.FlagSYN)(0)}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.record.Dialect = 61
			p := decode(t, tt.record, noon)
			n, ok := probe.New(probe.Config{Watch: []string{"em0"}}).Contact(&p)
			if ok != tt.want {
				t.Fatalf("contact: %v, expected %v", ok, tt.want)
			}
			if ok && (n.Kind != detect.Contact || n.Source.Addr() != p.Destination || !n.Time.Equal(noon)) {
				t.Errorf("notice %+v", n)
			}
		})
	}
}

// TestContactUnwatched: where no interface is named, the addresses tell who is inside.
func TestContactUnwatched(t *testing.T) {
	for _, tt := range []struct {
		name, from, to string
		direction      capture.Direction
		want           bool
	}{
		{"out", "192.0.2.1", "198.51.100.7", capture.Out, true},
		{"in from a private address", "10.0.0.7", "198.51.100.7", capture.In, true},
		{"in from a private address of IPv6", "fd00::7", "2001:db8::7", capture.In, true},
		{"in from a public address", "198.51.100.7", "192.0.2.1", capture.In, false},
		{"between private addresses", "10.0.0.7", "192.168.1.1", capture.In, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ip := pflogwrite.IP{Source: netip.MustParseAddr(tt.from), Destination: netip.MustParseAddr(tt.to)}
			r := pflogwrite.Record{Dialect: 61, Direction: tt.direction, Interface: "em1", Packet: pflogwrite.UDPPacket(ip, 40000, 53, []byte("x"))}
			p := decode(t, r, noon)
			n, ok := probe.New(probe.Config{}).Contact(&p)
			if ok != tt.want {
				t.Fatalf("contact: %v, expected %v", ok, tt.want)
			}
			if ok && n.Source.Addr() != p.Destination {
				t.Errorf("notice %+v", n)
			}
		})
	}
}

// TestSwarm: many sources that send to one high port of one address are a swarm, which the first of them cannot tell.
func TestSwarm(t *testing.T) {
	c := probe.New(probe.Config{})
	var o detect.Observation
	for n := range 100 {
		ip := pflogwrite.IP{Source: netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}), Destination: target}
		p := decode(t, pflogwrite.Record{Dialect: 61, Action: capture.ActionBlock, Direction: capture.In, Packet: pflogwrite.UDPPacket(ip, 6881, 51413, []byte("x"))}, noon)
		if !c.Observe(&p, time.Time{}, &o) {
			t.Fatal("no evidence")
		}
	}
	if o.Kind != detect.PeerToPeer {
		t.Errorf("the hundredth peer is %v", o.Kind)
	}
}

func TestSkipped(t *testing.T) {
	c := probe.New(probe.Config{Watch: []string{"em0"}})
	var o detect.Observation
	for _, p := range []capture.Packet{
		{Action: capture.ActionPass},
		{Action: capture.ActionBlock, Reason: 1},
		{Action: capture.ActionBlock, Direction: capture.Out},
		{Action: capture.ActionBlock, Direction: capture.In, Interface: "em1"},
		{Action: capture.ActionBlock, Direction: capture.In, Interface: "em0"},
	} {
		if c.Observe(&p, time.Time{}, &o) {
			t.Errorf("%+v is evidence", p)
		}
	}
	for cause, n := range c.Skipped() {
		if n != 1 {
			t.Errorf("%s: %d, expected 1", cause, n)
		}
	}
}

func TestObserveAllocates(t *testing.T) {
	c := probe.New(probe.Config{Watch: []string{"em0"}, Anchor: "pfwarden"})
	p := decode(t, pflogwrite.Record{Dialect: 61, Action: capture.ActionBlock, Direction: capture.In, Interface: "em0", Packet: tcp(capture.FlagSYN)(0)}, noon)
	var o detect.Observation
	if n := testing.AllocsPerRun(1000, func() { c.Observe(&p, noon, &o) }); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// TestFromItsOwnDestination: nobody outside has the address of who is asked, also where it is not known which addresses are ours, as in replay.
func TestFromItsOwnDestination(t *testing.T) {
	p := capture.Packet{Time: noon, Action: capture.ActionBlock, Direction: capture.In, Has: capture.HasPorts | capture.HasTCPFlags}
	p.Source, p.Destination, p.Protocol, p.TCPFlags = target, target, 6, capture.FlagSYN
	var o detect.Observation
	if !probe.New(probe.Config{}).Observe(&p, time.Time{}, &o) || o.Kind != detect.Forged {
		t.Errorf("a packet from %v to itself is %v", target, o.Kind)
	}
}
