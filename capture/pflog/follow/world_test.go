package follow

import (
	"bytes"
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pfwarden/capture"
	"pfwarden/capture/internal/follow/followtest"
	"pfwarden/capture/pflog/pflogwrite"
)

// world is a folder with a pflog that is read when the test says so.
type world struct {
	*followtest.World
	opts   Options
	format pflogwrite.Format

	got  []uint16 // destination ports of the packets
	last capture.Position
	pkts []capture.Packet

	follower *Follower
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{World: followtest.NewWorld(t, time.Now())}
	w.opts = Options{Path: w.Path("pflog")}
	return w
}

func (w *world) start() {
	w.T.Helper()
	w.opts.Tick, w.opts.Watcher, w.opts.Now = w.Tick(), w.Watcher(), w.Now
	var err error
	w.follower, err = New(w.opts)
	w.Must(err)
	w.Run(func(ctx context.Context) error {
		return w.follower.Run(ctx, func(p *capture.Packet) error {
			w.got = append(w.got, p.DestinationPort)
			w.last = w.follower.Next()
			w.pkts = append(w.pkts, *p)
			return nil
		})
	})
}

func (w *world) restart() {
	w.T.Helper()
	w.Stop()
	w.opts.Position = w.follower.Position()
	w.start()
}

func (w *world) want(ports ...uint16) {
	w.T.Helper()
	if diff := cmp.Diff(ports, w.got, cmpopts.EquateEmpty()); diff != "" {
		w.T.Errorf("packets (-want +got):\n%s", diff)
	}
}

// record is a blocked SYN to a port.
func (w *world) record(dialect capture.Dialect, port uint16) []byte {
	w.T.Helper()
	ip := pflogwrite.IP{Source: netip.MustParseAddr("192.0.2.7"), Destination: netip.MustParseAddr("203.0.113.5")}
	b, err := w.format.AppendRecord(nil, time.Unix(1700000000+int64(port), 0), &pflogwrite.Record{
		Dialect: dialect, Action: capture.ActionBlock, Direction: capture.In, Interface: "em0", Rule: 7, Subrule: capture.NoRule,
		UID: pflogwrite.NoUID, PID: pflogwrite.NoPID,
		Packet: pflogwrite.TCPPacket(ip, pflogwrite.TCP{SourcePort: 40000, DestinationPort: port, Flags: capture.FlagSYN}),
	})
	w.Must(err)
	return b
}

func (w *world) append(name string, parts ...[]byte) {
	w.T.Helper()
	w.Append(name, string(bytes.Join(parts, nil)))
}

// file is a whole file with these packets.
func (w *world) file(ports ...uint16) []byte {
	b := w.format.Header()
	for _, p := range ports {
		b = append(b, w.record(100, p)...)
	}
	return b
}
