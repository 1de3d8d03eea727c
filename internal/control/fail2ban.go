package control

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Fail2banService answers what fail2ban-client asks a server. A Service may implement it too.
type Fail2banService interface {
	// Fail2ban carries out one command of fail2ban-client. change says whether the peer may change anything.
	Fail2ban(ctx context.Context, by string, change bool, argv []string) Fail2banAnswer
}

// Fail2banAnswer is what a fail2ban server would answer.
type Fail2banAnswer struct {
	Value any            `json:"value"`
	Error *Fail2banError `json:"error,omitempty"`
	Owner string         `json:"owner,omitempty"` // what the client has to ask of the process that opened the socket; "" = nothing
}

// What the process that opened the socket does: it is asked by a signal, since the one that answers has no rights over it.
const (
	OwnerReloads = "reload" // SIGHUP
	OwnerStops   = "stop"   // SIGTERM
)

// Fail2banError is an exception of that server.
type Fail2banError struct {
	Text   string `json:"text"`
	NoJail bool   `json:"no_jail,omitempty"` // there is no such jail; Text is its name
	Args   []any  `json:"args,omitempty"`    // what the exception holds; nil = Text alone
	Said   string `json:"said,omitempty"`    // what people are told instead of Text
}

type fail2banBody struct {
	Argv []string `json:"argv"`
}

const maxArgs = 10000

// fail2ban serves POST /v1/fail2ban to everybody who may open the socket; the service refuses changes by others than root.
func (s *Server) fail2ban(ctx context.Context, r *http.Request) (any, error) {
	service, ok := s.service.(Fail2banService)
	if !ok {
		return nil, fmt.Errorf("%w: this daemon runs no jails of fail2ban's", ErrNotFound)
	}
	b, err := decode[fail2banBody](r)
	if err != nil {
		return nil, err
	}
	if len(b.Argv) == 0 || len(b.Argv) > maxArgs {
		return nil, fmt.Errorf("%w: %d arguments, expected 1 to %d", ErrBadRequest, len(b.Argv), maxArgs)
	}
	p, ok := ctx.Value(peerKey{}).(Peer)
	return service.Fail2ban(ctx, p.String(), ok && (p.UID == 0 || p.UID == s.self), b.Argv), nil
}

// Fail2banReply is a Fail2banAnswer as it came.
type Fail2banReply struct {
	Value json.RawMessage `json:"value"`
	Error *Fail2banError  `json:"error"`
	Owner string          `json:"owner"`
}

// Fail2ban carries out one command of fail2ban-client.
func (c *Client) Fail2ban(ctx context.Context, argv []string) (r Fail2banReply, err error) {
	return r, c.post(ctx, "/v1/fail2ban", fail2banBody{argv}, &r)
}
