package pflogwrite_test

import (
	"bytes"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pfwarden/capture"
	"pfwarden/capture/pflog/pflogwrite"
)

var (
	v4a, v4b = netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("203.0.113.5")
	v6a, v6b = netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("2001:db8::5")
	at       = time.Unix(1700000000, 123456789)
)

// TestTCPDump lets the packet builders be judged by an independent reader, checksums included.
func TestTCPDump(t *testing.T) {
	t.Parallel()
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Skip("tcpdump is not installed")
	}
	syn := pflogwrite.TCP{SourcePort: 40000, DestinationPort: 22, Seq: 1000, Flags: capture.FlagSYN}
	packets := []struct {
		packet []byte
		want   string
	}{
		{pflogwrite.TCPPacket(pflogwrite.IP{Source: v4a, Destination: v4b, ID: 9}, syn), "198.51.100.7.40000 > 203.0.113.5.22: Flags [S], cksum 0xa563 (correct), seq 1000"},
		{pflogwrite.TCPPacket(pflogwrite.IP{Source: v6a, Destination: v6b}, syn), "2001:db8::7.40000 > 2001:db8::5.22: Flags [S], cksum 0xb026 (correct), seq 1000"},
		{pflogwrite.UDPPacket(pflogwrite.IP{Source: v4a, Destination: v4b}, 5, 9, []byte("odd")), "198.51.100.7.5 > 203.0.113.5.9: [udp sum ok]"},
		{pflogwrite.UDPPacket(pflogwrite.IP{Source: v6a, Destination: v6b}, 5, 9, []byte("odd")), "2001:db8::7.5 > 2001:db8::5.9: [udp sum ok]"},
		{pflogwrite.ICMPPacket(pflogwrite.IP{Source: v4a, Destination: v4b}, 8, 0, 7<<16|1, nil), "ICMP echo request, id 7, seq 1"},
		{pflogwrite.ICMPPacket(pflogwrite.IP{Source: v6a, Destination: v6b}, 128, 0, 7<<16|1, nil), "[icmp6 sum ok] ICMP6, echo request, id 7, seq 1"},
		{pflogwrite.Raw(pflogwrite.IP{Source: v6a, Destination: v6b, Protocol: 17, FragmentOffset: 185, ID: 77}, make([]byte, 64)), "frag (0x0000004d:1480|64)"},
	}
	var file bytes.Buffer
	w, err := pflogwrite.NewWriter(&file, pflogwrite.Format{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		if err := w.Write(at, &pflogwrite.Record{Dialect: 100, Interface: "em0", Rule: 7, Subrule: capture.NoRule, Packet: p.packet}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tcpdump, "-nvvr", "-")
	cmd.Stdin = &file
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		if !strings.Contains(string(out), p.want) {
			t.Errorf("tcpdump did not say %q", p.want)
		}
	}
	if t.Failed() || strings.Contains(string(out), "bad") {
		t.Errorf("tcpdump said:\n%s", out)
	}
}

// TestLayout compares whole files with the bytes that the layouts of pflog(4) ask for.
func TestLayout(t *testing.T) {
	t.Parallel()
	record := pflogwrite.Record{Action: 1, Reason: 2, Direction: capture.In, Interface: "em0", Anchor: "an-anchor-that-is-long",
		Rule: 7, Subrule: 3, RuleID: 0x01020304, UID: 1000, PID: pflogwrite.NoPID, RuleUID: 5, RulePID: 1234, Packet: []byte{0x45}}
	prefix := func(length byte) []byte {
		b := append([]byte{length, 2, 1, 2}, "em0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00an-anchor-that-\x00"...)
		return append(b, 0, 0, 0, 7, 0, 0, 0, 3)
	}
	little := append([]byte{0xe8, 3, 0, 0, 0xa0, 0x86, 1, 0, 5, 0, 0, 0, 0xd2, 4, 0, 0, 1}, 0, 0, 0)
	big := append([]byte{0, 0, 3, 0xe8, 0, 1, 0x86, 0xa0, 0, 0, 0, 5, 0, 0, 4, 0xd2, 1}, 0, 0, 0)
	tests := []struct {
		name    string
		dialect capture.Dialect
		format  pflogwrite.Format
		want    []byte
	}{
		{"45", 45, pflogwrite.Format{}, append(prefix(45), 1, 0, 0, 0, 0x45)},
		{"49", 49, pflogwrite.Format{}, append(prefix(49), 1, 2, 3, 4, 1, 0, 0, 0, 0x45)},
		{"61", 61, pflogwrite.Format{}, append(append(prefix(61), little...), 0x45)},
		{"61 big-endian", 61, pflogwrite.Format{BigEndian: true}, append(append(prefix(61), big...), 0x45)},
		{"69", 69, pflogwrite.Format{}, append(append(prefix(69), little...), 1, 2, 3, 4, 0, 0, 0, 0, 0x45)},
		{"100", 100, pflogwrite.Format{}, append(append(prefix(100), little...), append(make([]byte, 36), 0x45)...)},
		{"old", capture.DialectOld, pflogwrite.Format{LinkType: pflogwrite.LinkOldPflog},
			append([]byte("\x00\x00\x00\x02em0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0, 7, 0, 2, 0, 1, 0, 1, 0x45)},
		{"84, unknown", 84, pflogwrite.Format{}, append(prefix(84), append(make([]byte, 40), 0x45)...)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := record
			r.Dialect = test.dialect
			got, err := test.format.AppendRecord(nil, at, &r)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got[16:]); diff != "" {
				t.Errorf("bytes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnknownDialect(t *testing.T) {
	t.Parallel()
	for _, d := range []capture.Dialect{1, 44, 253} {
		if _, err := (&pflogwrite.Record{Dialect: d}).Append(nil, pflogwrite.Format{}.Order()); err == nil {
			t.Errorf("dialect %d was written", d)
		}
	}
}
