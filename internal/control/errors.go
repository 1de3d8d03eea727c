// Package control is the daemon's unix socket: HTTP with JSON, a server over the Service interface, its client, and the check of
// who is asking. Reading is for the socket's group, changing for root. It decides nothing and knows no detector.
package control

import "errors"

// What a caller has to tell apart; both ends of the socket use the same values.
var (
	// ErrNotRunning says that no daemon answers at the socket.
	ErrNotRunning = errors.New("the daemon is not running")
	// ErrNotPermitted says that the caller may not do this: reading needs the socket's group, changing needs root.
	ErrNotPermitted = errors.New("not permitted")
	// ErrNotFound says that the jail, ban or address asked for is not known.
	ErrNotFound = errors.New("not found")
	// ErrBadRequest says that the request itself is wrong (an address that is none, a duration below zero …).
	ErrBadRequest = errors.New("bad request")
	// ErrBusy says that the daemon cannot take the request now; it may be tried again.
	ErrBusy = errors.New("the daemon is busy")
)
