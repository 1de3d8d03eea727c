//go:build cgo && !nopcap && linux

package pflog

import (
	"errors"
	"net"
	"strconv"
	"testing"
)

// TestLibpcap captures on the loopback interface, which is not pflog's but shows that filter, snaplen, time-out, statistics and
// closing do what Live counts on.
func TestLibpcap(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	defer conn.Close()
	port := conn.LocalAddr().(*net.UDPAddr).Port
	if _, err := openPcap(LiveOptions{Interface: "lo", Snaplen: 60, Filter: "bogus words"}); err == nil {
		t.Error("a filter of bogus words was compiled")
	}
	h, err := openPcap(LiveOptions{Interface: "lo", Snaplen: 60, Filter: "udp dst port " + strconv.Itoa(port)})
	if err != nil {
		t.Skipf("may not capture here: %v", err)
	}
	if _, err := conn.WriteTo(make([]byte, 200), conn.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	var r Record
	for range 100 {
		if r, err = h.Read(); !errors.Is(err, ErrIdle) {
			break
		}
	}
	if err != nil || len(r.Data) == 0 || len(r.Data) > 60 || r.Wire != 14+20+8+200 || r.Time.IsZero() {
		t.Errorf("record of %d bytes, %d on the wire, at %v: %v", len(r.Data), r.Wire, r.Time, err)
	}
	if s, err := h.Statistics(); err != nil || s.Received == 0 || s.Dropped != 0 {
		t.Errorf("statistics %+v, %v", s, err)
	}
	if _, err := h.Read(); err == nil { // the loopback shows each packet twice on some kernels
		_, err = h.Read()
		if !errors.Is(err, ErrIdle) {
			t.Errorf("idle read: %v", err)
		}
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}
