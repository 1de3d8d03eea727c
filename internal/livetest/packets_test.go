package livetest

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog/pflogwrite"
	"pfwarden/internal/testkit"
)

func listenLoopback() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

// appendRecords writes blocked SYNs from a source to our server, one for each port, at the end of a pflog file as pflogd(8) does.
func appendRecords(t *testing.T, f *os.File, format pflogwrite.Format, source netip.Addr, ports []uint16) {
	t.Helper()
	info, err := f.Stat()
	testkit.Must(t, err)
	var out []byte
	if info.Size() == 0 {
		out = format.Header()
	}
	for i, port := range ports {
		out, err = format.AppendRecord(out, time.Now(), &pflogwrite.Record{
			Dialect: 100, System: pflogwrite.OpenBSD, Action: capture.ActionBlock, Direction: capture.In, Interface: "em0",
			Rule: 3, Subrule: capture.NoRule, UID: 0xffffffff, PID: 100000,
			Packet: pflogwrite.TCPPacket(
				pflogwrite.IP{Source: source, Destination: netip.MustParseAddr(serverAddress), TTL: 60},
				pflogwrite.TCP{SourcePort: uint16(40000 + i), DestinationPort: port, Flags: capture.FlagSYN, Seq: uint32(7919 * (i + 1))}),
		})
		testkit.Must(t, err)
	}
	_, err = f.Write(out)
	testkit.Must(t, err)
}
