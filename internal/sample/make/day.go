package main

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog/pflogwrite"
	"pfwarden/internal/sample"
)

const seed = 20261014

// day collects what happens: packets that PF logs, lines that servers log, and what is to be thought of their senders.
type day struct {
	random  *rand.Rand
	packets []packet
	auth    []line // sshd, by syslog
	errors  []line // httpd's error log
	access  []line // httpd's access log
	labels  []label
	pids    int
}

type packet struct {
	at     time.Time
	record *pflogwrite.Record
}

type line struct {
	at   time.Time
	text string
}

// label says of a source what a good detector does with it.
type label struct {
	address string
	class   string
	want    bool
}

// at gives a time of the day; the fraction of a second is random.
func (d *day) at(hour, minute, second int) time.Time {
	offset := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second
	return sample.Date().Add(offset + time.Duration(d.random.IntN(1_000_000))*time.Microsecond)
}

// within gives a random duration from low to high.
func (d *day) within(low, high time.Duration) time.Duration {
	return low + time.Duration(d.random.Int64N(int64((high-low)/time.Microsecond)))*time.Microsecond
}

// ephemeral gives a random client port.
func (d *day) ephemeral() uint16 { return uint16(32768 + d.random.IntN(28000)) }

// judge notes what should become of a source.
func (d *day) judge(address, class string, want bool) {
	d.labels = append(d.labels, label{address, class, want})
}

// generate makes all files of the sample; the pflog is not compressed yet.
func generate() (map[string][]byte, error) {
	d := &day{random: rand.New(rand.NewPCG(seed, seed)), pids: 40000}
	d.scans()
	d.innocents()
	d.noise()
	d.logs()

	pflog, err := d.pflog()
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		sample.Pflog:     pflog,
		sample.AuthLog:   text(d.auth),
		sample.ErrorLog:  text(d.errors),
		sample.AccessLog: text(d.access),
		sample.Labels:    d.labelsCSV(),
	}, nil
}

// snaplen is the default of OpenBSD's pflogd(8).
const snaplen = 160

func (d *day) pflog() ([]byte, error) {
	slices.SortStableFunc(d.packets, func(a, b packet) int { return a.at.Compare(b.at) })
	var b bytes.Buffer
	w, err := pflogwrite.NewWriter(&b, pflogwrite.Format{Snaplen: snaplen})
	if err != nil {
		return nil, fmt.Errorf("write pflog: %w", err)
	}
	for _, p := range d.packets {
		if err := w.Write(p.at, p.record); err != nil {
			return nil, fmt.Errorf("write pflog: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return nil, fmt.Errorf("write pflog: %w", err)
	}
	return b.Bytes(), nil
}

func text(lines []line) []byte {
	slices.SortStableFunc(lines, func(a, b line) int { return a.at.Compare(b.at) })
	var b bytes.Buffer
	for _, l := range lines {
		b.WriteString(l.text)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

func (d *day) labelsCSV() []byte {
	slices.SortStableFunc(d.labels, func(a, b label) int {
		return cmp.Or(cmp.Compare(a.class, b.class), netip.MustParseAddr(a.address).Compare(netip.MustParseAddr(b.address)))
	})
	var b bytes.Buffer
	b.WriteString("address,class,want,first,last\n")
	for _, l := range d.labels {
		first, last := d.seen(l.address)
		want := 0
		if l.want {
			want = 1
		}
		fmt.Fprintf(&b, "%s,%s,%d,%s,%s\n", l.address, l.class, want, first.Format(time.RFC3339), last.Format(time.RFC3339))
	}
	return b.Bytes()
}

// seen finds the first and the last record of an address.
func (d *day) seen(address string) (first, last time.Time) {
	note := func(at time.Time) {
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	for _, p := range d.packets {
		if p.record.Translated.Source.String() == address {
			note(p.at)
		}
	}
	for _, log := range [][]line{d.auth, d.errors, d.access} {
		for _, l := range log {
			if slices.Contains(strings.FieldsFunc(l.text, func(r rune) bool { return r == ' ' || r == ']' || r == '[' }), address) ||
				strings.Contains(l.text, "[client "+address+":") {
				note(l.at)
			}
		}
	}
	return first, last
}

// host gives an IPv4 address behind the gateway.
func host(n byte) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, n}) }

// host6 gives an IPv6 address behind the gateway.
func host6(n byte) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0x01, 0x13, 15: n})
}

// Rules of the gateway's pf.conf by number, as pflog shows them.
const (
	ruleBlockIn  = 3  // block drop in log on egress
	ruleBlockOut = 5  // block return out log on egress proto tcp to port smtp
	rulePassSSH  = 9  // pass in log on egress proto tcp to port ssh
	rulePassOut  = 15 // pass out log on egress
)

// log adds a record as OpenBSD's kernel writes it: the addresses behind any translation are always filled in.
func (d *day) log(at time.Time, rule uint32, action capture.Action, direction capture.Direction, flow capture.Flow, ip []byte) {
	r := &pflogwrite.Record{
		Dialect: 100, Action: action, Direction: direction, Interface: sample.Interface,
		Rule: rule, Subrule: capture.NoRule, UID: pflogwrite.NoUID, PID: pflogwrite.NoPID, RulePID: 61744,
		Translated: flow, Packet: ip,
	}
	d.packets = append(d.packets, packet{at, r})
}

// syn is a TCP packet that PF blocked on its way in; change may turn the plain SYN into something else.
func (d *day) syn(at time.Time, from, to netip.Addr, sport, dport uint16, change func(*pflogwrite.IP, *pflogwrite.TCP)) {
	ip := pflogwrite.IP{Source: from, Destination: to, TTL: 48, ID: uint16(d.random.Uint32())}
	tcp := pflogwrite.TCP{SourcePort: sport, DestinationPort: dport, Seq: d.random.Uint32(), Flags: capture.FlagSYN,
		Options: []byte{2, 4, 5, 0xb4}} // MSS 1460
	if change != nil {
		change(&ip, &tcp)
	}
	d.log(at, ruleBlockIn, capture.ActionBlock, capture.In, flow(from, to, sport, dport), pflogwrite.TCPPacket(ip, tcp))
}

// udp is a datagram that PF blocked on its way in.
func (d *day) udp(at time.Time, from, to netip.Addr, sport, dport uint16, payload []byte) {
	ip := pflogwrite.IP{Source: from, Destination: to, TTL: 52, ID: uint16(d.random.Uint32())}
	d.log(at, ruleBlockIn, capture.ActionBlock, capture.In, flow(from, to, sport, dport), pflogwrite.UDPPacket(ip, sport, dport, payload))
}

// echo is an ICMP echo request that PF blocked; OpenBSD notes its identifier and type where ports would be.
func (d *day) echo(at time.Time, from, to netip.Addr, id, sequence uint16) {
	kind := uint8(8)
	if from.Is6() {
		kind = 128
	}
	ip := pflogwrite.IP{Source: from, Destination: to, TTL: 50, ID: uint16(d.random.Uint32())}
	d.log(at, ruleBlockIn, capture.ActionBlock, capture.In, flow(from, to, id, uint16(kind)),
		pflogwrite.ICMPPacket(ip, kind, 0, uint32(id)<<16|uint32(sequence), make([]byte, 56)))
}

// pass is the first packet of a connection that PF let through.
func (d *day) pass(at time.Time, rule uint32, direction capture.Direction, from, to netip.Addr, sport, dport uint16) {
	ip := pflogwrite.IP{Source: from, Destination: to, TTL: 56, ID: uint16(d.random.Uint32()), DontFragment: true}
	tcp := pflogwrite.TCP{SourcePort: sport, DestinationPort: dport, Seq: d.random.Uint32(), Flags: capture.FlagSYN, Window: 16384,
		Options: []byte{2, 4, 5, 0xb4, 1, 1, 4, 2}} // MSS, SACK permitted
	d.log(at, rule, capture.ActionPass, direction, flow(from, to, sport, dport), pflogwrite.TCPPacket(ip, tcp))
}

func flow(from, to netip.Addr, sport, dport uint16) capture.Flow {
	return capture.Flow{Source: from, Destination: to, SourcePort: sport, DestinationPort: dport}
}
