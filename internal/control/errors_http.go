package control

import (
	"context"
	"errors"
	"net/http"
)

// failure is how an error goes over the socket.
type failure struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// kinds pairs the errors that keep their meaning with their name and HTTP status.
func kinds() []struct {
	err    error
	name   string
	status int
} {
	return []struct {
		err    error
		name   string
		status int
	}{
		{ErrNotPermitted, "not_permitted", http.StatusForbidden},
		{ErrNotFound, "not_found", http.StatusNotFound},
		{ErrBadRequest, "bad_request", http.StatusBadRequest},
		{ErrBusy, "busy", http.StatusServiceUnavailable},
		{context.DeadlineExceeded, "timeout", http.StatusGatewayTimeout},
		{errors.ErrUnsupported, "unsupported", http.StatusNotImplemented},
	}
}

// toFailure says what of err the other end learns.
func toFailure(err error) (failure, int) {
	for _, k := range kinds() {
		if errors.Is(err, k.err) {
			return failure{k.name, err.Error()}, k.status
		}
	}
	return failure{"failed", err.Error()}, http.StatusInternalServerError
}

// remoteError is an error that came over the socket.
type remoteError struct {
	text string
	kind error // nil = none of ours
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.kind }

// err makes the error again.
func (f failure) err() error {
	e := &remoteError{text: f.Text}
	for _, k := range kinds() {
		if k.name == f.Kind {
			e.kind = k.err
		}
	}
	if e.text == "" {
		e.text = "the daemon gave no reason"
	}
	return e
}
