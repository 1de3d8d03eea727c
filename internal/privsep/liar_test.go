package privsep

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What follows writes requests byte by byte, without the code that the worker writes them with.

// liarFrame is a frame whose header claims size bytes; size < 0: as many as there are.
func liarFrame(kind byte, size int64, payload ...[]byte) []byte {
	body := bytes.Join(payload, nil)
	if size < 0 {
		size = int64(len(body))
	}
	b := []byte{kind, 0, 0, 0, 0, 0, 0, 1}
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	return append(b, body...)
}

func liarText(s string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...)
}

func liarAddress(family, negated, bits byte, address ...byte) []byte {
	return append([]byte{family, negated, bits}, address...)
}

// liarTable asks for a change of a table's n addresses.
func liarTable(way byte, n uint32, anchor, table string, addresses ...[]byte) []byte {
	b := append([]byte{way}, append(liarText(anchor), liarText(table)...)...)
	return append(binary.BigEndian.AppendUint32(b, n), bytes.Join(addresses, nil)...)
}

// TestHostileFrames: none of these makes the privileged process do anything; those that are no request end the worker, the others are refused.
func TestHostileFrames(t *testing.T) {
	t.Parallel()
	good := liarAddress(4, 0, 32, 192, 0, 2, 7)
	mapped := append(make([]byte, 10), 0xff, 0xff, 198, 51, 100, 7)
	const pf = "outer/pfwarden"
	for _, c := range []struct {
		name    string
		frame   []byte
		refused bool // the worker lives on
	}{
		{"kind 0", liarFrame(0, -1, []byte{0}), false},
		{"kind 255", liarFrame(255, -1, []byte{0}), false},
		{"a reply", liarFrame(replyHooks, -1, []byte{0}), false},
		{"reserved bytes", []byte{2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0}, false},
		{"no payload", liarFrame(kindTable, -1), false},
		{"a payload of 4 GB", liarFrame(kindTable, 0xffffffff), false},
		{"one byte more than a payload may have", liarFrame(kindTable, maxRequest+1), false},
		{"4 billion addresses", liarFrame(kindTable, -1, liarTable(tableAdd, 0xffffffff, pf, "banned", good)), false},
		{"more addresses than follow", liarFrame(kindTable, -1, liarTable(tableAdd, 2, pf, "banned", good)), false},
		{"fewer addresses than follow", liarFrame(kindTable, -1, liarTable(tableAdd, 1, pf, "banned", good, good)), false},
		{"adding nothing", liarFrame(kindTable, -1, liarTable(tableAdd, 0, pf, "banned")), false},
		{"replacing by nothing", liarFrame(kindTable, -1, liarTable(tableReplace, 0, pf, "banned")), false},
		{"flushing an address", liarFrame(kindTable, -1, liarTable(tableFlush, 1, pf, "banned", good)), false},
		{"way 0", liarFrame(kindTable, -1, liarTable(0, 1, pf, "banned", good)), false},
		{"way 5: kill the table", liarFrame(kindTable, -1, liarTable(5, 1, pf, "banned", good)), false},
		{"mapped IPv4", liarFrame(kindTable, -1, liarTable(tableAdd, 1, pf, "banned", liarAddress(6, 0, 128, mapped...))), false},
		{"all mapped IPv4", liarFrame(kindTable, -1, liarTable(tableAdd, 1, pf, "banned", liarAddress(6, 0, 96, append(mapped[:12:12], 0, 0, 0, 0)...))), false},
		{"bits after the length", liarFrame(kindTable, -1, liarTable(tableAdd, 1, pf, "banned", liarAddress(4, 0, 24, 192, 0, 2, 7))), false},
		{"33 bits", liarFrame(kindTable, -1, liarTable(tableAdd, 1, pf, "banned", liarAddress(4, 0, 33, 192, 0, 2, 7))), false},
		{"255 bits", liarFrame(kindTable, -1, liarTable(tableAdd, 1, pf, "banned", liarAddress(6, 0, 255, make([]byte, 16)...))), false},
		{"family 5", liarFrame(kindTable, -1, liarTable(tableAdd, 1, pf, "banned", liarAddress(5, 0, 32, 192, 0, 2, 7))), false},
		{"negated add", liarFrame(kindTable, -1, liarTable(tableAdd, 1, pf, "banned", liarAddress(4, 1, 32, 192, 0, 2, 7))), false},
		{"negated twice", liarFrame(kindTable, -1, liarTable(tableDelete, 1, pf, "banned", liarAddress(4, 2, 32, 192, 0, 2, 7))), false},
		{"NUL in the table", liarFrame(kindTable, -1, liarTable(tableAdd, 1, pf, "banned\x00x", good)), false},
		{"line feed in the anchor", liarFrame(kindTable, -1, liarTable(tableAdd, 1, pf+"\n", "banned", good)), false},
		{"a name of 64 KiB", liarFrame(kindTable, -1, liarTable(tableAdd, 1, strings.Repeat("a", 65535), "banned", good)), false},
		{"kill with a flag too many", liarFrame(kindKill, -1, []byte{0, 2}, good), false},
		{"kill of nothing", liarFrame(kindKill, -1, []byte{0, 0}), false},
		{"kill of a negated", liarFrame(kindKill, -1, []byte{0, 0}, liarAddress(4, 1, 32, 192, 0, 2, 7)), false},
		{"rules of the worker's own", liarFrame(kindAnchor, -1, []byte{anchorLoad}, liarText(pf), []byte{0}, []byte("pass all\n")), false},
		{"capture of another interface", liarFrame(kindCapture, -1, []byte{0}, []byte("em0")), false},
		{"read 13", liarFrame(kindRead, -1, []byte{13}, liarText(pf), liarText("banned")), false},
		{"open 7", liarFrame(kindOpen, -1, []byte{7}, liarText("/etc/shadow")), false},
		{"NUL in a path", liarFrame(kindOpen, -1, []byte{openFile}, liarText("/etc/shadow\x00/authlog")), false},
		{"HTTP", []byte("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"), false},

		{"another table", liarFrame(kindTable, -1, liarTable(tableAdd, 1, pf, "other", good)), true},
		{"the main ruleset's table", liarFrame(kindTable, -1, liarTable(tableAdd, 1, "", "banned", good)), true},
		{"taking from the never-list", liarFrame(kindTable, -1, liarTable(tableDelete, 1, "", "", good)), true},
		{"replacing the never-list", liarFrame(kindTable, -1, liarTable(tableReplace, 1, "", "", good)), true},
		{"emptying the never-list", liarFrame(kindTable, -1, liarTable(tableFlush, 0, "", "")), true},
		{"the anchor above", liarFrame(kindTable, -1, liarTable(tableFlush, 0, "outer", "banned")), true},
		{"an anchor below", liarFrame(kindTable, -1, liarTable(tableFlush, 0, pf+"/x", "banned")), true},
		{"a relative anchor", liarFrame(kindTable, -1, liarTable(tableFlush, 0, pf+"/../pfwarden", "banned")), true},
		{"an option as table", liarFrame(kindTable, -1, liarTable(tableFlush, 0, pf, "-Fall")), true},
		{"an option as anchor", liarFrame(kindAnchor, -1, []byte{anchorLoad}, liarText("-F all"), []byte{0}), true},
		{"the main ruleset", liarFrame(kindAnchor, -1, []byte{anchorLoad}, liarText(""), []byte{0}), true},
		{"states of a never-listed", liarFrame(kindKill, -1, []byte{0, 1}, liarAddress(4, 0, 32, 198, 51, 100, 7)), true},
		{"states of all", liarFrame(kindKill, -1, []byte{0, 1}, liarAddress(4, 0, 0, 0, 0, 0, 0)), true},
		{"states of all IPv6", liarFrame(kindKill, -1, []byte{0, 0}, liarAddress(6, 0, 0, make([]byte, 16)...)), true},
		{"states of a half", liarFrame(kindKill, -1, []byte{0, 0}, liarAddress(4, 0, 1, 128, 0, 0, 0)), true},
		{"states of loopback", liarFrame(kindKill, -1, []byte{0, 0}, liarAddress(6, 0, 128, append(make([]byte, 15), 1)...)), true},
		{"capture where none is configured", liarFrame(kindCapture, -1, []byte{0}), true},
		{"entries of another table", liarFrame(kindRead, -1, []byte{readShow}, liarText(pf), liarText("other")), true},
		{"info of an anchor", liarFrame(kindRead, -1, []byte{readInfo}, liarText(pf), liarText("")), true},
		{"/etc/shadow", liarFrame(kindOpen, -1, []byte{openFile}, liarText("/etc/shadow")), true},
		{"a path through ..", liarFrame(kindOpen, -1, []byte{openFile}, liarText("/var/log/../../etc/shadow")), true},
		{"a relative path", liarFrame(kindOpen, -1, []byte{openFile}, liarText("authlog")), true},
		{"the socket itself", liarFrame(kindOpen, -1, []byte{openFile}, liarText("/proc/self/fd/3")), true},
		{"all names of /root", liarFrame(kindOpen, -1, []byte{openNames}, liarText("/root/*")), true},
		{"a watch of /etc", liarFrame(kindOpen, -1, []byte{openWatch}, liarText("1:/etc/passwd")), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client, r, served := pair(t, t.TempDir())
			if _, err := client.wire.conn.Write(c.frame); err != nil {
				t.Fatal(err)
			}
			if c.refused { // a good request is answered after it
				if _, err := client.simple(&request{kind: kindOpen, way: openFile, path: "/none"}); !errors.Is(err, ErrRefused) {
					t.Errorf("the worker was ended, or served: %v", err)
				}
			} else if err := <-served; !errors.Is(err, errProtocol) {
				t.Errorf("served until %v", err)
			}
			if runs := r.take(); len(runs) > 0 {
				t.Errorf("ran %v", runs)
			}
		})
	}
}

// TestHalfFrames: a worker that stops in the middle of a frame, or comes byte by byte, holds nobody up but itself.
func TestHalfFrames(t *testing.T) {
	t.Parallel()
	whole := liarFrame(kindTable, -1, liarTable(tableAdd, 1, "outer/pfwarden", "banned", liarAddress(4, 0, 32, 192, 0, 2, 7)))
	for cut := range whole {
		client, r, served := pair(t, t.TempDir())
		if _, err := client.wire.conn.Write(whole[:cut]); err != nil {
			t.Fatal(err)
		}
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-served; err != nil {
			t.Errorf("cut at %d: %v", cut, err)
		}
		if runs := r.take(); len(runs) > 0 {
			t.Errorf("cut at %d: ran %v", cut, runs)
		}
	}
	client, r, served := pair(t, t.TempDir())
	for i := range whole {
		if _, err := client.wire.conn.Write(whole[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = client.simple(&request{kind: kindOpen, way: openFile, path: "/none"})
	_ = client.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if runs := r.take(); len(runs) != 1 || string(runs[0].Stdin) != "192.0.2.7\n" {
		t.Errorf("byte by byte: ran %v", runs)
	}
}

// TestDescriptorsAreClosed: what descriptors a worker sends, with whatever part of a frame and however many, are closed, and end it.
func TestDescriptorsAreClosed(t *testing.T) {
	t.Parallel()
	whole := liarFrame(kindTable, -1, liarTable(tableAdd, 1, "outer/pfwarden", "banned", liarAddress(4, 0, 32, 192, 0, 2, 7)))
	for _, c := range []struct {
		name   string
		number int
		after  int // bytes of the frame that are sent before
	}{{"one with a header", 1, 0}, {"two", 2, 0}, {"two hundred", 200, 0}, {"within a header", 1, 5}, {"with a payload", 1, headerSize}, {"within a payload", 3, headerSize + 4}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client, r, served := pair(t, t.TempDir())
			alive, held, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer alive.Close()
			fds := make([]int, c.number)
			for i := range fds {
				fds[i] = int(held.Fd())
			}
			if _, err := client.wire.conn.Write(whole[:c.after]); err != nil {
				t.Fatal(err)
			}
			if _, _, err := client.wire.conn.WriteMsgUnix(whole[c.after:], unix.UnixRights(fds...), nil); err != nil {
				t.Fatal(err)
			}
			held.Close()
			if err := <-served; !errors.Is(err, errProtocol) {
				t.Errorf("served until %v", err)
			}
			_ = alive.SetReadDeadline(time.Now().Add(time.Minute))
			if n, err := alive.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("the descriptors are held: %v", err)
			}
			if runs := r.take(); len(runs) > 0 {
				t.Errorf("ran %v", runs)
			}
		})
	}
}

// TestDeafWorker: a worker that takes no answers keeps none but its own requests from going on, and its end ends all.
func TestDeafWorker(t *testing.T) {
	t.Parallel()
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "authlog"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g, err := NewGuard(GuardOptions{Settings: testSettings(dir), Changes: &recorder{}, Reads: &recorder{}})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- serveOn(t.Context(), g, ours) }()
	conn, err := net.FileConn(theirs)
	if err := errors.Join(err, theirs.Close()); err != nil {
		t.Fatal(err)
	}
	one := liarFrame(kindOpen, -1, []byte{openStatus}, liarText(filepath.Join(dir, "authlog")))
	_ = conn.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	sent := 0
	for err = nil; err == nil; sent++ {
		_, err = conn.Write(one)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a flood of %d requests ended with %v, not with waiting", sent, err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-served:
		if err != nil && !errors.Is(err, errProtocol) {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it is still served")
	}
}

// TestProtectedSpellings: however an address is written, and whatever holds it, a never-listed one is not banned.
func TestProtectedSpellings(t *testing.T) {
	t.Parallel()
	s := testSettings("/nonexistent")
	s.Never = append(s.Never, netip.MustParsePrefix("2001:db8:77::/48"))
	g, err := NewGuard(GuardOptions{Settings: s, Changes: &recorder{}, Reads: &recorder{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{
		"198.51.100.0/32", "198.51.100.255/32", "198.51.100.128/25", "198.51.100.0/24", "198.51.0.0/16", "198.0.0.0/8", "0.0.0.0/0", "128.0.0.0/1",
		"2001:db8:77::1/128", "2001:db8:77:ffff::/64", "2001:db8::/32", "2001::/16", "::/0", "2000::/3", "127.0.0.1/32", "::1/128", "::/128", "0.0.0.0/32", "ff02::1/128", "224.0.0.0/24",
	} {
		if g.protects(netip.MustParsePrefix(p)) == "" {
			t.Errorf("%s may be banned", p)
		}
	}
	for _, p := range []string{"198.51.101.0/32", "198.51.99.255/32", "2001:db8:76:ffff::/64", "11.0.0.0/8", "192.0.2.7/32"} {
		if why := g.protects(netip.MustParsePrefix(p)); why != "" {
			t.Errorf("%s may not be banned: %s", p, why)
		}
	}
}
