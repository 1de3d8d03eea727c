package hooks

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// TestErrorsInOneLine: what went wrong is said once, in one line, and is still known for what it is.
func TestErrorsInOneLine(t *testing.T) {
	failed := func(cause byte, text string) error {
		_, err := outcome(frame{kind: sayFailed, payload: encodeFailed(cause, text)})
		return err
	}
	other := errors.New("exit status 1")
	for _, c := range []struct {
		err  error
		is   error
		want string
	}{
		{together(), nil, "<nil>"},
		{together(nil, other), other, "exit status 1"},
		{together(other, context.Canceled), context.Canceled, "exit status 1; context canceled"},
		{together(together(other, other), other), other, "exit status 1; exit status 1; exit status 1"},
		{failed(causeRefused, fmt.Errorf("%w: the command is not configured", ErrRefused).Error()), ErrRefused,
			"refused by the process that runs commands: the command is not configured: reload the configuration if it was changed"},
		{failed(causeTime, "it took more than 1s: context deadline exceeded"), context.DeadlineExceeded, "it took more than 1s: context deadline exceeded"},
		{failed(causeTime, "killed"), context.DeadlineExceeded, "killed: context deadline exceeded"},
	} {
		if got := fmt.Sprint(c.err); got != c.want || !errors.Is(c.err, c.is) {
			t.Errorf("%q, want %q; known: %v", got, c.want, errors.Is(c.err, c.is))
		}
	}
}
