package metrics

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener of connections within the process.
type pipes struct {
	come  chan net.Conn
	ended chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.come:
		return c, nil
	case <-p.ended:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.ended); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestIdleStay: connections that ask for nothing keep their places as long as nobody else comes; then the one that has asked for nothing for longest goes,
// and one that has a request under way stays.
func TestIdleStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := &pipes{make(chan net.Conn), make(chan struct{})}
		ln := limitListener(in, 2)
		accepted := make(chan net.Conn, 4)
		go func() {
			for c, err := ln.Accept(); err == nil; c, err = ln.Accept() {
				accepted <- c
			}
			close(accepted)
		}()
		var gone [5]atomic.Bool // by what the clients see
		come := func(n int) {
			client, server := net.Pipe()
			in.come <- server
			go func() {
				_, err := client.Read(make([]byte, 1))
				gone[n].Store(err == io.EOF) //nolint:errorlint // it is that very value
			}()
			synctest.Wait()
		}
		come(0)
		<-time.After(time.Second) // of the bubble's clock
		come(1)
		(<-accepted).(*limitedConn).about(1) // it asks, and goes on asking
		second := <-accepted
		<-time.After(time.Hour) // of the bubble's clock
		synctest.Wait()
		if gone[0].Load() || gone[1].Load() {
			t.Fatal("nobody waits, and one had to go")
		}
		began := time.Now()
		come(2)
		third := <-accepted
		if gone[0].Load() || !gone[1].Load() || time.Since(began) != 0 {
			t.Errorf("had to go: %v, %v, after %v", gone[0].Load(), gone[1].Load(), time.Since(began))
		}
		come(3) // the third has only just come
		fourth := <-accepted
		synctest.Wait()
		if gone[0].Load() || !gone[2].Load() || gone[3].Load() || time.Since(began) != patience {
			t.Errorf("had to go: %v, %v, %v, after %v, want %v", gone[0].Load(), gone[2].Load(), gone[3].Load(), time.Since(began), patience)
		}
		come(4) // waits, and the listener ends
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		if c, ok := <-accepted; ok {
			t.Errorf("accepted behind the end: %v", c)
		}
		synctest.Wait()
		if !gone[4].Load() {
			t.Error("the one that waited is still there")
		}
		for _, c := range []net.Conn{second, third, fourth} {
			_ = c.Close()
		}
		ln.(*limited).mu.Lock()
		defer ln.(*limited).mu.Unlock()
		for c := range ln.(*limited).inside {
			_ = c.Conn.Close()
		}
	})
}
