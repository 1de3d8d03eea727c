package privsep

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestSmallHelper is no test: it is the privileged process that TestLiesStaySmall lies to.
func TestSmallHelper(t *testing.T) {
	dir := os.Getenv("PFWARDEN_TEST_SMALL")
	if dir == "" {
		t.Skip("run by TestLiesStaySmall")
	}
	s := testSettings(dir)
	s.Pfctl = filepath.Join(dir, "pfctl")
	g, err := NewGuard(GuardOptions{Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	Shrink()
	if err := json.NewEncoder(os.Stdout).Encode("ready"); err != nil {
		t.Fatal(err)
	}
	w, err := newWire(os.NewFile(3, "worker"))
	if err != nil {
		t.Fatal(err)
	}
	_ = g.serve(t.Context(), w)           // its end is the lie's, too
	_, _ = os.Stdin.Read(make([]byte, 1)) // until it was looked at
}

// liarAddresses are n IPv6 addresses, from a number on.
func liarAddresses(from, n int) []byte {
	var b bytes.Buffer
	for i := from; i < from+n; i++ {
		a := netip.MustParseAddr("2001:db8::").As16()
		a[13], a[14], a[15] = byte(i>>16), byte(i>>8), byte(i) //nolint:gosec // so it counts
		b.Write(liarAddress(6, 0, 128, a[:]...))
	}
	return b.Bytes()
}

// liarBans is a change of the table of banned addresses; n is how many it says that there are.
func liarBans(way byte, n uint32, addresses ...[]byte) []byte {
	return liarFrame(kindTable, -1, liarTable(way, n, "outer/pfwarden", "banned", addresses...))
}

// startSmall starts TestSmallHelper as a privileged process, and gives a worker's end of its socket. The process ends when that and release are called.
func startSmall(t *testing.T) (cmd *exec.Cmd, w *wire, release func() error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pfctl"), []byte("#!/bin/sh\ncat >/dev/null\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command("/proc/self/exe", "-test.run=^TestSmallHelper$")
	cmd.Env = append(os.Environ(), "PFWARDEN_TEST_SMALL="+dir)
	cmd.ExtraFiles = []*os.File{theirs}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err := errors.Join(err, cmd.Start(), theirs.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if w, err = newWire(ours); err != nil {
		t.Fatal(err)
	}
	return cmd, w, in.Close
}

// settle returns when all that was sent before has been read.
func settle(w *wire) error {
	_, err := w.conn.Write(liarFrame(kindOpen, -1, []byte{openStatus}, liarText("/none")))
	for f := (frame{}); err == nil && f.kind != replyRefuse; f, err = w.receive(maxReply, true) {
		if f.file != nil {
			f.file.Close()
		}
	}
	return err
}

// forgetPeak has the kernel begin anew with the most memory that a process had (proc(5), clear_refs).
func forgetPeak(t *testing.T, pid int) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		t.Skipf("the kernel does not forget the most memory that a process had: %v", err)
	}
}

// TestLiesStaySmall: whatever a worker claims, sends, holds back or has kept, the privileged process grows by 2 MiB at most, 3 with a full never-list.
func TestLiesStaySmall(t *testing.T) {
	if raceEnabled {
		t.Skip("measures memory")
	}
	for _, c := range []struct {
		name  string
		keeps bool // what it is told
		lie   func(w *wire)
	}{
		{"six payloads of 8 MiB", false, func(w *wire) {
			for range 6 {
				_, _ = w.conn.Write(liarFrame(kindTable, 8<<20, bytes.Repeat([]byte{4}, 1<<20)))
			}
		}},
		{"the largest requests there are, while pfctl sleeps", false, func(w *wire) {
			for range 20 {
				_, _ = w.conn.Write(liarBans(tableAdd, maxInline, liarAddresses(0, maxInline)))
			}
		}},
		{"one list of 262,144 addresses", false, func(w *wire) {
			_, _ = w.conn.Write(liarBans(tableReplace, maxAddresses))
			f, err := w.receive(maxReply, true)
			if err != nil || f.file == nil {
				return
			}
			_, _ = f.file.Write(liarAddresses(0, maxAddresses))
			f.file.Close()
			_, _ = w.receive(maxReply, true)
		}},
		{"six lists of 262,144 addresses", false, func(w *wire) {
			for range 6 {
				_, _ = w.conn.Write(liarBans(tableReplace, maxAddresses))
			}
			all := liarAddresses(0, maxAddresses)
			for range 6 {
				f, err := w.receive(maxReply, true)
				if err != nil {
					return
				}
				if f.file != nil {
					_, _ = f.file.Write(all)
					f.file.Close()
				}
				_, _ = w.receive(maxReply, true)
			}
		}},
		{"all that the never-list takes, and more", true, func(w *wire) {
			for i := range 12 {
				_, _ = w.conn.Write(liarFrame(kindTable, -1, liarTable(tableAdd, maxInline, "", "", liarAddresses(i*maxInline, maxInline))))
				_, _ = w.receive(maxReply, true)
			}
		}},
		{"bans of what is never banned", false, func(w *wire) {
			never := bytes.Repeat(liarAddress(4, 0, 32, 198, 51, 100, 7), maxInline)
			for range 50 {
				_, _ = w.conn.Write(liarBans(tableAdd, maxInline, never))
				_, _ = w.receive(maxReply, true)
			}
		}},
		{"the longest paths", false, func(w *wire) {
			for range 16 {
				_, _ = w.conn.Write(liarFrame(kindOpen, -1, []byte{openFile}, liarText("/"+strings.Repeat("a", maxPath-1))))
				_, _ = w.receive(maxReply, true)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd, w, release := startSmall(t)
			honest := liarBans(tableAdd, 1, liarAddress(4, 0, 32, 192, 0, 2, 7)) // what it needs for that is no lie's
			for range 2 {
				if _, err := w.conn.Write(honest); err != nil {
					t.Fatal(err)
				}
				if _, err := w.receive(maxReply, true); err != nil {
					t.Fatal(err)
				}
			}
			before := resident(t, cmd.Process.Pid, "VmRSS")
			forgetPeak(t, cmd.Process.Pid)
			_ = w.conn.SetDeadline(time.Now().Add(2 * time.Minute))
			c.lie(w)
			_ = settle(w) // unless the lie has ended the service
			grown := resident(t, cmd.Process.Pid, "VmHWM") - before
			_ = w.close()
			if err := errors.Join(release(), cmd.Wait()); err != nil {
				t.Error(err)
			}
			t.Logf("%d KiB before, at most %d more", before, grown)
			most := 2 << 10
			if c.keeps {
				most += 1 << 10
			}
			if grown > most {
				t.Errorf("grew from %d KiB by %d", before, grown)
			}
		})
	}
}

// resident is VmRSS or VmHWM, the most since forgetPeak, in KiB (proc(5)).
func resident(t *testing.T, pid int, name string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n"+name+":")
	value, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.Atoi(value)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
