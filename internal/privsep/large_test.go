package privsep

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pfwarden/pfctl"
)

// slowPF says when a run of pfctl has begun, and ends it when it is told to.
type slowPF struct{ begun, end chan struct{} }

func (s *slowPF) RunTo(ctx context.Context, _ pfctl.Command, _ *os.File) (pfctl.Result, error) {
	s.begun <- struct{}{}
	select {
	case <-s.end:
		return pfctl.Result{}, nil
	case <-ctx.Done():
		return pfctl.Result{}, ctx.Err()
	}
}

// TestOneLargeRequest: while pfctl is told of a full table, small requests are answered, and another full table is not taken in, so that the
// privileged process never holds more than one.
func TestOneLargeRequest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := filepath.Join(dir, "authlog")
	if err := os.WriteFile(log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	pf := &slowPF{begun: make(chan struct{}, 2), end: make(chan struct{}, 2)}
	g, err := NewGuard(GuardOptions{Settings: testSettings(dir), Changes: pf, Reads: &recorder{}})
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- serveOn(t.Context(), g, ours) }()
	conn, err := net.FileConn(theirs)
	if err := errors.Join(err, theirs.Close()); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	all := make([][]byte, maxAddresses)
	for i := range all {
		all[i] = liarAddress(6, 0, 128, binary.BigEndian.AppendUint32([]byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0}, uint32(i))...)
	}
	full := liarFrame(kindTable, -1, liarTable(tableReplace, maxAddresses, "outer/pfwarden", "banned", all...))
	small := liarFrame(kindOpen, -1, []byte{openStatus}, liarText(log))
	if _, err := conn.Write(append(full, small...)); err != nil {
		t.Fatal(err)
	}
	<-pf.begun
	var header [headerSize]byte
	if _, err := conn.Read(header[:]); err != nil || header[0] != replyDone {
		t.Fatalf("the small request got % x, %v", header, err)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := conn.Write(full); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a second full table was taken in: %d of %d bytes, %v", n, len(full), err)
	} else if _ = conn.SetWriteDeadline(time.Time{}); err != nil {
		pf.end <- struct{}{}
		if _, err := conn.Write(full[n:]); err != nil { // it is taken in now
			t.Error(err)
		}
		<-pf.begun
		pf.end <- struct{}{}
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestRequestNames: what an administrator reads of a refused request says what was asked for.
func TestRequestNames(t *testing.T) {
	t.Parallel()
	one := liarAddress(4, 0, 32, 198, 51, 100, 7)
	for _, c := range []struct {
		kind    byte
		payload []byte
		want    string
	}{
		{kindOpen, append([]byte{openFile}, liarText("/etc/shadow")...), `open "/etc/shadow"`},
		{kindOpen, append([]byte{openWatch}, liarText("1:/etc/x")...), `watch "1:/etc/x"`},
		{kindCapture, []byte{0}, "open the interface"},
		{kindAnchor, append(append([]byte{anchorCheck}, liarText("x\x1b")...), 0), `check rules of anchor "x\x1b"`},
		{kindTable, liarTable(tableAdd, 1, "other", "banned", one), `add, anchor "other", table "banned", addresses: 1`},
		{kindTable, liarTable(tableDelete, 1, "", "", one), "delete, never-list, addresses: 1"},
		{kindKill, append([]byte{0, 1}, one...), "end states of 198.51.100.7"},
		{kindRead, append(append([]byte{readCounters}, liarText("a")...), liarText("t")...), `read counters, anchor "a", table "t"`},
	} {
		r, err := parseRequest(c.kind, c.payload)
		if err != nil {
			t.Fatal(c.want, err)
		}
		if got := r.String(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	for kind, ways := range map[byte][2]byte{
		kindOpen: {openFile, openWatch}, kindCapture: {}, kindAnchor: {anchorLoad, anchorCheck}, kindTable: {tableAdd, tableAwhile}, kindRead: {readInfo, readCounters},
	} {
		for way := ways[0]; way <= ways[1]; way++ {
			if got := (&request{kind: kind, way: way}).String(); got == "" || got[0] == ' ' || got[0] == ',' {
				t.Errorf("kind %d, way %d has no name: %q", kind, way, got)
			}
		}
	}
}
