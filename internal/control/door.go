package control

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// door is a listener that knows who comes in, and how many are inside. Whoever is one too many is told so and let go at once,
// with some room kept for root, so that nobody who may only read can keep an administrator out.
type door struct {
	*net.UnixListener
	s      *Server
	mu     sync.Mutex
	inside int

	refusing chan struct{} // one each for those who are let speak before they are refused
}

func newDoor(l *net.UnixListener, s *Server) *door {
	return &door{UnixListener: l, s: s, refusing: make(chan struct{}, 8)}
}

// Accept waits for the next connection that is let in.
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.AcceptUnix()
		if err != nil {
			return nil, err
		}
		peer, err := d.s.who(c)
		if err != nil {
			d.s.log.Warn("control socket: it is not known who connected; refused", "error", err)
			d.refuse(c)
			continue
		}
		if !d.enter(peer) {
			d.refuse(c)
			continue
		}
		return &guarded{UnixConn: c, peer: peer, leave: sync.OnceFunc(d.leave)}, nil
	}
}

func (d *door) enter(p Peer) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	most := d.s.limits.Connections
	if p.UID != 0 {
		most -= d.s.limits.Reserved
	}
	if d.inside >= most {
		return false
	}
	d.inside++
	return true
}

func (d *door) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside--
}

// refuse says no and hangs up, without keeping Accept waiting. The first few of a crowd may ask before they are answered: whoever is hung up
// on while he still writes sees a broken pipe instead of the answer.
func (d *door) refuse(c *net.UnixConn) {
	_ = c.SetDeadline(time.Now().Add(100 * time.Millisecond))
	select {
	case d.refusing <- struct{}{}:
		go func() {
			_, _ = c.Read(make([]byte, 4<<10)) // whatever it says
			sayBusy(c)
			<-d.refusing
		}()
	default:
		sayBusy(c)
	}
}

func sayBusy(c *net.UnixConn) {
	const body = `{"kind":"busy","text":"the daemon is busy: too many connections to its control socket; try again"}` + "\n"
	_, _ = fmt.Fprintf(c,
		"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
		len(body), body)
	_ = c.Close() // it is gone either way
}

// guarded is a connection whose peer is known.
type guarded struct {
	*net.UnixConn
	peer  Peer
	leave func()
}

// Close closes the connection and frees its place.
func (g *guarded) Close() error {
	g.leave()
	return g.UnixConn.Close()
}
