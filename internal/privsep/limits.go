package privsep

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// maxDescriptors is how many descriptors a worker may have at once.
const maxDescriptors = 8192

// ceiling is a resource limit and what it is lowered to, the hard one too: it can never be raised again.
type ceiling struct {
	name     string
	resource int
	to       uint64
}

// ceilings are a worker's limits. memory is the most that it may allocate, in bytes; 0 = the system's limit.
func ceilings(memory uint64) []ceiling {
	list := []ceiling{{"NOFILE", unix.RLIMIT_NOFILE, maxDescriptors}, {"CORE", unix.RLIMIT_CORE, 0}}
	if memory > 0 {
		list = append(list, memoryCeiling(memory))
	}
	return append(list, processCeiling()...)
}

// limitWorker sets the worker's resource limits.
func limitWorker(memory uint64) error { return setCeilings(ceilings(memory)) }

// limitPrivileged forbids core dumps, which would hold what descriptors and configurations held, to the privileged process and what it runs.
func limitPrivileged() error { return setCeilings([]ceiling{{"CORE", unix.RLIMIT_CORE, 0}}) }

// limitHooks forbids core dumps to the process that runs commands, and to them.
func limitHooks() error { return limitPrivileged() }

func setCeilings(list []ceiling) error {
	var errs []error
	for _, c := range list {
		if err := lower(c.resource, c.to); err != nil {
			errs = append(errs, fmt.Errorf("limit %s to %d: %w", c.name, c.to, err))
		}
	}
	return errors.Join(errs...)
}
