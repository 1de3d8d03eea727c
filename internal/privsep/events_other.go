//go:build !linux

package privsep

import (
	"errors"
	"os"
)

// hasEvents says that the privileged process can watch folders for the worker.
const hasEvents = false

// events do not exist here: kqueue(2) watches the descriptors that were handed over.
type events struct{}

func (e *events) close() {}

func (s *session) begin() (*os.File, []byte, error) { return nil, nil, errors.ErrUnsupported }

func (s *session) watch(*Settings, int, string) ([]byte, error) { return nil, errors.ErrUnsupported }
