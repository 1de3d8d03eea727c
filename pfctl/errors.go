package pfctl

import (
	"errors"
	"fmt"
)

// Errors that callers decide on. What a run of pfctl(8) said is wrapped in a RunError.
var (
	// ErrStuck means that a run did not end in its time and could not be ended: on OpenBSD an add beyond the limit of table
	// entries sleeps in the kernel. No second pfctl is started while one is stuck.
	ErrStuck = errors.New("pfctl is stuck")
	// ErrTableMissing means that the table is gone: somebody killed it or flushed the tables of the anchor.
	ErrTableMissing = errors.New("table does not exist")
	// ErrBusy means that somebody else is loading rules; try again soon.
	ErrBusy = errors.New("device busy")
	// ErrNotPermitted means that we are not root, or that the securelevel or a const table forbids the change.
	ErrNotPermitted = errors.New("operation not permitted")
	// ErrLimit means that PF has no room for the entries: the limit of table entries, or memory.
	ErrLimit = errors.New("no room for table entries")
	// ErrTooMany means that more addresses were given or asked for than one request may carry (net.pf.request_maxcount).
	ErrTooMany = errors.New("more addresses than one request may carry")
	// ErrNoPF means that this system has no PF, or that it is not loaded.
	ErrNoPF = errors.New("pf is not available")
	// ErrNoProgram means that pfctl(8) itself could not be started: there is no such program. It is an ErrNoPF.
	ErrNoProgram = fmt.Errorf("pfctl cannot be started: %w", ErrNoPF)
	// ErrSyntax means that PF does not understand the rules.
	ErrSyntax = errors.New("rules not understood")
	// ErrRefused means that an address may not be banned: it is on the never-list, our own, or not an ordinary host's.
	ErrRefused = errors.New("address refused")
	// ErrObserving means that a change was asked of a driver that only looks (Config.Observe).
	ErrObserving = errors.New("only observing: pf is not changed")
	// ErrKilled means that pfctl ended by a signal, so that what it did is not known.
	ErrKilled = errors.New("pfctl was killed")
)
