package main

import (
	"errors"
	"fmt"
	"io/fs"

	"pfwarden/internal/config"
	"pfwarden/internal/control"
	"pfwarden/internal/privsep"
)

// Exit codes of every verb.
const (
	exitDone         = 0
	exitFailed       = 1
	exitUsage        = 2 // wrong usage or configuration
	exitNotPermitted = 3
	exitNotRunning   = 4 // the daemon does not answer
)

// usageError is a fault of the command line or of the configuration.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usagef returns an error that ends the program with exitUsage. %w is understood.
func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// silentError ends the program with the code of err, without another word: everything was said already.
type silentError struct{ err error }

func (e *silentError) Error() string { return e.err.Error() }
func (e *silentError) Unwrap() error { return e.err }

// silent tells whether err has been reported to the user already.
func silent(err error) bool {
	var s *silentError
	var status *fail2banStatus
	return errors.As(err, &s) || errors.As(err, &status)
}

// exitCode is the one place where an error becomes an exit status.
func exitCode(err error) int {
	var status *fail2banStatus
	var usage *usageError
	var faults config.Faults
	var other *privsep.ExitError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &other): // a process of ours that got to no work: its status is ours
		return other.Code
	case errors.As(err, &status):
		return status.code
	case errors.As(err, &usage), errors.As(err, &faults), errors.Is(err, control.ErrBadRequest):
		return exitUsage
	case errors.Is(err, control.ErrNotPermitted), errors.Is(err, fs.ErrPermission):
		return exitNotPermitted
	case errors.Is(err, control.ErrNotRunning):
		return exitNotRunning
	default:
		return exitFailed
	}
}
