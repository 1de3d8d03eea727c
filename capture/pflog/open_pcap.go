//go:build cgo && !nopcap

package pflog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/gopacket/pcap"
)

// CaptureKind says what live capture is built on: "libpcap", "bpf" or "none".
func CaptureKind() string { return "libpcap" }

// pcapTimeout is how long a read waits, so that closing is prompt.
const pcapTimeout = 250 * time.Millisecond

// OpenInterface opens an interface by its name.
func OpenInterface(_ context.Context, options LiveOptions) (Handle, error) {
	h, err := openPcap(options)
	if err != nil {
		return nil, err
	}
	return h, nil
}

type pcapHandle struct{ handle *pcap.Handle }

func openPcap(options LiveOptions) (*pcapHandle, error) {
	inactive, err := pcap.NewInactiveHandle(options.Interface)
	if err != nil {
		return nil, err
	}
	defer inactive.CleanUp()
	for _, set := range []error{
		inactive.SetSnapLen(options.Snaplen),
		inactive.SetPromisc(false),
		inactive.SetTimeout(pcapTimeout),
		inactive.SetImmediateMode(true),
	} {
		if set != nil {
			return nil, set
		}
	}
	handle, err := inactive.Activate()
	if err != nil {
		return nil, err
	}
	if options.Filter != "" {
		if err := handle.SetBPFFilter(options.Filter); err != nil {
			handle.Close()
			return nil, fmt.Errorf("capture filter %q: %w", options.Filter, err)
		}
	}
	return &pcapHandle{handle}, nil
}

func (h *pcapHandle) Read() (Record, error) {
	data, info, err := h.handle.ZeroCopyReadPacketData()
	if errors.Is(err, pcap.NextErrorTimeoutExpired) {
		return Record{}, ErrIdle
	}
	if err != nil {
		return Record{}, err
	}
	return Record{info.Timestamp.UTC(), uint32(info.Length), data}, nil
}

func (h *pcapHandle) Statistics() (Statistics, error) {
	s, err := h.handle.Stats()
	if err != nil {
		return Statistics{}, err
	}
	return Statistics{uint64(s.PacketsReceived), uint64(s.PacketsDropped) + uint64(s.PacketsIfDropped)}, nil
}

func (h *pcapHandle) LinkType() uint32 { return uint32(h.handle.LinkType()) }

func (h *pcapHandle) Close() error {
	h.handle.Close()
	return nil
}
