package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// Peer is who is at the other end of a connection, as the kernel says.
type Peer struct{ UID, GID uint32 }

// String names the peer for the ledger.
func (p Peer) String() string {
	if p.UID == 0 {
		return "root"
	}
	return "uid " + strconv.FormatUint(uint64(p.UID), 10)
}

// Limits bound the server. Zero fields mean the defaults.
type Limits struct {
	Connections int           // of everybody; 32
	Reserved    int           // of these, kept free for root; 8
	Request     time.Duration // to read and answer a request; 60 s
	Idle        time.Duration // of a connection between requests; 10 s
	Stop        time.Duration // that running requests have at the end before they are told to give up; 2 s
	OnlyRoot    bool          // may change anything; else this process's own user may, too
}

func (l Limits) filled() Limits {
	if l.Connections <= 0 {
		l.Connections = 32
	}
	if l.Reserved <= 0 || l.Reserved >= l.Connections {
		l.Reserved = l.Connections / 4
	}
	if l.Request <= 0 {
		l.Request = 60 * time.Second
	}
	if l.Idle <= 0 {
		l.Idle = 10 * time.Second
	}
	if l.Stop <= 0 {
		l.Stop = 2 * time.Second
	}
	return l
}

// ErrStopping is the cause by which the contexts of requests end that still run some time after the server was told to stop.
var ErrStopping = errors.New("the daemon is stopping")

// stopLimit is how long answers may go out after that.
const stopLimit = 3 * time.Second

// Server answers on the control socket.
type Server struct {
	service Service
	log     *slog.Logger
	limits  Limits
	self    uint32                            // may change things as root may: it could do so without asking us
	who     func(*net.UnixConn) (Peer, error) // asks the kernel
}

// NewServer makes a server for a service.
func NewServer(s Service, log *slog.Logger, l Limits) *Server {
	self := uint32(os.Geteuid()) //nolint:gosec // a uid is 32 bits wide
	if l.OnlyRoot {
		self = 0
	}
	return &Server{service: s, log: log, limits: l.filled(), self: self, who: peerOf}
}

// Serve answers on l until ctx ends; then it lets running requests end, cancels their contexts after Limits.Stop, lets answers go out for
// another while, and returns nil. It closes l.
func (s *Server) Serve(ctx context.Context, l *net.UnixListener) error {
	base, giveUp := context.WithCancelCause(context.WithoutCancel(ctx))
	defer giveUp(ErrStopping)
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       s.limits.Request,
		WriteTimeout:      s.limits.Request,
		IdleTimeout:       s.limits.Idle,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if g, ok := c.(*guarded); ok {
				return context.WithValue(ctx, peerKey{}, g.peer)
			}
			return ctx
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(newDoor(l, s)) }()
	select {
	case err := <-ended:
		return fmt.Errorf("control socket: %w", err)
	case <-ctx.Done():
	}
	late := time.AfterFunc(s.limits.Stop, func() { giveUp(ErrStopping) })
	defer late.Stop()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.Stop+stopLimit)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		_ = server.Close() // it has been told to end; what is still open is cut
	}
	<-ended
	return nil
}

// peerKey finds the Peer in a request's context.
type peerKey struct{}

// Handler is the API without its socket. Requests without a Peer in their context are refused.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	read := func(pattern string, h func(context.Context, *http.Request) (any, error)) {
		mux.Handle("GET "+pattern, s.answer(h))
	}
	change := func(pattern string, h func(ctx context.Context, by string, r *http.Request) (any, error)) {
		mux.Handle("POST "+pattern, s.answer(func(ctx context.Context, r *http.Request) (any, error) {
			p, ok := ctx.Value(peerKey{}).(Peer)
			if !ok || p.UID != 0 && p.UID != s.self {
				return nil, fmt.Errorf("%w: only root may change anything", ErrNotPermitted)
			}
			s.log.Info("asked over the control socket", "verb", pattern, "by", p.String())
			return h(ctx, p.String(), r)
		}))
	}
	read("/v1/status", func(ctx context.Context, r *http.Request) (any, error) {
		return s.service.Status(ctx, r.URL.Query().Get("jail"))
	})
	mux.Handle("GET /v1/bans", s.listBans())
	read("/v1/never", func(ctx context.Context, _ *http.Request) (any, error) { return s.service.Never(ctx) })
	read("/v1/pf", func(ctx context.Context, _ *http.Request) (any, error) { return s.service.PF(ctx) })
	read("/v1/health", func(ctx context.Context, _ *http.Request) (any, error) { return s.service.Health(ctx) })
	read("/v1/explain", func(ctx context.Context, r *http.Request) (any, error) {
		p, err := ParsePrefix(r.URL.Query().Get("address"))
		if err != nil {
			return nil, err
		}
		return s.service.Explain(ctx, p)
	})
	mux.Handle("POST /v1/fail2ban", s.answer(s.fail2ban))
	change("/v1/ban", s.ban)
	change("/v1/unban", s.unban)
	change("/v1/never/add", s.neverAdd)
	change("/v1/never/remove", s.neverRemove)
	change("/v1/pause", func(ctx context.Context, by string, r *http.Request) (any, error) {
		b, err := decode[pauseBody](r)
		if err != nil {
			return nil, err
		}
		return struct{}{}, s.service.Pause(ctx, by, b.Flush)
	})
	change("/v1/resume", func(ctx context.Context, by string, _ *http.Request) (any, error) {
		return struct{}{}, s.service.Resume(ctx, by)
	})
	mux.Handle("/", s.answer(func(_ context.Context, r *http.Request) (any, error) {
		return nil, fmt.Errorf("%w: no such request: %s %s", ErrNotFound, shorten(r.Method), shorten(r.URL.Path))
	}))
	return mux
}

func (s *Server) ban(ctx context.Context, by string, r *http.Request) (any, error) {
	o, err := decodeOrder[banBody, BanOrder](r)
	if err != nil {
		return nil, err
	}
	return s.service.Ban(ctx, by, o)
}

func (s *Server) unban(ctx context.Context, by string, r *http.Request) (any, error) {
	o, err := decodeOrder[unbanBody, UnbanOrder](r)
	if err != nil {
		return nil, err
	}
	return s.service.Unban(ctx, by, o)
}

func (s *Server) neverAdd(ctx context.Context, by string, r *http.Request) (any, error) {
	b, err := decode[neverBody](r)
	if err != nil {
		return nil, err
	}
	ps, err := prefixes(b.Addresses)
	if err != nil {
		return nil, err
	}
	comment, err := sentence(b.Comment)
	if err != nil {
		return nil, err
	}
	return s.service.NeverAdd(ctx, by, ps, comment)
}

func (s *Server) neverRemove(ctx context.Context, by string, r *http.Request) (any, error) {
	b, err := decode[neverBody](r)
	if err != nil {
		return nil, err
	}
	ps, err := prefixes(b.Addresses)
	if err != nil {
		return nil, err
	}
	return s.service.NeverRemove(ctx, by, ps)
}

// answer makes an HTTP handler of a function: its value goes out as one JSON object, its error as a failure.
func (s *Server) answer(h func(context.Context, *http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), s.limits.Request)
		defer cancel()
		if _, ok := ctx.Value(peerKey{}).(Peer); !ok {
			s.fail(w, fmt.Errorf("%w: it is not known who asks", ErrNotPermitted))
			return
		}
		v, err := h(ctx, r)
		if err != nil {
			s.fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			s.log.Debug("control socket: answer not sent", "error", err)
		}
	})
}

func (s *Server) fail(w http.ResponseWriter, err error) {
	f, status := toFailure(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(f); err != nil {
		s.log.Debug("control socket: answer not sent", "error", err)
	}
}

// listBans writes bans one a line, since there may be hundreds of thousands.
func (s *Server) listBans() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), s.limits.Request)
		defer cancel()
		if _, ok := ctx.Value(peerKey{}).(Peer); !ok {
			s.fail(w, fmt.Errorf("%w: it is not known who asks", ErrNotPermitted))
			return
		}
		q, err := banQuery(r.URL.Query())
		if err != nil {
			s.fail(w, err)
			return
		}
		bans, err := s.service.Bans(ctx, q)
		if err != nil {
			s.fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		if err := writeLines(w, bans); err != nil {
			s.log.Debug("control socket: answer not sent", "error", err)
		}
	})
}

// writeLines writes each value as one line of JSON.
func writeLines[T any](w io.Writer, values []T) error {
	b := bufio.NewWriterSize(w, 64<<10)
	e := json.NewEncoder(b)
	for i := range values {
		if err := e.Encode(&values[i]); err != nil {
			return err
		}
	}
	return b.Flush()
}
