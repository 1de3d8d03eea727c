package metrics

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// patience is how long a connection may be without a whole request while another waits to come in.
const patience = 250 * time.Millisecond

// limitListener hands out at most n connections at a time: the next one is accepted, but waits for the place of another, and those behind it wait in the
// kernel's queue. While one waits, who has had no request under way for the time of patience has to go, longest first: so a crowd of clients that say
// nothing, or say it slowly, or have been answered and stay, keeps nobody out for long. While nobody waits, all stay.
func limitListener(ln net.Listener, n int) net.Listener {
	return &limited{Listener: ln, most: n, inside: make(map[*limitedConn]bool), changed: make(chan struct{}, 1), closed: make(chan struct{})}
}

type limited struct {
	net.Listener
	most    int
	changed chan struct{} // somebody has left
	closed  chan struct{}
	once    sync.Once

	mu     sync.Mutex // guards what follows, and what connections are about
	inside map[*limitedConn]bool
}

// Accept gives the next connection once there is a place for it.
func (l *limited) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	for {
		wait, gone, ok := l.room()
		if ok {
			break
		}
		if gone != nil {
			_ = gone.Close() // it has had its time
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-l.changed:
		case <-timer.C:
		case <-l.closed:
			timer.Stop()
			_ = conn.Close()
			return nil, net.ErrClosed
		}
		timer.Stop()
	}
	c := &limitedConn{Conn: conn, l: l, since: time.Now()}
	l.mu.Lock()
	l.inside[c] = true
	l.mu.Unlock()
	return c, nil
}

// room tells whether there is a place for one more; if not, who has to leave for it, or how long to wait for that.
func (l *limited) room() (wait time.Duration, gone *limitedConn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.inside) < l.most {
		return 0, nil, true
	}
	for c := range l.inside {
		if c.requests == 0 && (gone == nil || c.since.Before(gone.since)) {
			gone = c
		}
	}
	if gone == nil {
		return patience, nil, false
	}
	if wait = patience - time.Since(gone.since); wait > 0 {
		return wait, nil, false
	}
	return 0, gone, false
}

// Close closes the listener; connections stay.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	l *limited

	requests int       // under way; l.mu guards both
	since    time.Time // when the last one began or ended, or the connection got its place
}

// Close closes the connection and frees its place.
func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.l.mu.Lock()
	delete(c.l.inside, c)
	c.l.mu.Unlock()
	select {
	case c.l.changed <- struct{}{}:
	default:
	}
	return err
}

// about counts the requests under way.
func (c *limitedConn) about(n int) {
	c.l.mu.Lock()
	c.requests += n
	c.since = time.Now()
	c.l.mu.Unlock()
}

// connKey finds the limitedConn in a request's context.
type connKey struct{}

// withConn notes a connection in the context of its requests.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if c, ok := c.(*limitedConn); ok {
		return context.WithValue(ctx, connKey{}, c)
	}
	return ctx
}

// attended tells connections when they have a request under way, and gives answers a time of their own to be taken.
func attended(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*limitedConn); ok {
			c.about(1)
			defer c.about(-1)
		}
		next.ServeHTTP(&hurried{ResponseWriter: w}, r)
	})
}

// hurried is an answer that must be taken within takeTimeout from its first byte on.
type hurried struct {
	http.ResponseWriter
	begun bool
}

// Write sends a part of the answer.
func (h *hurried) Write(b []byte) (int, error) {
	if !h.begun {
		h.begun = true
		_ = http.NewResponseController(h.ResponseWriter).SetWriteDeadline(time.Now().Add(takeTimeout)) // the server's own limit stays where it cannot be set
	}
	return h.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (h *hurried) Unwrap() http.ResponseWriter { return h.ResponseWriter }
