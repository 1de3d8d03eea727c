package hooks

import (
	"errors"
	"strings"
)

// together is errors.Join in one line, as a line of a log needs it.
func together(errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return oneLineError{err}
	}
	return nil
}

type oneLineError struct{ joined error }

func (e oneLineError) Error() string { return strings.ReplaceAll(e.joined.Error(), "\n", "; ") }
func (e oneLineError) Unwrap() error { return e.joined }
