package privsep

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pfwarden/pfctl"
)

// many gives n addresses, every seventh of which is on testSettings' never-list, and the text that pfctl is to read if these are left out.
func many(n int) (list []address, text, without string) {
	var all, some strings.Builder
	a := netip.MustParseAddr("2001:db8::")
	for i := range n {
		p := netip.PrefixFrom(a, 128)
		if i%7 == 0 {
			p = netip.PrefixFrom(netip.MustParseAddr("198.51.100.7"), 32)
		} else {
			fmt.Fprintln(&some, a)
		}
		fmt.Fprintln(&all, p.Addr())
		list = append(list, address{Prefix: p})
		a = a.Next()
	}
	return list, all.String(), some.String()
}

// TestFed: what pfctl reads of a request of any length is its addresses, in their order, but those that may not be banned.
func TestFed(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, maxInline, maxInline + 1, 30_000, maxAddresses} {
		_, all, some := many(n)
		for _, verb := range []string{"add", "replace", "delete"} {
			want := some
			if verb == "delete" {
				want = all
			}
			client, r, _ := pair(t, t.TempDir())
			if _, err := client.Run(t.Context(), pfctl.Command{Args: []string{"-a", "outer/pfwarden", "-t", "banned", "-T", verb, "-f", "-"}, Stdin: []byte(all)}); err != nil {
				t.Fatalf("%s of %d: %v", verb, n, err)
			}
			runs := r.take()
			if want == "" { // all was left out
				if len(runs) > 0 {
					t.Errorf("%s of %d: ran %v", verb, n, runs)
				}
				continue
			}
			if len(runs) != 1 || string(runs[0].Stdin) != want {
				t.Errorf("%s of %d: %d runs, or not what it is to read", verb, n, len(runs))
			}
		}
	}
}

// TestFedAllLeftOut: a table is not emptied by replacing it with nothing but addresses that may not be banned.
func TestFedAllLeftOut(t *testing.T) {
	t.Parallel()
	client, r, _ := pair(t, t.TempDir())
	text := strings.Repeat("198.51.100.7\n", maxInline+1)
	if _, err := client.Run(t.Context(), pfctl.Command{Args: []string{"-a", "outer/pfwarden", "-t", "banned", "-T", "replace", "-f", "-"}, Stdin: []byte(text)}); err != nil {
		t.Fatal(err)
	}
	if runs := r.take(); len(runs) > 0 {
		t.Errorf("ran %v", runs)
	}
}

// TestFedLies: whatever a worker writes into the pipe that it is handed, or does not write, pfctl never takes a part of a list for all of it, and what no
// list holds ends the worker.
func TestFedLies(t *testing.T) {
	pf := filepath.Join(t.TempDir(), "pfctl")
	if err := os.WriteFile(pf, []byte("#!/bin/sh\ncat >/dev/null; echo acted >>$0.acted\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	const n = 5000
	good := func(n int) []byte { return bytes.Repeat(liarAddress(4, 0, 32, 192, 0, 2, 7), n) }
	for _, c := range []struct {
		name  string
		told  uint32
		bytes []byte
		hold  bool // the pipe is kept open
		ends  bool // the worker is ended
	}{
		{"nothing", n, nil, false, false},
		{"nothing, and the pipe held", n, nil, true, false},
		{"half of them", n, good(n / 2), false, false},
		{"half of them, and the pipe held", n, good(n / 2), true, false},
		{"half an address at the end", n, good(n)[:7*n-3], false, false},
		{"one too many", n, good(n + 1), false, true},
		{"a byte too many", n, append(good(n), 0), false, true},
		{"all of them, and the pipe held", n, good(n), true, false},
		{"mapped IPv4", n, append(good(n-1), liarAddress(6, 0, 128, append(make([]byte, 10), 0xff, 0xff, 198, 51, 100, 7)...)...), false, true},
		{"negated", n, append(liarAddress(4, 1, 32, 192, 0, 2, 7), good(n-1)...), false, true},
		{"family 5", n, append(good(n/2), bytes.Repeat([]byte{5, 0, 32, 1, 2, 3, 4}, n/2)...), false, true},
		{"text", n, []byte(strings.Repeat("192.0.2.7\n", n)), false, true},
		{"bits after the length", n, append(good(n-1), liarAddress(4, 0, 24, 192, 0, 2, 7)...), false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := NewGuard(GuardOptions{Settings: testSettings(t.TempDir()), Changes: &pfctl.ExecRunner{Path: pf}, Reads: &recorder{}})
			if err != nil {
				t.Fatal(err)
			}
			if !c.ends { // what is wrong with the others is what comes, however late it does
				g.feedTime = 200 * time.Millisecond
			}
			ours, theirs, err := socketPair()
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error, 1)
			guarded, err := newWire(ours)
			if err != nil {
				t.Fatal(err)
			}
			go func() { served <- g.serve(t.Context(), guarded) }()
			w, err := newWire(theirs)
			if err != nil {
				t.Fatal(err)
			}
			defer w.close()
			if _, err := w.conn.Write(liarFrame(kindTable, -1, liarTable(tableReplace, c.told, "outer/pfwarden", "banned"))); err != nil {
				t.Fatal(err)
			}
			f, err := w.receive(maxReply, true)
			if err != nil || f.kind != replyFeed || f.file == nil {
				t.Fatalf("%v: %+v", err, f)
			}
			_, _ = f.file.Write(c.bytes)
			if !c.hold {
				f.file.Close()
			}
			f, err = w.receive(maxReply, true)
			if c.ends {
				if err := <-served; !errors.Is(err, errProtocol) {
					t.Errorf("served until %v", err)
				}
			} else if err != nil || f.kind != replyFail {
				t.Errorf("%v: %+v", err, f)
			}
			if _, err := os.Stat(pf + ".acted"); err == nil {
				t.Error("pfctl has acted")
			}
		})
	}
}

// TestFedWorkerDies: a worker that dies while it hands over what a table is to hold does not empty it.
func TestFedWorkerDies(t *testing.T) {
	t.Parallel()
	begun, failed := make(chan struct{}), make(chan error, 1)
	runner := runnerFunc(func(_ context.Context, c pfctl.Command, _ *os.File) (pfctl.Result, error) {
		_, err := c.Input.Read(make([]byte, 10))
		close(begun)
		if err == nil {
			_, err = io.Copy(io.Discard, c.Input)
		}
		failed <- err
		return pfctl.Result{}, err
	})
	client, served := pairOver(t, GuardOptions{Settings: testSettings(t.TempDir()), Changes: runner, Reads: runner})
	call, err := client.ask(&request{kind: kindTable, way: tableReplace, anchor: "outer/pfwarden", table: "banned", addresses: bulk(5000)})
	if err != nil {
		t.Fatal(err)
	}
	f := <-call
	one := address{Prefix: netip.MustParsePrefix("192.0.2.7/32")}.append(nil)
	if _, err := f.file.Write(bytes.Repeat(one, 2000)); err != nil {
		t.Fatal(err)
	}
	<-begun
	f.file.Close()
	_ = client.Close()
	if err := <-failed; !errors.Is(err, errShort) && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("pfctl read all there was, and then %v", err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// bulk is n times the same address.
func bulk(n int) []address {
	list := make([]address, n)
	for i := range list {
		list[i] = address{Prefix: netip.MustParsePrefix("192.0.2.7/32")}
	}
	return list
}

type runnerFunc func(context.Context, pfctl.Command, *os.File) (pfctl.Result, error)

// RunTo calls it.
func (f runnerFunc) RunTo(ctx context.Context, c pfctl.Command, out *os.File) (pfctl.Result, error) {
	return f(ctx, c, out)
}

// FuzzFeed: bytes from a pipe are read as the same bytes within a request are, or not at all.
func FuzzFeed(f *testing.F) {
	f.Add(uint16(2), false, liarAddress(4, 0, 32, 192, 0, 2, 7))
	f.Add(uint16(1), true, liarAddress(4, 1, 32, 192, 0, 2, 7))
	f.Add(uint16(1), false, liarAddress(6, 0, 64, append([]byte{0x20, 1, 0xd, 0xb8}, make([]byte, 12)...)...))
	f.Add(uint16(1), false, append(liarAddress(4, 0, 32, 192, 0, 2, 7), 0))
	f.Fuzz(func(t *testing.T, n uint16, negated bool, data []byte) {
		n = n%maxInline + 1
		way := tableAdd
		if negated {
			way = tableDelete
		}
		request, bad := parseRequest(kindTable, liarTable(way, uint32(n), "a", "b", data))
		fed := &feed{from: bufio.NewReaderSize(bytes.NewReader(data), feedRoom), rest: int(n), negated: negated}
		var got []address
		var err error
		for err == nil {
			var a address
			if a, err = fed.next(); err == nil {
				got = append(got, a)
			}
		}
		if whole := errors.Is(err, io.EOF); whole != (bad == nil) {
			t.Fatalf("from the pipe: %v, within a request: %v", err, bad)
		}
		if bad != nil {
			return
		}
		i := 0
		for a := range request.each() {
			if i >= len(got) || got[i] != a {
				t.Fatalf("address %d: %v, want %v", i, got, a)
			}
			i++
		}
	})
}
