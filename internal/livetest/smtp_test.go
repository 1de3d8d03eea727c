package livetest

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"pfwarden/internal/testkit"
)

// sink is an SMTP server on loopback that takes every message and keeps it.
type sink struct {
	port int

	mu       sync.Mutex
	messages []string // envelope and content
}

func newSink(t *testing.T) *sink {
	t.Helper()
	l, err := listenLoopback()
	testkit.Must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	s := &sink{port: l.Addr().(*net.TCPAddr).Port}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

// serve speaks as much of RFC 5321 as a client that has mail needs.
func (s *sink) serve(c net.Conn) {
	defer c.Close()
	lines := bufio.NewScanner(c)
	var message strings.Builder
	say := func(text string) { fmt.Fprint(c, text, "\r\n") }
	say("220 sink ESMTP")
	for lines.Scan() {
		switch verb, _, _ := strings.Cut(strings.ToUpper(lines.Text()), " "); verb {
		case "DATA":
			say("354 go on")
			for lines.Scan() && lines.Text() != "." {
				message.WriteString(strings.TrimPrefix(lines.Text(), ".") + "\n")
			}
			s.mu.Lock()
			s.messages = append(s.messages, message.String())
			s.mu.Unlock()
			message.Reset()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		case "MAIL", "RCPT":
			message.WriteString(lines.Text() + "\n")
			say("250 ok")
		default:
			say("250 sink")
		}
	}
}

// with lists the messages that hold all the words.
func (s *sink) with(words ...string) (found []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
next:
	for _, m := range s.messages {
		for _, w := range words {
			if !strings.Contains(m, w) {
				continue next
			}
		}
		found = append(found, m)
	}
	return found
}
