package hooks

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"pfwarden/internal/fail2ban"
)

// FuzzServer sends bytes to a server: it never panics, and runs nothing but what its book holds.
func FuzzServer(f *testing.F) {
	action := testAction("a", map[string]string{"actionban": "fw add <ip> <F-USER>"}, nil)
	book := NewBook([]Jail{{Name: "sshd", Actions: []fail2ban.Action{action}}}, nil, "/nonexistent/log", time.Minute)
	id := idOf(ofAction, time.Minute, "fw add <ip> <F-USER>")
	for _, x := range []frame{
		{kind: askRun, number: 1, payload: (&run{id: id, values: []value{{0, "192.0.2.7"}, {1, "a b;c"}}}).encode()},
		{kind: askRun, number: 1, payload: (&run{values: []value{{7, ""}}}).encode()},
		{kind: askIgnore, payload: (&run{id: id}).encode()},
		{kind: askNote, payload: (&note{jail: "sshd", address: "192.0.2.7"}).encode()},
		{kind: askCancel, number: 1}, {kind: 99},
	} {
		f.Add(x.encode())
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		var mu sync.Mutex
		shell := func(_ context.Context, text string, args []string) error {
			mu.Lock()
			defer mu.Unlock()
			if len(args) > 0 {
				_, text, _ = strings.Cut(text, "\n")
			}
			words := strings.Fields(text)
			if len(words) < 2 || words[0] != "fw" || words[1] != "add" || len(words) > 4 || special.MatchString(strings.NewReplacer("$f2bV_ip", "", "$f2bV_F_user", "", "<ip>", "").Replace(text)) {
				t.Errorf("ran %q", text)
			}
			return nil
		}
		worker, conn := net.Pipe()
		go func() {
			_, _ = worker.Write(stream)
			_ = worker.Close()
		}()
		go func() { _, _ = io.Copy(io.Discard, worker) }()
		err := NewServer(book, conn, ServerOptions{Shell: shell}).Serve(context.Background())
		if err != nil && !errors.Is(err, errProtocol) {
			t.Errorf("untyped error %v", err)
		}
	})
}

// FuzzRun: a request is written in exactly one way.
func FuzzRun(f *testing.F) {
	f.Add((&run{values: []value{{0, "a"}, {3, ""}}}).encode())
	f.Add(bytes.Repeat([]byte{0xff}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRun(b)
		if err != nil {
			if !errors.Is(err, errProtocol) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		if !bytes.Equal(r.encode(), b) {
			t.Errorf("% x came back as % x", b, r.encode())
		}
	})
}

// TestFrames: what is no frame, or a longer one than there may be, is the protocol's end.
func TestFrames(t *testing.T) {
	t.Parallel()
	good := frame{kind: askRun, number: 7, payload: []byte("abc")}
	if got, err := readFrame(bytes.NewReader(good.encode())); err != nil || got.number != 7 || string(got.payload) != "abc" {
		t.Errorf("%+v, %v", got, err)
	}
	long := good.encode()
	binary.BigEndian.PutUint32(long[8:], maxFrame+1)
	odd := good.encode()
	odd[2] = 1
	for name, b := range map[string][]byte{"too long": long, "not zero": odd, "cut short": good.encode()[:14]} {
		if _, err := readFrame(bytes.NewReader(b)); !errors.Is(err, errProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := readFrame(bytes.NewReader(nil)); !errors.Is(err, io.EOF) {
		t.Error(fmt.Errorf("at the end: %w", err))
	}
}
