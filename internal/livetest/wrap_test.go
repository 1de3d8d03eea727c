package livetest

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"os"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog/pflogwrite"
	"pfwarden/internal/config"
	"pfwarden/internal/engine"
	"pfwarden/internal/replay"
	"pfwarden/internal/report"
	"pfwarden/internal/testkit"
	"pfwarden/internal/warden"
)

// frame is one packet of an Ethernet capture, from its IP header on.
type frame struct {
	at          time.Time
	ip          []byte
	source, dst netip.Addr
}

// frames reads a pcap file of Ethernet frames and keeps the IP packets.
func frames(t *testing.T, name string) []frame {
	t.Helper()
	b, err := os.ReadFile(name)
	testkit.Must(t, err)
	var order binary.ByteOrder = binary.LittleEndian
	if len(b) < 24 || binary.BigEndian.Uint32(b) == 0xa1b2c3d4 {
		order = binary.BigEndian
	}
	if len(b) < 24 || order.Uint32(b) != 0xa1b2c3d4 || order.Uint32(b[20:]) != 1 {
		t.Fatalf("%s is no pcap file of Ethernet frames in microseconds", name)
	}
	var list []frame
	for b = b[24:]; len(b) >= 16; {
		n := int(order.Uint32(b[8:]))
		if len(b) < 16+n {
			break // cut off as tcpdump stopped
		}
		f := frame{at: time.Unix(int64(order.Uint32(b)), int64(order.Uint32(b[4:]))*1000).UTC()}
		data := b[16 : 16+n]
		b = b[16+n:]
		if n < 14+20 {
			continue
		}
		switch f.ip = data[14:]; binary.BigEndian.Uint16(data[12:]) {
		case 0x0800:
			f.source, _ = netip.AddrFromSlice(f.ip[12:16])
			f.dst, _ = netip.AddrFromSlice(f.ip[16:20])
		case 0x86dd:
			if len(f.ip) < 40 {
				continue
			}
			f.source, _ = netip.AddrFromSlice(f.ip[8:24])
			f.dst, _ = netip.AddrFromSlice(f.ip[24:40])
		default:
			continue
		}
		list = append(list, f)
	}
	return list
}

// tcpPayload gives a TCP packet's ports and payload; false for anything else.
func (f *frame) tcpPayload() (sport, dport uint16, payload []byte, ok bool) {
	head := int(f.ip[0]&15) * 4
	if f.ip[0]>>4 != 4 || f.ip[9] != 6 || len(f.ip) < head+20 {
		return 0, 0, nil, false
	}
	tcp := f.ip[head:min(len(f.ip), int(binary.BigEndian.Uint16(f.ip[2:])))]
	return binary.BigEndian.Uint16(tcp), binary.BigEndian.Uint16(tcp[2:]), tcp[min(len(tcp), int(tcp[12]>>4)*4):], true
}

// wrap puts pflog headers before packets: blocked on their way in, if blocked says so, else passed.
func wrap(t *testing.T, list []frame, blocked func(f *frame) bool) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pflogwrite.NewWriter(&b, pflogwrite.Format{})
	testkit.Must(t, err)
	for i := range list {
		r := pflogwrite.Record{
			Dialect: 100, Action: capture.ActionBlock, Direction: capture.In, Interface: "em0", Rule: 3, Subrule: capture.NoRule,
			UID: pflogwrite.NoUID, PID: pflogwrite.NoPID, Packet: list[i].ip,
		}
		if !blocked(&list[i]) {
			r.Action, r.Direction, r.Rule = capture.ActionPass, capture.Out, 15
		}
		testkit.Must(t, w.Write(list[i].at, &r))
	}
	testkit.Must(t, w.Flush())
	return b.Bytes()
}

// verdicts replays packets and a log with the default settings and returns who was banned, in which table, with the report.
func verdicts(t *testing.T, pflog []byte, log string) (map[netip.Addr]string, report.Report) {
	t.Helper()
	collector := report.New(report.Options{})
	banned := map[netip.Addr]string{}
	input := func(name string, content []byte) replay.Input {
		return replay.Input{Name: name, Modified: time.Now(), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }}
	}
	inputs := []replay.Input{input("pflog", pflog)}
	if log != "" {
		inputs = append(inputs, input("log", []byte(log)))
	}
	totals, err := replay.Run(t.Context(), replay.Options{
		Config: config.Default("openbsd"), Inputs: inputs, Location: time.UTC, Seed: 1, Watchers: []engine.Watcher{collector},
		OnEvent: func(e warden.Event) {
			if e.Kind == warden.EventBan {
				banned[e.Ban.Prefix.Addr()] = e.Ban.Table
				t.Logf("%v into %s: %q", e.Ban.Prefix, e.Ban.Table, e.Ban.Reasons)
			}
		},
	})
	testkit.Must(t, err)
	for _, fault := range totals.Faults {
		t.Error(fault)
	}
	return banned, collector.Report()
}

// synPacket is the first packet of a connection.
func synPacket(from, to string) []byte {
	return pflogwrite.TCPPacket(pflogwrite.IP{Source: netip.MustParseAddr(from), Destination: netip.MustParseAddr(to)},
		pflogwrite.TCP{SourcePort: 40000, DestinationPort: 443, Flags: capture.FlagSYN})
}
