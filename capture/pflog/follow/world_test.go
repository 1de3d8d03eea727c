package follow

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pfwarden/capture"
	"pfwarden/capture/internal/follow/followtest"
	"pfwarden/capture/pflog/pflogwrite"
)

// world is a directory with a pflog that is read when the test says so.
type world struct {
	t      *testing.T
	dir    string
	opts   Options
	format pflogwrite.Format
	steps  *followtest.Steps

	got  []uint16 // destination ports of the packets
	last capture.Position
	pkts []capture.Packet

	follower *Follower
	stop     func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), steps: followtest.New(time.Now())}
	w.opts = Options{Path: w.path("pflog")}
	t.Cleanup(func() {
		if w.stop != nil {
			w.stop()
		}
	})
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) start() {
	w.t.Helper()
	w.opts.Tick, w.opts.Watcher, w.opts.Now = w.steps.Tick(), w.steps.Watcher(), w.steps.Now
	var err error
	w.follower, err = New(w.opts)
	w.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- w.follower.Run(ctx, func(p *capture.Packet) error {
			w.got = append(w.got, p.DestinationPort)
			w.last = w.follower.Next()
			w.pkts = append(w.pkts, *p)
			return nil
		})
	}()
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
		w.stop = nil
	}
	w.steps.Settle()
}

func (w *world) look() { w.steps.Look() }

func (w *world) pass(d time.Duration) { w.steps.Pass(d) }

func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.opts.Position = w.follower.Position()
	w.start()
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) want(ports ...uint16) {
	w.t.Helper()
	if diff := cmp.Diff(ports, w.got, cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("packets (-want +got):\n%s", diff)
	}
}

// record is a blocked SYN to a port.
func (w *world) record(dialect capture.Dialect, port uint16) []byte {
	w.t.Helper()
	ip := pflogwrite.IP{Source: netip.MustParseAddr("192.0.2.7"), Destination: netip.MustParseAddr("203.0.113.5")}
	b, err := w.format.AppendRecord(nil, time.Unix(1700000000+int64(port), 0), &pflogwrite.Record{
		Dialect: dialect, Action: capture.ActionBlock, Direction: capture.In, Interface: "em0", Rule: 7, Subrule: capture.NoRule,
		UID: pflogwrite.NoUID, PID: pflogwrite.NoPID,
		Packet: pflogwrite.TCPPacket(ip, pflogwrite.TCP{SourcePort: 40000, DestinationPort: port, Flags: capture.FlagSYN}),
	})
	w.must(err)
	return b
}

func (w *world) append(name string, parts ...[]byte) {
	w.t.Helper()
	f, err := os.OpenFile(w.path(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	w.must(err)
	_, err = f.Write(bytes.Join(parts, nil))
	w.must(errors.Join(err, f.Close()))
}

// file is a whole file with these packets.
func (w *world) file(ports ...uint16) []byte {
	b := w.format.Header()
	for _, p := range ports {
		b = append(b, w.record(100, p)...)
	}
	return b
}
