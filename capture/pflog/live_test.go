package pflog_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pfwarden/capture"
	"pfwarden/capture/pflog"
	"pfwarden/capture/pflog/pflogwrite"
)

// fakeHandle plays a script: records, "" for a time-out, and breaks at its end.
type fakeHandle struct {
	records [][]byte
	link    uint32
	broken  error
	read    uint64
	closed  *int
	idle    func()
}

func (h *fakeHandle) Read() (pflog.Record, error) {
	if len(h.records) == 0 {
		if h.broken == nil {
			h.idle()
			return pflog.Record{}, pflog.ErrIdle
		}
		return pflog.Record{}, h.broken
	}
	r := h.records[0]
	h.records = h.records[1:]
	if r == nil {
		return pflog.Record{}, pflog.ErrIdle
	}
	h.read++
	return pflog.Record{Time: time.Unix(1700000000+int64(h.read), 0).UTC(), Wire: uint32(len(r)), Data: r}, nil
}

func (h *fakeHandle) Statistics() (pflog.Statistics, error) {
	return pflog.Statistics{Received: h.read, Dropped: 1}, nil
}
func (h *fakeHandle) LinkType() uint32 { return h.link }
func (h *fakeHandle) Close() error     { *h.closed++; return nil }

func liveRecord(t *testing.T, rule uint32) []byte {
	t.Helper()
	r := pflogwrite.Record{Dialect: 100, Rule: rule, Packet: pflogwrite.UDPPacket(pflogwrite.IP{Source: address("192.0.2.1"), Destination: address("192.0.2.2")}, 1, 2, nil)}
	b, err := r.Append(nil, pflogwrite.Format{}.Order())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestLiveReopens lets an interface vanish, stay away for three attempts and come back.
func TestLiveReopens(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	gone, absent := errors.New("the interface disappeared"), errors.New("no such device")
	closed, opened := 0, 0
	handles := map[int]*fakeHandle{
		1: {records: [][]byte{liveRecord(t, 1), nil, {1, 2, 3}, liveRecord(t, 2)}, broken: gone},
		5: {records: [][]byte{liveRecord(t, 3)}, idle: cancel},
	}
	var alarms []string
	var waits []time.Duration
	var rejects []pflog.Cause
	live, err := pflog.NewLive(ctx, pflog.LiveOptions{
		Interface: "pflog0",
		Open: func(_ context.Context, options pflog.LiveOptions) (pflog.Handle, error) {
			if options.Snaplen != 256 {
				t.Errorf("snaplen %d", options.Snaplen)
			}
			opened++
			h, there := handles[opened]
			if !there {
				return nil, absent
			}
			h.link, h.closed = pflog.LinkPflog, &closed
			return h, nil
		},
		OnAlarm: func(err error) {
			if err == nil {
				alarms = append(alarms, "open")
			} else {
				alarms = append(alarms, err.Error())
			}
		},
		OnReject: func(c pflog.Cause) { rejects = append(rejects, c) },
		Wait:     func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	var rules []uint32
	var frames []uint64
	err = live.Run(ctx, func(p *capture.Packet) error {
		rules, frames = append(rules, p.Rule), append(frames, p.Frame)
		if p.Origin != "pflog0" || p.Time.IsZero() || p.Offset != 0 {
			t.Errorf("packet %+v", p)
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	if !slices.Equal(rules, []uint32{1, 2, 3}) || !slices.Equal(frames, []uint64{1, 3, 4}) {
		t.Errorf("rules %v, frames %v", rules, frames)
	}
	if !slices.Equal(rejects, []pflog.Cause{pflog.BadLength}) {
		t.Errorf("rejects %v", rejects)
	}
	want := []string{"pflog0: capture broke off: the interface disappeared", "pflog0: no such device", "pflog0: no such device", "pflog0: no such device", "open"}
	if !slices.Equal(alarms, want) {
		t.Errorf("alarms %q", alarms)
	}
	ms := time.Millisecond
	if !slices.Equal(waits, []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms}) {
		t.Errorf("waits %v", waits)
	}
	if s := live.Statistics(); s.Received != 4 || s.Dropped != 2 {
		t.Errorf("statistics %+v", s)
	}
	if live.Alarms() != 4 || closed != 2 {
		t.Errorf("%d alarms, %d closed", live.Alarms(), closed)
	}
}

func TestLiveEnds(t *testing.T) {
	t.Parallel()
	closed := 0
	open := func(h *fakeHandle) pflog.Opener {
		h.closed = &closed
		return func(context.Context, pflog.LiveOptions) (pflog.Handle, error) { return h, nil }
	}
	if _, err := pflog.NewLive(t.Context(), pflog.LiveOptions{Interface: "lo", Open: open(&fakeHandle{link: 1})}); !errors.Is(err, pflog.ErrFormat) || closed != 1 {
		t.Errorf("Ethernet: %v, %d closed", err, closed)
	}
	full := errors.New("queue is full")
	live, err := pflog.NewLive(t.Context(), pflog.LiveOptions{Open: open(&fakeHandle{link: pflog.LinkPflog, records: [][]byte{liveRecord(t, 1)}})})
	if err != nil {
		t.Fatal(err)
	}
	if err := live.Run(t.Context(), func(*capture.Packet) error { return full }); !errors.Is(err, full) || closed != 2 {
		t.Errorf("emit failed: %v, %d closed", err, closed)
	}
	ctx, cancel := context.WithCancel(t.Context())
	live, err = pflog.NewLive(ctx, pflog.LiveOptions{Open: open(&fakeHandle{link: pflog.LinkPflog, broken: errors.New("gone")}), Backoff: time.Hour, OnAlarm: func(error) { cancel() }})
	if err != nil {
		t.Fatal(err)
	}
	if err := live.Run(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while waiting: %v", err)
	}
}

// TestOpenInterface asks the real opener for an interface that is not there.
func TestOpenInterface(t *testing.T) {
	t.Parallel()
	_, err := pflog.NewLive(t.Context(), pflog.LiveOptions{Interface: "pflog-none"})
	if err == nil || !strings.Contains(err.Error(), "pflog-none: ") {
		t.Errorf("error %v", err)
	}
	if pflog.CaptureKind() == "none" && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v is not ErrUnsupported", err)
	}
}
